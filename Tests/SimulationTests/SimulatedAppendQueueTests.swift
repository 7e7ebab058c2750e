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

    @Test("A write with its sync survives though the file was cut while it was in flight")
    func cutWhileInFlight() throws {
        for seed in 1...200 as ClosedRange<UInt64> {
            let disk = SimulatedDisk(seed: seed)
            let process = disk.mount()
            let file = try process.makeDurable("/f", pattern(3000))
            let queue = SimulatedAppendQueue(process, seed: seed)
            queue.write(pattern(116, seed: 7), to: file, at: 3000, thenSync: true, 9, handler)
            queue.submit()
            try file.truncate(to: 1000)
            try file.write(pattern(5000), at: 1000)
            queue.drain()
            var generator = SeededGenerator(seed: seed)
            disk.crash(&generator)
            let left = try disk.mount().readAll("/f")
            #expect(left.count >= 3116 && Array(left[3000..<3116]) == pattern(116, seed: 7), "seed \(seed)")
            if left.count < 3116 { return }
        }
    }

    @Test("Nothing is in flight before it is submitted, and nothing is seen before it is written")
    func submission() throws {
        let process = disk.mount()
        let file = try process.open("/f", .createNew)
        let queue = SimulatedAppendQueue(process, seed: 1)
        queue.write([1], to: file, at: 0, 1, handler)
        disk.clock.advance(milliseconds: 1000)
        #expect(try file.byteCount() == 0)
        queue.submit()
        #expect(handler.completions.isEmpty && queue.pendingCount == 1)
        #expect(queue.poll(waitNanoseconds: nil) == 1)
        #expect(try file.readAll() == [1] && queue.pendingCount == 0)
        #expect(queue.poll(waitNanoseconds: nil) == 0)
    }

    @Test("Poll waits in virtual time, not longer than it may")
    func waiting() throws {
        let process = disk.mount()
        let file = try process.open("/f", .createNew)
        let pace = SimulatedAppendQueue.Pace(write: 1000...1000, sync: 0...0)
        let queue = SimulatedAppendQueue(process, seed: 1, pace: pace)
        let start = disk.clock.monotonicNanoseconds()
        queue.write([1], to: file, at: 0, 1, handler)
        #expect(queue.poll(waitNanoseconds: 400) == 0)
        #expect(disk.clock.monotonicNanoseconds() == start + 400)
        #expect(queue.poll(waitNanoseconds: 10_000) == 1)
        #expect(disk.clock.monotonicNanoseconds() == start + 1000)
    }

    @Test("Writes and syncs overtake each other, of one file and of several, by poll and by step")
    func reordering() throws {
        for stepping in [true, false] {
            var orders = Set<[UInt64]>()
            for seed in UInt64(0)..<80 {
                let process = SimulatedDisk(seed: seed).mount()
                let queue = SimulatedAppendQueue(process, seed: seed)
                let handler = RecordedCompletions()
                let first = try process.open("/f", .createNew)
                let second = try process.open("/g", .createNew)
                queue.write([1], to: first, at: 0, 1, handler)
                queue.write([2], to: first, at: 1, 2, handler)
                queue.write([3], to: second, at: 0, 3, handler)
                queue.sync(second, CompletionToken(rawValue: 4), handler)
                if stepping { while queue.step() {} } else { queue.drain() }
                orders.insert(handler.completions.map(\.token))
                #expect(try first.readAll() == [1, 2])
            }
            #expect(orders.count > 5)
            #expect(orders.contains { $0.firstIndex(of: 2) ?? 0 < $0.firstIndex(of: 1) ?? 0 })
        }
    }

    @Test(
        "A sync covers what was written before it was asked for, and nothing later, on the same page too"
    )
    func syncIsExact() throws {
        let process = disk.mount()
        let file = try process.makeDurable("/f", [])
        let pace = SimulatedAppendQueue.Pace(write: 10...10, sync: 1000...1000)
        let queue = SimulatedAppendQueue(process, seed: 1, pace: pace)
        queue.write([1], to: file, at: 0, 1, handler)
        queue.poll(waitNanoseconds: nil)
        queue.sync(file, CompletionToken(rawValue: 2), handler)
        queue.write([2], to: file, at: 1, 3, handler)
        queue.poll(waitNanoseconds: nil)
        #expect(handler.has(.written, 3) && !handler.has(.synced, 2))
        queue.drain()
        #expect(handler.has(.synced, 2))
        #expect(try file.readAll() == [1, 2])
        #expect(disk.syncedBytes("/f") == [1])
    }

    @Test("The sync of a write covers that write and what was there before, not its neighbours in flight")
    func ownSyncIsExact() throws {
        let process = disk.mount()
        let file = try process.makeDurable("/f", [9, 9, 9])
        try file.write([8], at: 0)
        let pace = SimulatedAppendQueue.Pace(write: 10...10, sync: 1000...1000)
        let queue = SimulatedAppendQueue(process, seed: 1, pace: pace)
        queue.write([7], to: file, at: 1, thenSync: true, 1, handler)
        queue.write([6], to: file, at: 2, 2, handler)
        queue.drain()
        #expect(try file.readAll() == [8, 7, 6])
        #expect(disk.syncedBytes("/f") == [8, 7, 9])
    }

    @Test("Of two synced writes to one place the later one survives, whichever is synced first")
    func laterWriteStays() throws {
        for seed in 1...200 as ClosedRange<UInt64> {
            let disk = SimulatedDisk(seed: seed)
            let process = disk.mount()
            let file = try process.makeDurable("/f", pattern(100))
            let queue = SimulatedAppendQueue(process, seed: seed)
            queue.write([1, 1, 1], to: file, at: 10, thenSync: true, 1, handler)
            queue.write([2, 2], to: file, at: 11, thenSync: true, 2, handler)
            queue.drain()
            let written = try file.readAll()
            #expect(disk.syncedBytes("/f") == written, "seed \(seed)")
        }
    }

    @Test("A sync that was asked for before a mapping's takes back nothing of what that made durable")
    func mappingSyncStays() throws {
        let process = disk.mount()
        let file = try process.makeDurable("/f", pattern(1000))
        try file.write(pattern(2000, seed: 2), at: 1000)
        let queue = SimulatedAppendQueue(process, seed: 1)
        queue.sync(file, CompletionToken(rawValue: 1), handler)
        queue.submit()
        try file.truncate(to: 1500)
        try file.allocate(1500..<2500)
        let region = try file.map(byteCount: 2500, .readWrite)
        try region.sync(0..<2500)
        queue.drain()
        let written = try file.readAll()
        #expect(written.count == 2500 && disk.syncedBytes("/f") == written)
        withExtendedLifetime(region) {}
    }

    @Test("Short writes are continued until all is written, in several calls")
    func shortWrites() throws {
        disk.install(DiskFaultPlan([DiskFault(trigger: .chance(3, in: 4), effect: .shortWrite)]))
        let process = disk.mount()
        let file = try process.open("/f", .createNew)
        let queue = SimulatedAppendQueue(process, seed: 1)
        for index in 0..<10 {
            queue.write(
                pattern(3000), to: file, at: Int64(index) * 3000, thenSync: true, UInt64(index), handler)
        }
        queue.drain()
        #expect(handler.completions.count == 20)
        #expect(disk.count(.write) > 20)
        let expected = (0..<10).flatMap { _ in pattern(3000) }
        #expect(try file.readAll() == expected)
        #expect(disk.syncedBytes("/f") == expected)
    }

    @Test("A failed write has no synced event, a failed sync loses what it should have carried")
    func failures() throws {
        let process = disk.mount()
        let file = try process.makeDurable("/f", [0, 0])
        let queue = SimulatedAppendQueue(process, seed: 1)
        disk.install(.failing(change: 1, .noSpace))
        queue.write([1], to: file, at: 0, thenSync: true, 1, handler)
        queue.drain()
        #expect(handler.completions.map(\.event) == [.written])
        #expect(handler.completions[0].failure == IOError(.write, "/f", .noSpace))
        disk.install(DiskFaultPlan([DiskFault([.sync], trigger: .nth(1), effect: .fail(.inputOutput))]))
        queue.write([2], to: file, at: 1, thenSync: true, 2, handler)
        queue.drain()
        #expect(handler.completions.count == 3 && handler.has(.written, 2) && !handler.has(.synced, 2))
        queue.sync(file, CompletionToken(rawValue: 3), handler)
        queue.drain()
        #expect(handler.has(.synced, 3))
        #expect(try file.read(1..<2) == [2])
        #expect(disk.syncedBytes("/f") == [0, 0])
    }

    @Test(
        "A write in flight at a crash was carried out not at all, in part or whole; one not submitted was not"
    )
    func inFlightAtCrash() throws {
        var counts = Set<Int>()
        for seed in UInt64(0)..<150 {
            let disk = SimulatedDisk(seed: seed)
            let process = disk.mount()
            let file = try process.makeDurable("/f", Array(repeating: 0, count: 8 * 512))
            let queue = SimulatedAppendQueue(process, seed: seed)
            queue.write(Array(repeating: 1, count: 4 * 512), to: file, at: 0, 1, handler)
            queue.submit()
            queue.write(Array(repeating: 2, count: 4 * 512), to: file, at: 4 * 512, 2, handler)
            var generator = SeededGenerator(seed: seed)
            disk.crash(&generator, mode: .keepAll)
            let bytes = try disk.mount().readAll("/f")
            #expect(bytes[(4 * 512)...].allSatisfy { $0 == 0 })
            let sectors = (0..<4).map { bytes[$0 * 512] }
            #expect(
                sectors.enumerated().allSatisfy { sector in
                    bytes[sector.offset * 512..<(sector.offset + 1) * 512].allSatisfy { $0 == sector.element }
                })
            counts.insert(sectors.reduce(0) { $0 * 2 + Int($1) })
        }
        #expect(counts.count > 10)
    }

    @Test("After its process died a queue reports failures and changes nothing")
    func deadQueue() throws {
        let process = disk.mount()
        let file = try process.makeDurable("/f", [])
        let queue = SimulatedAppendQueue(process, seed: 1)
        queue.sync(file, CompletionToken(rawValue: 1), handler)
        queue.write([1], to: file, at: 0, thenSync: true, 2, handler)
        var generator = SeededGenerator(seed: 1)
        disk.crash(&generator, mode: .loseAll)
        queue.write([1], to: file, at: 0, 3, handler)
        queue.drain()
        #expect(handler.completions.count == 3)
        #expect(handler.completions.allSatisfy { $0.failure?.errno == .inputOutput })
        #expect(try disk.mount().readAll("/f") == [])
    }

    @Test("Losing power in the middle of a request fails it and all others")
    func powerLoss() throws {
        let process = disk.mount()
        let file = try process.makeDurable("/f", [])
        let queue = SimulatedAppendQueue(process, seed: 1, pace: .immediate)
        disk.install(.losingPower(atChange: 3))
        for index in 0..<5 {
            queue.write([UInt8(index)], to: file, at: Int64(index), thenSync: true, UInt64(index), handler)
        }
        queue.drain()
        #expect(handler.completions.count { $0.failure == nil } == 2)
        #expect(handler.completions.count { $0.failure != nil } == 4)
        #expect(disk.hasLostPower)
    }

    @Test("A handler may ask for more from within its event")
    func reentrance() throws {
        final class Chain: AppendCompletionHandler {
            var queue: SimulatedAppendQueue?
            var file: (any File)?
            var left = 5
            func appendQueue(completed event: AppendEvent, _ token: CompletionToken, failure: IOError?) {
                guard left > 0, let queue, let file else { return }
                left -= 1
                queue.write([UInt8(left)], to: file, at: Int64(left), UInt64(left), self)
            }
        }
        let process = disk.mount()
        let chain = Chain()
        chain.queue = SimulatedAppendQueue(process, seed: 1, pace: .immediate)
        chain.file = try process.open("/f", .createNew)
        chain.appendQueue(completed: .written, CompletionToken(rawValue: 0), failure: nil)
        chain.queue?.drain()
        #expect(try process.readAll("/f") == [0, 1, 2, 3, 4])
        chain.queue = nil
    }
}
