import Base
import Testing

@Suite struct DeadlineQueueTests {
    @Test("Things come out by deadline, those of one moment as they went in, as in a slow list")
    func order() {
        var random = SeededGenerator(seed: 11)
        var queue = DeadlineQueue<Int>()
        var model: [(element: Int, deadline: Int64)] = []
        var taken = 0
        for element in 0..<20_000 {
            if Int.random(in: 0..<3, using: &random) < 2 {
                let deadline = Int64.random(in: 0..<40, using: &random)
                queue.add(element, at: deadline)
                let place = model.firstIndex { $0.deadline > deadline } ?? model.count
                model.insert((element, deadline), at: place)
            } else {
                let now = Int64.random(in: 0..<40, using: &random)
                let due = queue.takeDue(now)
                let expected = model.first.flatMap { $0.deadline <= now ? $0 : nil }
                if expected != nil { model.removeFirst() }
                taken += expected == nil ? 0 : 1
                #expect(due?.element == expected?.element && due?.deadline == expected?.deadline)
            }
            #expect(queue.count == model.count)
            #expect(queue.first == model.first?.deadline)
        }
        #expect(taken > 3_000)
    }
}
