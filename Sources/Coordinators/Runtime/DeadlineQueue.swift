/// What is to happen at which moment: a binary heap by deadline. Things of one moment come out in the order
/// in which they went in, so that a run can be replayed.
///
/// Nothing can be taken out of the middle. Whoever takes the earliest looks whether it still counts.
struct DeadlineQueue<Element> {
    private struct Entry {
        let deadline: Int64
        let order: UInt64
        let element: Element

        func isBefore(_ other: Entry) -> Bool {
            deadline != other.deadline ? deadline < other.deadline : order < other.order
        }
    }

    private var heap: [Entry] = []
    private var nextOrder: UInt64 = 0

    var count: Int { heap.count }

    /// The earliest deadline.
    var first: Int64? { heap.first?.deadline }

    mutating func add(_ element: Element, at deadline: Int64) {
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
    mutating func takeDue(_ now: Int64) -> (element: Element, deadline: Int64)? {
        guard let earliest = heap.first, earliest.deadline <= now else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        return (earliest.element, earliest.deadline)
    }

    private mutating func sink() {
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
