import Base
import LogStorage
import RecordFormat
import SimulationKit
import SystemIO
import Testing

/// Indexes on a disk that is full, that fails, and that loses power.
@Suite("Indexes and faults of the disk")
struct IndexFaultTests {
    static let base = Offset(500)
    static let path = "/data/i"

    private func disk(seed: UInt64 = 0, capacity: Int64? = nil) throws -> SimulatedDisk {
        let disk = SimulatedDisk(seed: seed, capacity: capacity)
        let fileSystem = disk.mount()
        try fileSystem.createDirectory("/data")
        try fileSystem.syncDirectory("/")
        return disk
    }

    private func createOffsetIndex(_ fileSystem: any FileSystem) throws -> OffsetIndex {
        try OffsetIndex.create(
            at: Self.path, baseOffset: Self.base, maximumByteCount: 10 << 20, fileSystem)
    }

    private func positions(_ index: OffsetIndex) -> [Int64] {
        (0..<index.entryCount).map { index.entry($0).position }
    }

    @Test("on a full disk entries are skipped, those that there are stay, and it goes on when there is room")
    func fullDisk() throws {
        let disk = try disk(capacity: 16 << 10)
        let fileSystem = disk.mount()
        let index = try createOffsetIndex(fileSystem)
        var appended: [Int64] = []
        for number in 1...5_000 as ClosedRange<Int64> where index.append(Self.base + number, at: number) {
            appended.append(number)
        }
        #expect(appended.count >= 1_024 && appended.count < 5_000)
        #expect(positions(index) == appended && index.failure == nil && !index.isFull)
        try index.sync()
        disk.setCapacity(64 << 10)
        #expect(index.append(Self.base + 6_000, at: 6_000))
        appended.append(6_000)
        try index.seal()
        let sealed = try OffsetIndex.openSealed(at: Self.path, baseOffset: Self.base, fileSystem)
        #expect(positions(sealed) == appended)
        #expect(sealed.damage(logByteCount: 6_001, thorough: true) == nil)
    }

    @Test("a disk without any room gives an index without entries, which seals")
    func noRoomAtAll() throws {
        let disk = try disk()
        let fileSystem = disk.mount()
        let index = try createOffsetIndex(fileSystem)
        let times = try TimeIndex.create(
            at: Self.path + "t", baseOffset: Self.base, maximumByteCount: 10 << 20, fileSystem)
        disk.setCapacity(0)
        #expect(!index.append(Self.base + 1, at: 1) && !times.append(Timestamp(1), Self.base))
        #expect(!times.append(Timestamp(1), Self.base, force: true))
        try index.seal()
        try times.seal()
        let sealed = try OffsetIndex.openSealed(at: Self.path, baseOffset: Self.base, fileSystem)
        #expect(sealed.entryCount == 0 && sealed.damage(logByteCount: 0, thorough: true) == nil)
    }

    @Test("an aborted transaction that finds no room is refused, not left out, and may be tried again")
    func fullTransactionIndex() throws {
        let disk = try disk()
        let fileSystem = disk.mount()
        let index = try TransactionIndex.create(at: Self.path, baseOffset: Self.base, fileSystem)
        func entry(_ number: Int64) -> AbortedTransaction {
            AbortedTransaction(
                producerID: ProducerID(number), firstOffset: Self.base + number,
                lastOffset: Self.base + number,
                lastStableOffset: Self.base + (number + 1))
        }
        disk.setCapacity(4 << 10)
        var count: Int64 = 0
        do {
            while count < 1_000 {
                try index.append(entry(count))
                count += 1
            }
        } catch {
            #expect(error.errno == .noSpace)
        }
        #expect(count == 4096 / 34)
        #expect(try index.entryCount() == Int(count))
        // No part of the entry that was refused is left.
        let other = TransactionIndex.openSealed(at: Self.path, baseOffset: Self.base, fileSystem)
        #expect(try other.damage() == nil && other.entryCount() == Int(count))
        disk.setCapacity(nil)
        try index.append(entry(count))
        #expect(try index.lastEntry() == entry(count))
        try index.seal()
        #expect(try index.lastEntry() == entry(count) && index.damage() == nil)
    }

    @Test("the last timestamp finds its room on a full disk, at every fill of a block")
    func lastTimestampOnFullDisk() throws {
        for count in [1, 2, 340, 341, 342, 343, 681, 682, 683] as [Int64] {
            let disk = try disk()
            let index = try TimeIndex.create(
                at: Self.path, baseOffset: Self.base, maximumByteCount: 10 << 20, disk.mount())
            for number in 1...count { #expect(index.append(Timestamp(number), Self.base + number)) }
            disk.setCapacity(0)
            var number = count + 1
            while index.append(Timestamp(number), Self.base + number) { number += 1 }
            #expect(index.append(Timestamp(number), Self.base + number, force: true))
            #expect(index.lastEntry?.timestamp == Timestamp(number))
            try index.seal()
            #expect(index.entryCount == Int(number))
        }
    }

    @Test("a failure other than for want of room stops the growth and is thrown by the next sync and seal")
    func brokenDisk() throws {
        for operation in [IOOperation.allocate, .map] {
            let disk = try disk()
            let index = try createOffsetIndex(disk.mount())
            #expect(index.append(Self.base + 1, at: 1))
            disk.install(
                DiskFaultPlan([DiskFault([operation], trigger: .nth(1), effect: .fail(.inputOutput))]))
            var number: Int64 = 2
            while index.append(Self.base + number, at: number) { number += 1 }
            #expect(index.entryCount == 512 && index.failure?.errno == .inputOutput)
            disk.liftFaults()
            #expect(!index.append(Self.base + 9_999, at: 9_999))
            #expect(index.floor(position: 300)?.position == 300)
            #expect(throws: IOError.self) { try index.sync() }
            #expect(throws: IOError.self) { try index.seal() }
        }
    }

    @Test("a failure at any step of sealing is thrown, again too, and never traps")
    func failedSeal() throws {
        for step in 1...4 {
            let disk = try disk()
            let index = try createOffsetIndex(disk.mount())
            for number in 1...700 as ClosedRange<Int64> { index.append(Self.base + number, at: number) }
            let changes = disk.changeCount
            disk.install(.failing(change: step))
            do {
                try index.seal()
                // The steps are counted from the installation; past the last one nothing fails.
                #expect(step > disk.changeCount - changes || step == 4)
            } catch {
                #expect(error.errno == .inputOutput)
                disk.liftFaults()
                #expect(throws: IOError.self) { try index.seal() }
            }
            _ = index.floor(offset: Self.base + 5)
            _ = index.damage(logByteCount: 1_000, thorough: true)
        }
    }

    @Test("what is sealed survives any crash as it is", arguments: 0..<200 as Range<UInt64>)
    func sealedSurvives(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let disk = try disk(seed: seed)
        let fileSystem = disk.mount()
        let index = try createOffsetIndex(fileSystem)
        let transactions = try TransactionIndex.create(
            at: Self.path + "x", baseOffset: Self.base, fileSystem)
        let count = Int64(generator.next() % 2_000)
        for number in 0..<count {
            index.append(Self.base + number, at: number)
            if number % 10 == 0 {
                try transactions.append(
                    AbortedTransaction(
                        producerID: ProducerID(1), firstOffset: Self.base, lastOffset: Self.base + number,
                        lastStableOffset: Self.base))
            }
        }
        if generator.chance(1, in: 2) { index.truncate(removingFromPosition: count / 2) }
        let expected = positions(index)
        try index.seal()
        try transactions.seal()
        // The name of the offset index is not promised: a missing one is rebuilt. That of the transaction
        // index is.
        if count == 0 { try fileSystem.syncDirectory("/data") }
        disk.crash(&generator)
        let next = disk.mount()
        if count > 0 {
            let sealed = try OffsetIndex.openSealed(at: Self.path, baseOffset: Self.base, next)
            #expect(positions(sealed) == expected)
            #expect(sealed.damage(logByteCount: count, thorough: true) == nil)
        }
        let found = TransactionIndex.openSealed(at: Self.path + "x", baseOffset: Self.base, next)
        #expect(try found.entryCount() == Int((count + 9) / 10) && found.damage() == nil)
    }

    @Test(
        "what was not sealed is seen to be damaged after a crash, or holds nothing that was not appended",
        arguments: 0..<400 as Range<UInt64>)
    func unsealedIsSafe(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let disk = try disk(seed: seed)
        let fileSystem = disk.mount()
        let index = try createOffsetIndex(fileSystem)
        try fileSystem.syncDirectory("/data")
        let count = Int64(generator.next() % 3_000) + 1
        let synced = Int64(generator.next() % UInt64(count))
        for number in 1...count {
            index.append(Self.base + number * 3, at: number * 7)
            if number == synced { try index.sync() }
        }
        disk.crash(&generator)
        let found = try OffsetIndex.openForAppend(
            at: Self.path, baseOffset: Self.base, maximumByteCount: 10 << 20, disk.mount())
        let logByteCount = count * 7 + 1
        guard found.damage(logByteCount: logByteCount, thorough: true) == nil else { return }
        for number in 0..<found.entryCount {
            let entry = found.entry(number)
            // An entry of zeros points at the beginning, which is true of every log.
            let isZero = entry == OffsetPosition(offset: Self.base, position: 0)
            #expect(isZero || entry.position * 3 == (entry.offset - Self.base) * 7, "seed \(seed)")
        }
    }
}
