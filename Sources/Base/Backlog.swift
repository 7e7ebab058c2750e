/// First in, first out, in room that is used again and again: no allocation once it has grown to what is
/// needed. Who appends sees to it that there is a limit.
public struct Backlog<Element> {
    @usableFromInline var room: ContiguousArray<Element?> = []
    @usableFromInline var head = 0
    @usableFromInline var storedCount = 0

    @inlinable public var count: Int { storedCount }

    public init() {}

    @inlinable public var isEmpty: Bool { count == 0 }

    /// The oldest element.
    @inlinable public var first: Element? { count == 0 ? nil : room[head] }

    /// The newest element.
    @inlinable public var last: Element? { count == 0 ? nil : room[(head + count - 1) & (room.count - 1)] }

    /// The element with `number` older ones before it. Traps when there are not that many.
    @inlinable
    public subscript(number: Int) -> Element {
        get {
            guard number >= 0, number < count, let element = room[(head + number) & (room.count - 1)] else {
                invariantFailed("element \(number) of a backlog of \(count)")
            }
            return element
        }
        set {
            invariant(number >= 0 && number < count, "element \(number) of a backlog of \(count)")
            room[(head + number) & (room.count - 1)] = newValue
        }
    }

    /// Adds the newest element.
    @inlinable
    public mutating func append(_ element: Element) {
        if count == room.count { grow() }
        room[(head + count) & (room.count - 1)] = element
        storedCount += 1
    }

    /// Takes the oldest element off.
    @inlinable
    public mutating func removeFirst() -> Element? {
        if count == 0 { return nil }
        let element = room[head]
        room[head] = nil
        head = (head + 1) & (room.count - 1)
        storedCount -= 1
        return element
    }

    /// Lets go of all elements and keeps the room.
    public mutating func removeAll() {
        while removeFirst() != nil {}
    }

    @inlinable
    mutating func grow() {
        var larger = ContiguousArray<Element?>(repeating: nil, count: max(room.count * 2, 16))
        var index = 0
        while index < count {
            larger[index] = room[(head + index) & (room.count - 1)]
            index += 1
        }
        room = larger
        head = 0
    }
}

extension Backlog: Sendable where Element: Sendable {}
