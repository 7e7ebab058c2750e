import Base
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import LogStorage

@Suite("Compaction against a model")
struct CleanerModelTests {
    /// Every way of looking at the log agrees with the model.
    private func check(_ workload: CleanerWorkload) throws {
        let log = workload.log
        let stored = try batches(of: log)
        #expect(try records(in: stored) == workload.model.records)
        for (previous, next) in zip(stored, stored.dropFirst()) {
            #expect(previous.header.nextOffset <= next.header.baseOffset)
        }
        for index in 0..<log.segments.count - 1 {
            let last = stored.last { $0.header.baseOffset < log.segments[index + 1].baseOffset }
            #expect(try #require(last).header.nextOffset == log.segments[index + 1].baseOffset)
        }
        let all = workload.model.records
        for _ in 0..<10 {
            let from = Offset(Int64(workload.generator.next() % UInt64(log.logEndOffset.rawValue)))
            let found = try records(in: try batches(of: log, from: from, maximumByteCount: 600), from: from)
            #expect(found == all.filter { $0.offset >= from })
        }
    }

    /// What is known of producers is the same when it is derived from the batches alone.
    private func checkProducers(_ workload: CleanerWorkload) throws {
        let log = workload.log
        let before = log.producerEntries
        let unstable = log.producers.firstUndecidedOffset
        for name in try workload.fixture.fileSystem.contents(ofDirectory: log.path)
        where name.name.hasSuffix(".snapshot") {
            try workload.fixture.fileSystem.remove("\(log.path)/\(name.name)")
        }
        try log.rebuildProducers(upTo: log.logEndOffset)
        #expect(log.producers.firstUndecidedOffset == unstable)
        for entry in before {
            let again = try #require(log.producers.entry(of: entry.producerID))
            #expect(again.lastSequence == entry.lastSequence)
            #expect(again.lastDataOffset == entry.lastDataOffset)
            #expect(again.producerEpoch == entry.producerEpoch)
            #expect(again.currentTransactionFirstOffset != nil || entry.currentTransactionFirstOffset == nil)
        }
    }

    @Test("many rounds leave the latest record of each key, at its offset", arguments: 1...12)
    func rounds(seed: UInt64) throws {
        let workload = try CleanerWorkload(seed: seed)
        var rounds = 0
        for _ in 0..<6 {
            for _ in 0..<60 { try workload.step() }
            try workload.settle()
            let end = workload.log.logEndOffset
            if try workload.clean() != nil { rounds += 1 }
            #expect(workload.log.logEndOffset == end)
            try check(workload)
            workload.fixture.clock.advance(milliseconds: Int64(workload.generator.next() % 15_000))
        }
        #expect(rounds >= 3)
        try checkProducers(workload)
        let point = try workload.log.close()
        try workload.reopen(recoveryPoint: point.recoveryPoint, clean: true)
        try check(workload)
        #expect(workload.log.damage.isEmpty)
    }

    @Test("a map too small for the keys takes several rounds to the same end", arguments: 1...15)
    func smallMap(seed: UInt64) throws {
        let workload = try CleanerWorkload(seed: seed)
        for _ in 0..<200 { try workload.step() }
        try workload.endAllTransactions()
        try workload.settle()
        let end = try #require(try workload.log.cleanability()).endOffset
        var rounds = 0
        while workload.log.firstDirtyOffset < end {
            let before = workload.log.firstDirtyOffset
            _ = try #require(try workload.clean(dedupeByteCount: 6 * OffsetMap.slotByteCount))
            #expect(workload.log.firstDirtyOffset > before)
            try check(workload)
            rounds += 1
        }
        #expect(rounds > 5)
        try checkProducers(workload)
    }

    @Test("an opened log without recovery points and checkpoints reads the same", arguments: 1...10)
    func reopenedFromNothing(seed: UInt64) throws {
        let workload = try CleanerWorkload(seed: seed)
        for _ in 0..<3 {
            for _ in 0..<80 { try workload.step() }
            try workload.settle()
            _ = try workload.clean()
            workload.fixture.clock.advance(milliseconds: 8_000)
        }
        let end = workload.log.logEndOffset
        let unstable = workload.log.producers.firstUndecidedOffset
        try workload.reopen(recoveryPoint: nil)
        #expect(workload.log.logEndOffset == end)
        #expect(workload.log.damage.isEmpty)
        #expect(workload.log.producers.firstUndecidedOffset == unstable)
        #expect(workload.log.firstDirtyOffset == .zero)
        try check(workload)
    }

    @Test("a batch of which everything stays is not touched", arguments: 1...10)
    func untouchedBatches(seed: UInt64) throws {
        let workload = try CleanerWorkload(seed: seed)
        workload.keyCount = 200
        for _ in 0..<150 { try workload.step() }
        try workload.endAllTransactions()
        try workload.settle()
        let before = Dictionary(
            uniqueKeysWithValues: try batches(of: workload.log).map { ($0.header.baseOffset, $0) })
        _ = try #require(try workload.clean())
        var identical = 0
        for batch in try batches(of: workload.log) {
            let old = try #require(before[batch.header.baseOffset])
            #expect(batch.header.lastOffset == old.header.lastOffset)
            #expect(batch.header.producerID == old.header.producerID)
            #expect(batch.header.producerEpoch == old.header.producerEpoch)
            #expect(batch.header.baseSequence == old.header.baseSequence)
            #expect(batch.header.partitionLeaderEpoch == old.header.partitionLeaderEpoch)
            guard batch.header.recordCount == old.header.recordCount else { continue }
            if batch.header.attributes.hasDeleteHorizon {
                let horizon = workload.model.horizon(ofBatch: batch.header.baseOffset.rawValue)
                if !batch.header.attributes.isControl {
                    #expect(batch.header.baseTimestamp.rawValue == horizon)
                }
            } else {
                #expect(batch == old)
                identical += 1
            }
        }
        #expect(identical > 0)
        // Compacted once more, with nothing new, nothing changes.
        let once = try batches(of: workload.log)
        workload.log.cleaning.restore(.zero)
        _ = try #require(try workload.clean())
        let twice = try batches(of: workload.log)
        #expect(
            twice.filter { !$0.header.attributes.isControl }
                == once.filter { !$0.header.attributes.isControl && !isObsolete($0, in: twice) })
    }

    /// An empty batch that held the end of a group which the second round joined to the next.
    private func isObsolete(_ batch: StoredBatch, in later: [StoredBatch]) -> Bool {
        batch.header.recordCount == 0 && !later.contains(batch)
    }

    @Test("offsets by time are found among what is left", arguments: 1...10)
    func timestamps(seed: UInt64) throws {
        let workload = try CleanerWorkload(seed: seed)
        for _ in 0..<200 {
            try workload.appendBatch()
            workload.fixture.clock.advance(milliseconds: 30)
        }
        try workload.settle()
        _ = try #require(try workload.clean())
        let left = workload.model.records
        let times = left.map(\.timestamp.rawValue)
        for target in stride(from: times[0] - 100, through: times[times.count - 1] + 100, by: 37) {
            let expected = left.first { $0.timestamp.rawValue >= target }
            let found = try workload.log.offset(forTimestamp: Timestamp(target), limit: .logEnd)
            #expect(found?.offset == expected?.offset)
        }
    }

    @Test(
        "slices taken before a round stay readable, and reads between its steps see each record once",
        arguments: 1...8)
    func readersBetween(seed: UInt64) throws {
        let workload = try CleanerWorkload(seed: seed)
        for _ in 0..<150 { try workload.step() }
        try workload.endAllTransactions()
        try workload.settle()
        let log = workload.log
        var slices: [(LogSlice, [UInt8])] = []
        var next = Offset.zero
        while let slice = try log.read(from: next, maximumByteCount: 900, limit: .logEnd).slice {
            slices.append((slice, try bytes(of: slice)))
            next = slice.nextOffset
        }
        var steps = 0
        _ = try workload.clean {
            steps += 1
            let found = try records(in: try batches(of: log, maximumByteCount: 700)).map(\.offset)
            #expect(found == found.sorted() && Set(found).count == found.count)
        }
        #expect(steps > 4)
        for (slice, content) in slices { #expect(try bytes(of: slice) == content) }
    }

    private func bytes(of slice: LogSlice) throws -> [UInt8] {
        let buffer = IOBuffer(byteCount: slice.byteCount)
        #expect(try slice.file.read(into: buffer, 0..<slice.byteCount, at: slice.position) == slice.byteCount)
        return buffer.bytes.withUnsafeBytes { Array($0) }
    }
}
