import Base
import SimulationKit
import SystemIO
import Testing

@Suite("The simulated append queue")
struct SimulatedAppendQueueTests {
    private let disk = SimulatedDisk(seed: 3)
    private let handler = RecordedCompletions()

    @Test("A write with its sync reports written, then synced, and survives a crash that loses all")
    func writeThenSync() throws {
        let process = disk.mount()
        let file = try process.makeDurable("/f", [])
        let queue = SimulatedAppendQueue(process, seed: 1)
        queue.write([1, 2, 3], to: file, at: 0, thenSync: true, 9, handler)
        #expect(queue.pendingCount == 1)
        let start = disk.clock.monotonicNanoseconds()
        #expect(queue.poll(waitNanoseconds: 0) == 0)
        queue.drain()
        #expect(handler.completions.map(\.event) == [.written, .synced])
        #expect(handler.completions.allSatisfy { $0.token == 9 && $0.failure == nil })
        #expect(disk.clock.monotonicNanoseconds() > start)
        var generator = SeededGenerator(seed: 1)
        disk.crash(&generator, mode: .loseAll)
        #expect(try disk.mount().readAll("/f") == [1, 2, 3])
    }
}
