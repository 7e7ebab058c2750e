import Base
import SimulationKit
import SystemIO
import Testing

@Suite("What a simulated disk costs")
struct SimulatedDiskCostTests {
    @Test("A sync carries the pages that were written, whatever the size of the file")
    func syncCarriesDirtyPages() throws {
        let disk = SimulatedDisk(seed: 1)
        let file = try disk.mount().open("/f", .createNew)
        try file.allocate(0..<1 << 30)
        try file.sync(.data)
        let before = try #require(disk.syncCost(of: "/f")).carriedPages
        try file.write([1], at: 5000)
        try file.write(pattern(4096), at: 700 << 20)
        try file.sync(.data)
        try file.sync(.data)
        #expect(try #require(disk.syncCost(of: "/f")).carriedPages == before + 2)
    }

    @Test("A sync of a large mapping looks only at pages that were touched, and carries those stored to")
    func syncComparesTouchedPages() throws {
        let disk = SimulatedDisk(seed: 1)
        let file = try disk.mount().open("/f", .createNew)
        try file.allocate(0..<1 << 30)
        let region = try file.map(byteCount: 1 << 30, .readWrite)
        region.store([1], at: 123_456_789)
        region.store([1], at: 987_654_321)
        try region.sync(0..<1 << 30)
        let cost = try #require(disk.syncCost(of: "/f"))
        #expect(cost.carriedPages == 2)
        // A pooled reservation keeps some zeroed pages of its last file.
        #expect(cost.comparedPages <= 2 + 16)
    }

    @Test("Thousands of files come and go")
    func manyFiles() throws {
        let disk = SimulatedDisk(seed: 1)
        let process = disk.mount()
        for round in 0..<20 {
            for index in 0..<200 {
                let file = try process.open("/\(index)", .createNew)
                try file.write([UInt8(round + 1)], at: Int64(index) * 1000)
                #expect(try file.read(0..<1) == [index == 0 ? UInt8(round + 1) : 0])
                try file.sync(.data)
            }
            for index in 0..<200 { try process.remove("/\(index)") }
            try process.syncDirectory("/")
        }
        #expect(disk.usedByteCount == 0)
    }
}

@Suite("A simulated disk and its seed")
struct SimulatedDiskDeterminismTests {
    /// Runs files, a queue, faults and crashes from one seed.
    private func transcript(_ seed: UInt64) throws -> String {
        let trace = OperationTrace()
        let disk = SimulatedDisk(seed: seed, trace: trace)
        var generator = SeededGenerator(seed: seed)
        var plan = DiskFaultPlan([
            DiskFault([.write, .sync], trigger: .chance(1, in: 12), effect: .fail(.inputOutput)),
            DiskFault([.write], trigger: .chance(1, in: 4), effect: .shortWrite),
        ])
        plan.writeBackPer1024 = 100
        plan.latencies = [.write: 10...1000, .sync: 1000...100_000]
        disk.install(plan)
        for _ in 0..<4 {
            let process = disk.mount()
            let queue = SimulatedAppendQueue(process, seed: generator.next())
            let handler = RecordedCompletions()
            for step in UInt64(0)..<40 {
                let path = "/\(Int.random(in: 0..<4, using: &generator))"
                guard let file = try? process.open(path, .createOrOpen) else { continue }
                let bytes = pattern(Int.random(in: 1...2000, using: &generator), seed: step)
                switch step % 5 {
                case 0: try? file.write(bytes, at: Int64(step * 100))
                case 1:
                    queue.write(
                        bytes, to: file, at: Int64(step * 100), thenSync: step % 2 == 0, step, handler)
                case 2: try? process.syncDirectory("/")
                case 3: queue.poll(waitNanoseconds: 1000)
                default: queue.step()
                }
            }
            disk.crash(&generator)
            for path in disk.allPaths { trace.noteContent(path, disk.writtenBytes(path) ?? []) }
        }
        return trace.transcript + "\n\(disk.clock.monotonicNanoseconds())"
    }

    @Test(
        "Two runs from one seed do the same, down to the bytes and the time; another seed does something else"
    )
    func replay() throws {
        for seed in UInt64(1)...10 {
            let first = try transcript(seed)
            #expect(try transcript(seed) == first)
            #expect(try transcript(seed + 100) != first)
        }
    }
}

extension OperationTrace {
    fileprivate func noteContent(_ path: String, _ bytes: [UInt8]) {
        note(
            "content",
            detail: "\(path): \(bytes.count) bytes, \(bytes.reduce(UInt64(7)) { $0 &* 31 &+ UInt64($1) })")
    }
}
