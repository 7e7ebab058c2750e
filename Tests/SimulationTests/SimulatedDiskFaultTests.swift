import Base
import SimulationKit
import SystemIO
import Testing

@Suite("Faults of a simulated disk")
struct SimulatedDiskFaultTests {
    private func errno(_ body: () throws -> Void) -> Errno? {
        do { try body() } catch { return (error as? IOError)?.errno }
        return nil
    }

    @Test("The nth matching operation fails, on the paths and of the kinds that were named, once")
    func nth() throws {
        let disk = SimulatedDisk(seed: 1)
        let process = disk.mount()
        let log = try process.open("/d.log", .createNew)
        let index = try process.open("/d.index", .createNew)
        disk.install(
            DiskFaultPlan([
                DiskFault([.write], paths: .hasSuffix(".log"), trigger: .nth(2), effect: .fail(.inputOutput))
            ]))
        try log.write([1], at: 0)
        try index.write([1], at: 0)
        try index.write([1], at: 1)
        try log.sync(.data)
        #expect(errno { try log.write([2], at: 1) } == .inputOutput)
        try log.write([3], at: 1)
    }

    @Test("Each kind of operation can be made to fail, with the error that was asked for and without effect")
    func kinds() throws {
        let operations: [IOOperation] = [
            .open, .read, .truncate, .allocate, .map, .stat, .list, .rename, .remove, .createDirectory,
            .removeDirectory, .syncDirectory, .space, .lock, .write, .sync,
        ]
        for operation in operations {
            let disk = SimulatedDisk(seed: 1)
            let process = disk.mount()
            let file = try process.makeDurable("/d/f", [1, 2, 3])
            try process.createDirectory("/e")
            disk.install(DiskFaultPlan([DiskFault([operation], trigger: .from(1), effect: .fail(.noSpace))]))
            let attempts: [IOOperation: () throws -> Void] = [
                .open: { _ = try process.open("/d/g", .createNew) }, .read: { _ = try file.read(0..<1) },
                .truncate: { try file.truncate(to: 0) }, .allocate: { try file.allocate(0..<10_000) },
                .map: { _ = try file.map(byteCount: 3, .read) }, .stat: { _ = try file.byteCount() },
                .list: { _ = try process.names("/") }, .rename: { try process.rename("/d/f", to: "/d/g") },
                .remove: { try process.remove("/d/f") },
                .createDirectory: { try process.createDirectory("/g") },
                .removeDirectory: { try process.removeDirectory("/e") },
                .syncDirectory: { try process.syncDirectory("/d") },
                .space: { _ = try process.space(at: "/") },
                .lock: { _ = try process.lock("/lock") }, .write: { try file.write([9], at: 3) },
                .sync: { try file.sync(.data) },
            ]
            let attempt = try #require(attempts[operation])
            #expect(errno(attempt) == .noSpace, "\(operation)")
            disk.liftFaults()
            #expect(disk.allPaths == ["/d/f"], "\(operation)")
            #expect(Array(try process.readAll("/d/f").prefix(3)) == [1, 2, 3], "\(operation)")
            #expect(try process.names("/") == ["d", "e"], "\(operation)")
        }
    }

    @Test("Faults with a probability strike some operations, and as often as was allowed")
    func chances() throws {
        let disk = SimulatedDisk(seed: 5)
        let file = try disk.mount().open("/f", .createNew)
        disk.install(
            DiskFaultPlan([DiskFault([.write], trigger: .chance(1, in: 4), effect: .fail(.inputOutput))]))
        let failures = (0..<400).count { position in errno { try file.write([1], at: Int64(position)) } != nil
        }
        #expect((60...140).contains(failures))
        disk.install(
            DiskFaultPlan([
                DiskFault([.write], trigger: .from(3), effect: .fail(.inputOutput), maximumCount: 2)
            ]))
        let pattern = (0..<6).map { position in errno { try file.write([1], at: Int64(position)) } != nil }
        #expect(pattern == [false, false, true, true, false, false])
    }

    /// A little work of all kinds; what it acknowledges is in the file and durable.
    private func work(_ process: SimulatedFileSystem) throws -> Int {
        var acknowledged = 0
        try process.createDirectory("/d")
        try process.syncDirectory("/")
        let file = try process.open("/d/f", .createNew)
        try process.syncDirectory("/d")
        try file.allocate(0..<8192)
        for index in 0..<4 {
            try file.write([UInt8(index + 1)], at: Int64(index))
            try file.sync(.data)
            acknowledged = index + 1
            try process.open("/d/tmp", .createOrOpen).write([UInt8(index)], at: 0)
            try process.rename("/d/tmp", to: "/d/other")
            try file.truncate(to: Int64(8192 + index))
        }
        try process.remove("/d/other")
        return acknowledged
    }

    @Test("A test can fail every change once: the changes of a run without faults count them")
    func everyChangeFails() throws {
        let disk = SimulatedDisk(seed: 1)
        #expect(try work(disk.mount()) == 4)
        let changes = disk.changeCount
        #expect(changes > 20)
        for change in 1...changes {
            let disk = SimulatedDisk(seed: 1)
            disk.install(.failing(change: change, .noSpace))
            let process = disk.mount()
            #expect(errno { _ = try work(process) } == .noSpace, "change \(change)")
            #expect(process.isAlive)
        }
        disk.install(.failing(change: changes + 1))
        #expect(disk.changeCount == 0)
    }

    @Test(
        "A test can cut the power at every change: nothing happens after it, what was synced survives"
    )
    func everyChangeLosesPower() throws {
        let counting = SimulatedDisk(seed: 1)
        _ = try work(counting.mount())
        for change in 1...counting.changeCount {
            let disk = SimulatedDisk(seed: UInt64(change))
            disk.install(.losingPower(atChange: change))
            let process = disk.mount()
            #expect(errno { _ = try work(process) } == .inputOutput)
            #expect(disk.hasLostPower && !process.isAlive)
            let paths = disk.allPaths
            #expect(errno { try process.createDirectory("/more") } == .inputOutput)
            #expect(errno { _ = try process.open("/more.file", .createNew) } == .inputOutput)
            #expect(disk.allPaths == paths)
            let bytes = disk.syncedBytes("/d/f") ?? []
            var generator = SeededGenerator(seed: UInt64(change))
            disk.crash(&generator)
            #expect(!disk.hasLostPower)
            let acknowledged = bytes.prefix(4).filter { $0 != 0 }
            let left = disk.writtenBytes("/d/f") ?? []
            #expect(left.starts(with: acknowledged), "change \(change)")
        }
    }

    @Test("What a failed sync should have carried is lost to later syncs until it is written again")
    func failedSync() throws {
        let disk = SimulatedDisk(seed: 1)
        let process = disk.mount()
        let file = try process.makeDurable("/f", Array(repeating: 0, count: 8192))
        let region = try file.map(byteCount: 8192, .readWrite)
        disk.install(DiskFaultPlan([DiskFault([.sync], trigger: .nth(1), effect: .fail(.inputOutput))]))
        try file.write([1], at: 0)
        region.store([1], at: 4096)
        #expect(errno { try file.sync(.full) } == .inputOutput)
        #expect(try file.read(0..<1) == [1])
        try file.sync(.full)
        #expect(disk.syncedBytes("/f")?[0] == 0 && disk.syncedBytes("/f")?[4096] == 0)
        try file.write([2], at: 1)
        try file.sync(.full)
        #expect(disk.syncedBytes("/f")?.prefix(2) == [1, 2] && disk.syncedBytes("/f")?[4096] == 0)
        region.store([2], at: 4097)
        try region.sync(4096..<4098)
        #expect(disk.syncedBytes("/f")?[4096..<4098] == [1, 2])
    }

    @Test("The bytes of a failed sync survive a crash or not, as other unsynced ones")
    func failedSyncThenCrash() throws {
        var outcomes = Set<UInt8>()
        for seed in UInt64(0)..<40 {
            let disk = SimulatedDisk(seed: seed)
            let file = try disk.mount().makeDurable("/f", [9])
            disk.install(DiskFaultPlan([DiskFault([.sync], trigger: .nth(1), effect: .fail(.inputOutput))]))
            try file.write([1], at: 0)
            _ = errno { try file.sync(.full) }
            try file.sync(.full)
            var generator = SeededGenerator(seed: seed)
            disk.crash(&generator)
            outcomes.formUnion(disk.writtenBytes("/f") ?? [])
        }
        #expect(outcomes == [1, 9])
    }

    @Test("After a failed sync the page cache may show what is on the disk instead of what was written")
    func evictionAfterFailedSync() throws {
        var outcomes = Set<UInt8>()
        for seed in UInt64(0)..<40 {
            let disk = SimulatedDisk(seed: seed)
            let file = try disk.mount().makeDurable("/f", [9])
            var plan = DiskFaultPlan([DiskFault([.sync], trigger: .nth(1), effect: .fail(.inputOutput))])
            plan.evictsAfterFailedSync = true
            disk.install(plan)
            try file.write([1], at: 0)
            #expect(errno { try file.sync(.full) } == .inputOutput)
            let bytes = try file.readAll()
            outcomes.formUnion(bytes)
            #expect(disk.syncedBytes("/f") == bytes)
        }
        #expect(outcomes == [1, 9])
    }

    @Test("What a failed directory sync should have carried is lost to later syncs")
    func failedDirectorySync() throws {
        let disk = SimulatedDisk(seed: 1)
        let process = disk.mount()
        _ = try process.open("/a", .createNew)
        disk.install(
            DiskFaultPlan([DiskFault([.syncDirectory], trigger: .nth(1), effect: .fail(.inputOutput))]))
        #expect(errno { try process.syncDirectory("/") } == .inputOutput)
        _ = try process.open("/b", .createNew)
        // What builds on the lost name is lost with it: durable by itself it would be a file from nowhere.
        try process.rename("/a", to: "/c")
        try process.rename("/c", to: "/d")
        try process.syncDirectory("/")
        var generator = SeededGenerator(seed: 1)
        disk.crash(&generator, mode: .loseAll)
        #expect(disk.allPaths == ["/b"])
    }

    @Test("A failing write leaves any part of itself")
    func partialWrites() throws {
        var lengths = Set<Int>()
        for seed in UInt64(0)..<60 {
            let disk = SimulatedDisk(seed: seed)
            let file = try disk.mount().open("/f", .createNew)
            disk.install(.failing(change: 1))
            let bytes = pattern(50)
            #expect(errno { try file.write(bytes, at: 0) } == .inputOutput)
            let left = try #require(disk.writtenBytes("/f"))
            #expect(bytes.starts(with: left))
            lengths.insert(left.count)
        }
        #expect(lengths.count > 20)
    }

    @Test("A synchronous write continues after short writes")
    func shortWrites() throws {
        let disk = SimulatedDisk(seed: 2)
        let file = try disk.mount().open("/f", .createNew)
        disk.install(DiskFaultPlan([DiskFault(trigger: .chance(3, in: 4), effect: .shortWrite)]))
        let writes = disk.count(.write)
        let bytes = pattern(20_000)
        let buffer = IOBuffer(copying: bytes)
        try file.write([BufferSlice(buffer, 0..<7), BufferSlice(buffer, 7..<20_000)], at: 0)
        #expect(disk.writtenBytes("/f") == bytes)
        #expect(disk.count(.write) > writes + 1)
    }

    @Test("A full volume takes what fits, refuses the rest with noSpace, and has room again after a removal")
    func capacity() throws {
        let disk = SimulatedDisk(seed: 1, capacity: 16 * 4096)
        let process = disk.mount()
        let first = try process.open("/a", .createNew)
        try first.allocate(0..<10 * 4096)
        #expect(disk.usedByteCount == 10 * 4096)
        #expect(try process.space(at: "/").available == 6 * 4096)
        #expect(try process.space(at: "/").total == 16 * 4096)
        var second: (any File)? = try process.open("/b", .createNew)
        #expect(errno { try second?.allocate(0..<7 * 4096) } == .noSpace)
        #expect(errno { try second?.write(pattern(7 * 4096), at: 0) } == .noSpace)
        #expect(try second?.byteCount() == 6 * 4096)
        #expect(errno { try second?.write([1], at: 6 * 4096) } == .noSpace)
        try second?.write([1], at: 6 * 4096 - 1)
        try first.write([1], at: 10 * 4096 - 1)
        try process.remove("/b")
        #expect(disk.usedByteCount == 16 * 4096)
        second = nil
        #expect(disk.usedByteCount == 10 * 4096)
        try first.truncate(to: 4097)
        #expect(disk.usedByteCount == 2 * 4096)
        disk.setCapacity(4096)
        #expect(try process.space(at: "/").available == 0)
        var generator = SeededGenerator(seed: 1)
        disk.crash(&generator, mode: .loseAll)
        #expect(disk.usedByteCount == 0)
    }

    @Test("Operations take virtual time where the plan says so")
    func latency() throws {
        let disk = SimulatedDisk(seed: 1)
        let file = try disk.mount().open("/f", .createNew)
        var plan = DiskFaultPlan([
            DiskFault([.write], trigger: .nth(2), effect: .delay(nanoseconds: 1_000_000))
        ])
        plan.latencies[.sync] = 100...200
        disk.install(plan)
        let start = disk.clock.monotonicNanoseconds()
        try file.write([1], at: 0)
        #expect(disk.clock.monotonicNanoseconds() == start)
        try file.sync(.data)
        #expect((100...200).contains(disk.clock.monotonicNanoseconds() - start))
        try file.write([1], at: 0)
        #expect(disk.clock.monotonicNanoseconds() - start >= 1_000_000)
    }

    @Test("With write-back an older version of the bytes may be what a crash leaves")
    func writeBack() throws {
        var outcomes = Set<UInt8>()
        for seed in UInt64(0)..<200 {
            let disk = SimulatedDisk(seed: seed)
            let file = try disk.mount().makeDurable("/f", [1])
            var plan = DiskFaultPlan()
            plan.writeBackPer1024 = 512
            disk.install(plan)
            try file.write([2], at: 0)
            try file.write([3], at: 0)
            var generator = SeededGenerator(seed: seed)
            disk.crash(&generator)
            outcomes.formUnion(disk.writtenBytes("/f") ?? [])
        }
        #expect(outcomes == [1, 2, 3])
    }

    @Test("Hints are counted and do nothing")
    func advice() throws {
        let disk = SimulatedDisk(seed: 1)
        let file = try disk.mount().open("/f", .createNew)
        file.advise(.dontNeed, 0..<100)
        #expect(disk.count(.advise) == 1)
    }
}
