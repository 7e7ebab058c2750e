/// What is to happen at which moment: a binary heap by deadline. Things of one moment come out in the order
/// in which they went in, so that a run can be replayed.
///
/// Nothing can be taken out of the middle. Whoever takes the earliest looks whether it still counts.
public struct DeadlineQueue<Element> {
    @usableFromInline
    struct Entry {
        @usableFromInline let deadline: Int64
        @usableFromInline let order: UInt64
        @usableFromInline let element: Element

        @inlinable
        init(deadline: Int64, order: UInt64, element: Element) {
            self.deadline = deadline
            self.order = order
            self.element = element
        }

        @inlinable
        func isBefore(_ other: Entry) -> Bool {
            deadline != other.deadline ? deadline < other.deadline : order < other.order
        }
    }

    @usableFromInline var heap: [Entry] = []
    @usableFromInline var nextOrder: UInt64 = 0

    /// Nothing is to happen.
    @inlinable
    public init() {}

    /// How much is to happen.
    @inlinable public var count: Int { heap.count }

    /// The earliest deadline.
    @inlinable public var first: Int64? { heap.first?.deadline }

    /// - Parameter deadline: in the unit of the caller's clock.
    @inlinable
    public mutating func add(_ element: Element, at deadline: Int64) {
        heap.append(Entry(deadline: deadline, order: nextOrder, element: element))
        nextOrder += 1
        var place = heap.count - 1
        while place > 0 {
            let above = (place - 1) / 2
            if !heap[place].isBefore(heap[above]) { break }
            heap.swapAt(place, above)
            place = above
        }
    }

    /// Takes the earliest out if its deadline is `now` or before.
    @inlinable
    public mutating func takeDue(_ now: Int64) -> (element: Element, deadline: Int64)? {
        guard let earliest = heap.first, earliest.deadline <= now else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        return (earliest.element, earliest.deadline)
    }

    @inlinable
    mutating func sink() {
        var place = 0
        while true {
            var below = 2 * place + 1
            if below >= heap.count { return }
            if below + 1 < heap.count && heap[below + 1].isBefore(heap[below]) { below += 1 }
            if !heap[below].isBefore(heap[place]) { return }
            heap.swapAt(place, below)
            place = below
        }
    }
}
