import Base
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import LogStorage

@Suite("Logs that move between directories")
struct LogMoveTests {
    private static let partition = TopicPartition(topic: "t", partition: 0)
    private static let chunk = 700
    /// Small segments that nothing but the log start deletes.
    private static var settings: LogConfiguration {
        var settings = LogFixture.smallSegments()
        settings.retentionMilliseconds = -1
        return settings
    }

    private func append(
        _ node: LogManagerTests.Node, _ log: PartitionLog, _ count: Int, from sequence: inout Int32
    ) throws {
        for _ in 0..<count {
            let batch = TestBatches.batch(
                count: 2, value: Array("value \(sequence)".utf8), producerID: 7, producerEpoch: 0,
                sequence: sequence)
            _ = try log.appendAsLeader(batch, leaderEpoch: LeaderEpoch(3), durably: true)
            sequence += 2
        }
        node.settle()
        log.advanceHighWatermark(to: log.logEndOffset)
    }

    /// Another directory than the one where the log is.
    private func target(_ node: LogManagerTests.Node, _ log: PartitionLog) throws -> OpenedDirectory {
        try #require(node.store.directories.first { $0.directory !== log.directory })
    }

    /// Copies until the end is near, with `between` after each step, and ends the move.
    private func run(
        _ node: LogManagerTests.Node, _ move: LogMove, between: () throws -> Void = {}
    ) throws -> PartitionLog? {
        while try !move.isNearEnd(maximumByteCount: Self.chunk) {
            if let slice = try move.nextSlice(maximumByteCount: Self.chunk) {
                try move.append(try LogMove.bytes(of: slice))
                node.settle()
            }
            try between()
        }
        return try node.manager.finishMove(of: move.partition, id: (5, 6))
    }

    private func directories(_ node: LogManagerTests.Node) throws -> [String] {
        try node.store.directories.flatMap { opened in
            try node.fileSystem.contents(ofDirectory: opened.directory.path).filter { $0.kind == .directory }
                .map { "\(opened.directory.path)/\($0.name)" }
        }
    }

    @Test("A log moves with all that it knows while it takes appends, and goes on there")
    func moves() throws {
        let node = try LogManagerTests.Node()
        var sequence: Int32 = 0
        let topicID = TopicID(UniqueID(high: 8, low: 9))
        let log = try node.manager.create(
            Self.partition, topicID: topicID, settings: Self.settings)
        try append(node, log, 60, from: &sequence)
        try log.advanceLogStart(to: Offset(31))
        let target = try target(node, log)
        let move = try node.manager.beginMove(of: Self.partition, to: target, id: (1, 2))
        #expect(
            try directories(node).contains { $0.hasPrefix(target.directory.path) && $0.hasSuffix("-future") })
        var lags: [Int64] = []
        let moved = try #require(
            try run(node, move) {
                lags.append(move.lag)
                if lags.count < 10 { try append(node, log, 1, from: &sequence) }
            })
        #expect(lags.count > 4)
        #expect(node.manager[Self.partition] === moved)
        #expect(node.manager.move(of: Self.partition) == nil)
        #expect(moved.directory === target.directory)
        #expect(moved.logStartOffset == Offset(31))
        #expect(moved.logEndOffset == Offset(Int64(sequence)))
        #expect(moved.highWatermark == moved.logEndOffset)
        #expect(moved.latestLeaderEpoch == LeaderEpoch(3))
        // The producer's next batch is known for what it is, and so is its last.
        let last = TestBatches.batch(
            count: 2, value: Array("value \(sequence - 2)".utf8), producerID: 7, producerEpoch: 0,
            sequence: sequence - 2)
        #expect(try moved.appendAsLeader(last, leaderEpoch: LeaderEpoch(3), durably: true).isDuplicate)
        try append(node, moved, 5, from: &sequence)
        let expected = try batches(of: moved)
        #expect(expected.first?.header.baseOffset == Offset(30))
        // What is left of the old one goes after its delay.
        #expect(try directories(node).filter { $0.hasSuffix("-delete") }.count == 1)
        node.clock.advance(milliseconds: 120_000)
        node.manager.maintain()
        #expect(try directories(node) == ["\(target.directory.path)/t-0"])

        try node.restart()
        let found = try #require(node.manager[Self.partition])
        #expect(try batches(of: found) == expected)
        #expect(found.logStartOffset == Offset(31))
        #expect(
            try PartitionMetadata.read(found.path + "/partition.metadata", node.fileSystem)?.topicID
                == topicID)
    }

    @Test("A copy that retention has overtaken begins again behind it")
    func overtaken() throws {
        let node = try LogManagerTests.Node()
        var sequence: Int32 = 0
        let log = try node.manager.create(Self.partition, settings: Self.settings)
        try append(node, log, 40, from: &sequence)
        let move = try node.manager.beginMove(of: Self.partition, to: try target(node, log), id: (1, 2))
        let slice = try #require(try move.nextSlice(maximumByteCount: Self.chunk))
        try move.append(try LogMove.bytes(of: slice))
        try log.advanceLogStart(to: Offset(70))
        _ = try log.deleteOldSegments()
        let moved = try #require(try run(node, move))
        #expect(moved.logStartOffset == Offset(70))
        #expect(moved.logEndOffset == Offset(80))
        #expect(moved.segmentCount < 3)
    }

    @Test("A move that is given up, or whose log is deleted, leaves nothing")
    func cancelled() throws {
        let node = try LogManagerTests.Node()
        var sequence: Int32 = 0
        let log = try node.manager.create(Self.partition, settings: Self.settings)
        try append(node, log, 20, from: &sequence)
        let target = try target(node, log)
        _ = try node.manager.beginMove(of: Self.partition, to: target, id: (1, 2))
        node.manager.cancelMove(of: Self.partition)
        #expect(try directories(node) == [log.path])
        _ = try node.manager.beginMove(of: Self.partition, to: target, id: (1, 2))
        try node.manager.delete(Self.partition, id: (3, 4))
        #expect(try directories(node).count == 1)
        #expect(node.manager.move(of: Self.partition) == nil)
    }

    @Test("A move that a stop interrupts is known at the next start")
    func interrupted() throws {
        let node = try LogManagerTests.Node()
        var sequence: Int32 = 0
        let log = try node.manager.create(Self.partition, settings: Self.settings)
        try append(node, log, 20, from: &sequence)
        let target = try target(node, log)
        _ = try node.manager.beginMove(of: Self.partition, to: target, id: (1, 2))
        node.manager.close()
        node.store.markCleanShutdown()
        try node.restart()
        let expected = InterruptedMove(partition: Self.partition, targetPath: target.directory.path)
        #expect(node.store.interruptedMoves == [expected])
        #expect(try directories(node) == [log.path])
        #expect(node.manager[Self.partition]?.logEndOffset == Offset(40))
    }

    @Test(
        "The power fails at every change of a move: one log is left, and has all that was synced",
        arguments: 1...2)
    func crashes(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var change = 1
        var isOver = false
        while !isOver {
            let node = try LogManagerTests.Node()
            var sequence: Int32 = 0
            let log = try node.manager.create(Self.partition, settings: Self.settings)
            try append(node, log, 12, from: &sequence)
            try log.advanceLogStart(to: Offset(5))
            try node.manager.checkpoint()
            var synced = log.syncedEndOffset
            node.disk.install(.losingPower(atChange: change))
            do {
                let move = try node.manager.beginMove(
                    of: Self.partition, to: try target(node, log), id: (1, 2))
                let moved = try run(node, move) {
                    if sequence < 40 { try append(node, log, 1, from: &sequence) }
                    synced = max(synced, log.syncedEndOffset)
                }
                synced = max(synced, log.syncedEndOffset)
                if let moved {
                    try append(node, moved, 2, from: &sequence)
                    synced = max(synced, moved.syncedEndOffset)
                }
                isOver = node.disk.changeCount < change
            } catch {
                // Without power nothing works.
            }
            node.disk.liftFaults()
            _ = node.disk.crash(&generator)
            try node.restart()
            let found = try #require(node.manager[Self.partition], "change \(change)")
            #expect(found.damage.isEmpty)
            #expect(found.logStartOffset == Offset(5), "change \(change)")
            #expect(found.logEndOffset >= synced, "change \(change)")
            #expect(try batches(of: found).last.map { $0.header.nextOffset } == found.logEndOffset)
            let named = try directories(node).filter { $0.hasSuffix("/t-0") }
            #expect(named == [found.path], "change \(change)")
            #expect(try directories(node).allSatisfy { !$0.hasSuffix("-future") }, "change \(change)")
            // And it can be moved again.
            let again = try node.manager.beginMove(
                of: Self.partition, to: try target(node, found), id: (7, 8))
            #expect(try run(node, again)?.logEndOffset == found.logEndOffset)
            change += 1
        }
        #expect(change > 40)
    }

    @Test("A disk without room at any one change of a move: the log is whole, and moves when there is room")
    func fullDisk() throws {
        var change = 1
        var isOver = false
        while !isOver {
            let node = try LogManagerTests.Node()
            var sequence: Int32 = 0
            let log = try node.manager.create(Self.partition, settings: Self.settings)
            try append(node, log, 12, from: &sequence)
            try log.advanceLogStart(to: Offset(5))
            try node.manager.checkpoint()
            let target = try target(node, log)
            let fault = DiskFault(
                [.write, .allocate, .open, .rename, .createDirectory], changesOnly: true,
                trigger: .nth(change), effect: .fail(.noSpace))
            node.disk.install(DiskFaultPlan([fault]))
            do {
                let move = try node.manager.beginMove(of: Self.partition, to: target, id: (1, 2))
                _ = try run(node, move)
                isOver = node.disk.changeCount < change
            } catch {
                // As whoever moves it does.
                node.manager.cancelMove(of: Self.partition)
            }
            node.disk.liftFaults()
            #expect(node.store.directories.allSatisfy { $0.directory.failure == nil }, "change \(change)")
            for opened in node.store.directories { opened.directory.refreshSpace() }
            var current = try #require(node.manager[Self.partition], "change \(change)")
            if current === log {
                let again = try node.manager.beginMove(of: Self.partition, to: target, id: (3, 4))
                current = try #require(try run(node, again), "change \(change)")
            }
            #expect(current.logStartOffset == Offset(5), "change \(change)")
            #expect(current.logEndOffset == Offset(24), "change \(change)")
            node.clock.advance(milliseconds: 120_000)
            node.manager.maintain()
            node.clock.advance(milliseconds: 120_000)
            node.manager.maintain()
            #expect(
                try directories(node).filter { !$0.hasSuffix("-future") } == [current.path],
                "change \(change)")
            change += 1
        }
        #expect(change > 20)
    }
}
