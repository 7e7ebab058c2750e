/// First in, first out, in room that is used again and again: no allocation once it has grown to what is
/// needed.
struct Backlog<Element> {
    private var room: ContiguousArray<Element?> = []
    private var head = 0
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    /// The oldest element.
    var first: Element? { count == 0 ? nil : room[head] }

    mutating func append(_ element: Element) {
        if count == room.count { grow() }
        room[(head + count) & (room.count - 1)] = element
        count += 1
    }

    mutating func removeFirst() -> Element? {
        if count == 0 { return nil }
        let element = room[head]
        room[head] = nil
        head = (head + 1) & (room.count - 1)
        count -= 1
        return element
    }

    private mutating func grow() {
        var larger = ContiguousArray<Element?>(repeating: nil, count: max(room.count * 2, 16))
        for index in 0..<count { larger[index] = room[(head + index) & (room.count - 1)] }
        room = larger
        head = 0
    }
}
