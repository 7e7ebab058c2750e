import Base
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import LogStorage

@Suite("A partition's log")
struct PartitionLogTests {
    private func value(_ number: Int) -> [UInt8] {
        Array("value-\(number)-\(String(repeating: "x", count: number % 90))".utf8)
    }

    private func fill(_ log: PartitionLog, _ fixture: LogFixture, from: Int = 0, count: Int) throws {
        for number in from..<from + count {
            let result = try log.appendAsLeader(
                TestBatches.batch(value: value(number)), leaderEpoch: LeaderEpoch(0), durably: true)
            #expect(result.firstOffset == Offset(Int64(number)))
            if number % 3 == 0 { fixture.lane.flush() }
        }
        fixture.settle()
    }

    @Test("reads back what was appended, over many segments", arguments: AppendRoad.allCases)
    func roundTrip(road: AppendRoad) throws {
        let fixture = try LogFixture(road: road)
        let log = try fixture.open()
        try fill(log, fixture, count: 300)
        #expect(log.logEndOffset == Offset(300))
        #expect(log.writtenEndOffset == Offset(300))
        #expect(log.syncedEndOffset == Offset(300))
        #expect(log.segmentCount > 5)
        for limit in [1, 200, 1000, 5000] {
            let found = try values(of: log, maximumByteCount: limit)
            #expect(found.map(\.offset) == Array(0..<300))
            #expect(found.map(\.value) == (0..<300).map(value))
        }
        for start in stride(from: 0, to: 300, by: 7) {
            let found = try values(of: log, from: Offset(Int64(start)), maximumByteCount: 700)
            #expect(found.map(\.offset) == Array(Int64(start)..<300))
        }
    }

    @Test("syncs at once what is written and not yet synced", arguments: AppendRoad.allCases)
    func syncNow(road: AppendRoad) throws {
        let fixture = try LogFixture(road: road)
        let log = try fixture.open()
        _ = try log.appendAsLeader(TestBatches.batch(), leaderEpoch: LeaderEpoch(0), durably: false)
        fixture.settle()
        #expect(log.writtenEndOffset == Offset(1) && log.syncedEndOffset == .zero)
        try log.syncNow()
        #expect(log.syncedEndOffset == Offset(1))
    }

    @Test("opens without reading after a clean close, and goes on", arguments: AppendRoad.allCases)
    func cleanRestart(road: AppendRoad) throws {
        let fixture = try LogFixture(road: road)
        let log = try fixture.open()
        try fill(log, fixture, count: 200)
        let point = try log.close()
        #expect(point.recoveryPoint == Offset(200))
        fixture.mountAgain()
        let again = try fixture.open(recoveryPoint: point.recoveryPoint, clean: true)
        #expect(again.logEndOffset == Offset(200))
        try fill(again, fixture, from: 200, count: 100)
        #expect(try values(of: again).map(\.value) == (0..<300).map(value))
        #expect(again.damage.isEmpty)
    }

    @Test("keeps every synced record over a power cut", arguments: AppendRoad.allCases, 1...20)
    func powerCut(road: AppendRoad, seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let fixture = try LogFixture(seed: seed, road: road)
        var log = try fixture.open()
        var synced = Offset.zero
        for round in 0..<6 {
            let from = Int(log.logEndOffset.rawValue)
            for number in from..<from + 40 {
                _ = try log.appendAsLeader(
                    TestBatches.batch(value: value(number)), leaderEpoch: LeaderEpoch(Int32(round)),
                    durably: generator.chance(1, in: 3))
                if generator.chance(1, in: 4) { fixture.lane.flush() }
                if generator.chance(1, in: 4) { fixture.lane.poll(waitNanoseconds: 1_000_000) }
            }
            synced = log.syncedEndOffset
            let point = generator.chance(1, in: 2) ? try log.prepareCheckpoint() : nil
            _ = fixture.disk.crash(&generator)
            fixture.mountAgain()
            log = try fixture.open(recoveryPoint: point?.recoveryPoint)
            #expect(log.logEndOffset >= synced)
            #expect(log.damage.isEmpty)
            let found = try values(of: log)
            #expect(found.map(\.offset) == Array(0..<log.logEndOffset.rawValue))
            #expect(found.map(\.value) == (0..<Int(log.logEndOffset.rawValue)).map(value))
        }
        #expect(synced > Offset.zero)
    }

    @Test("a truncated log ends where it was cut and gives the offsets again")
    func truncation() throws {
        let fixture = try LogFixture()
        let log = try fixture.open()
        try fill(log, fixture, count: 300)
        #expect(try log.truncate(to: Offset(123)) == Offset(123))
        #expect(try values(of: log).map(\.offset) == Array(0..<123))
        try fill(log, fixture, from: 123, count: 100)
        #expect(try values(of: log).map(\.value) == (0..<223).map(value))
    }

    @Test("retention by size lets the oldest segments go; a slice of them can still be read")
    func retention() throws {
        let fixture = try LogFixture(recycleByteCount: 1 << 20)
        fixture.configuration.retentionByteCount = 8192
        let log = try fixture.open()
        try fill(log, fixture, count: 300)
        log.advanceHighWatermark(to: log.logEndOffset)
        let slice = try #require(try log.read(from: .zero, maximumByteCount: 500, limit: .logEnd).slice)
        #expect(try log.deleteOldSegments() > 2)
        try log.removeDeletedFiles()
        #expect(log.logStartOffset > .zero)
        #expect(throws: LogError.self) { try log.read(from: .zero, maximumByteCount: 500, limit: .logEnd) }
        let buffer = IOBuffer(byteCount: slice.byteCount)
        #expect(try slice.file.read(into: buffer, 0..<slice.byteCount, at: slice.position) == slice.byteCount)
        #expect(try RecordBatchHeader(parsing: buffer.bytes).baseOffset == .zero)
        #expect(fixture.directory.recycledFiles.byteCount > 0)
        try fill(log, fixture, from: 300, count: 300)
        let found = try values(of: log)
        #expect(found.map(\.offset) == Array(log.logStartOffset.rawValue..<600))
    }

    @Test("finds offsets by time")
    func timestamps() throws {
        let fixture = try LogFixture()
        let log = try fixture.open()
        for number in 0..<200 {
            _ = try log.appendAsLeader(
                TestBatches.batch(value: value(number), timestamp: Int64(1000 + number * 10)),
                leaderEpoch: LeaderEpoch(0), durably: false)
        }
        fixture.settle()
        for target in stride(from: 900, to: 3100, by: 7) {
            let expected = max(0, (target - 1000 + 9) / 10)
            let found = try log.offset(forTimestamp: Timestamp(Int64(target)), limit: .logEnd)
            #expect(found?.offset == (expected < 200 ? Offset(Int64(expected)) : nil))
        }
        #expect(try log.offsetOfMaximumTimestamp()?.offset == Offset(199))
    }

    @Test("an aborted transaction holds back the last stable offset and is listed")
    func transactions() throws {
        let fixture = try LogFixture()
        let log = try fixture.open()
        _ = try log.appendAsLeader(TestBatches.batch(), leaderEpoch: LeaderEpoch(0), durably: false)
        _ = try log.appendAsLeader(
            TestBatches.batch(producerID: 7, producerEpoch: 0, sequence: 0, isTransactional: true),
            leaderEpoch: LeaderEpoch(0), durably: false)
        fixture.settle()
        log.advanceHighWatermark(to: log.logEndOffset)
        #expect(log.lastStableOffset == Offset(1))
        _ = try log.appendAsLeader(
            TestBatches.marker(isAbort: true, producerID: 7, producerEpoch: 0), leaderEpoch: LeaderEpoch(0),
            origin: .coordinator, durably: false)
        fixture.settle()
        #expect(log.lastStableOffset == Offset(1))
        log.advanceHighWatermark(to: log.logEndOffset)
        #expect(log.lastStableOffset == Offset(3))
        let aborted = try log.abortedTransactions(from: .zero, upTo: log.logEndOffset)
        #expect(aborted.map(\.firstOffset) == [Offset(1)])
        #expect(aborted.map(\.lastOffset) == [Offset(2)])
    }
}
