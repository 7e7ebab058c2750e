import Base
import Foundation
import LogStorage
import RecordFormat
import SystemIO
import Testing

/// Every file of a real Kafka's log directory that this part of the code reads: read, compared with the logs,
/// and written back to the same bytes.
@Suite("Kafka's own files")
struct GoldenFormatTests {
    let fileSystem = PosixFileSystem()
    let copies: TemporaryDirectory

    init() throws { copies = try TemporaryDirectory() }

    private func parsed(_ file: String) throws -> LogFileName {
        let name = try #require(file.split(separator: "/").last)
        return try #require(LogLayout.parse(fileName: String(name)))
    }

    /// The log that `file` belongs to, under whatever suffix.
    private func log(of file: String, _ kind: LogFileKind) -> String {
        file.replacingOccurrences(of: ".\(kind.rawValue)", with: ".log")
    }

    private func files(_ kind: LogFileKind) throws -> [String] {
        try GoldenLogs.files(endingWith: ".\(kind.rawValue)")
            + GoldenLogs.files(endingWith: ".\(kind.rawValue).deleted")
    }

    @Test("every offset index is sane, points at the batches of its log, and is written back the same")
    func offsetIndexes() throws {
        var entryCount = 0
        for file in try files(.offsetIndex) {
            let baseOffset = try parsed(file).baseOffset
            let batches = try GoldenLogs.batches(log(of: file, .offsetIndex))
            let logByteCount = try GoldenLogs.bytes(log(of: file, .offsetIndex)).count
            let index = try OffsetIndex.openSealed(
                at: GoldenLogs.path(file), baseOffset: baseOffset, fileSystem)
            #expect(index.damage(logByteCount: Int64(logByteCount), thorough: true) == nil, "\(file)")
            let copy = try OffsetIndex.create(
                at: copies.path("copy"), baseOffset: baseOffset, maximumByteCount: 10 << 20, fileSystem)
            for number in 0..<index.entryCount {
                let entry = index.entry(number)
                let batch = try #require(batches.first { $0.position == entry.position }, "\(file)")
                #expect(batch.header.baseOffset <= entry.offset && entry.offset <= batch.header.lastOffset)
                #expect(copy.append(entry.offset, at: entry.position))
                entryCount += 1
            }
            for batch in batches {
                // From the place found, a scan forward must come to the batch with the offset.
                let place = index.floor(offset: batch.header.lastOffset)
                #expect((place?.position ?? 0) <= batch.position, "\(file)")
                let byPosition = index.floor(position: batch.position)
                #expect((byPosition?.position ?? 0) <= batch.position)
            }
            try copy.seal()
            #expect(try copies.bytes("copy") == GoldenLogs.bytes(file), "\(file)")
        }
        #expect(entryCount > 50)
    }

    @Test("every time index is sane, agrees with the batches of its log, and is written back the same")
    func timeIndexes() throws {
        var entryCount = 0
        for file in try files(.timeIndex) {
            let baseOffset = try parsed(file).baseOffset
            let batches = try GoldenLogs.batches(log(of: file, .timeIndex))
            let index = try TimeIndex.openSealed(
                at: GoldenLogs.path(file), baseOffset: baseOffset, fileSystem)
            let nextOffset = batches.last?.header.nextOffset
            #expect(index.damage(nextOffset: nextOffset, thorough: true) == nil, "\(file)")
            let copy = try TimeIndex.create(
                at: copies.path("copy"), baseOffset: baseOffset, maximumByteCount: 10 << 20, fileSystem)
            for number in 0..<index.entryCount {
                let entry = index.entry(number)
                let upToEntry = batches.filter { $0.header.baseOffset <= entry.offset }
                #expect(upToEntry.map(\.header.maxTimestamp).max() == entry.timestamp, "\(file) \(number)")
                #expect(index.floor(timestamp: entry.timestamp) == entry)
                #expect(copy.append(entry.timestamp, entry.offset))
                entryCount += 1
            }
            try copy.seal()
            #expect(try copies.bytes("copy") == GoldenLogs.bytes(file), "\(file)")
        }
        #expect(entryCount > 50)
    }

    @Test(
        "the transaction indexes hold the aborted transactions of their logs, and are written back the same")
    func transactionIndexes() throws {
        let partition = "golden-txn-0"
        var open: [ProducerID: Offset] = [:]
        var entryCount = 0
        for log in try GoldenLogs.files(endingWith: ".log") where log.hasPrefix(partition) {
            var aborted: [AbortedTransaction] = []
            for batch in try GoldenLogs.batches(log) where batch.header.attributes.isTransactional {
                let header = batch.header
                guard header.attributes.isControl else {
                    open[header.producerID] = open[header.producerID] ?? header.baseOffset
                    continue
                }
                let begun = open.removeValue(forKey: header.producerID)
                let first = try #require(begun)
                if try markerAborts(log, batch.position) {
                    let stable = open.values.min() ?? header.nextOffset
                    aborted.append(
                        AbortedTransaction(
                            producerID: header.producerID, firstOffset: first, lastOffset: header.lastOffset,
                            lastStableOffset: stable))
                }
            }
            let file = log.replacingOccurrences(of: ".log", with: ".txnindex")
            let index = TransactionIndex.openSealed(
                at: GoldenLogs.path(file), baseOffset: try parsed(file).baseOffset, fileSystem)
            #expect(try index.damage() == nil)
            let found = try index.entries()
            #expect(found == aborted, "\(file)")
            entryCount += found.count
            guard !aborted.isEmpty else { continue }
            let copy = try TransactionIndex.create(
                at: copies.path("copy"), baseOffset: index.baseOffset, fileSystem)
            for entry in aborted { try copy.append(entry) }
            try copy.seal()
            #expect(try copies.bytes("copy") == GoldenLogs.bytes(file))
        }
        #expect(entryCount == 3)
    }

    /// Whether the control batch at `position` is an abort marker: its record's key is version, then type 0.
    private func markerAborts(_ log: String, _ position: Int64) throws -> Bool {
        let bytes = try GoldenLogs.bytes(log)
        // length, attributes, timestamp delta, offset delta and key length take a byte each in so small a
        // record.
        let key = Int(position) + RecordBatchHeader.byteCount + 5
        #expect(bytes[key..<(key + 3)] == [0, 0, 0])
        return bytes[key + 3] == 0
    }

    @Test("the offset checkpoints are read, agree with the logs, and are written back the same")
    func offsetCheckpoints() throws {
        let names = [
            LogLayout.recoveryPointCheckpoint, LogLayout.logStartOffsetCheckpoint,
            LogLayout.highWatermarkCheckpoint, LogLayout.cleanerOffsetCheckpoint,
        ]
        for name in names {
            let checkpoint = try #require(try OffsetCheckpoint.read(GoldenLogs.path(name), fileSystem))
            try checkpoint.write(to: copies.path(name), fileSystem)
            #expect(try copies.bytes(name) == GoldenLogs.bytes(name))
        }
        let recovery = try #require(
            try OffsetCheckpoint.read(GoldenLogs.path(LogLayout.recoveryPointCheckpoint), fileSystem))
        #expect(recovery.entries.count == 109)
        var compared = 0
        for directory in try GoldenLogs.partitions() {
            let partition = try #require(LogLayout.parse(directoryName: directory)?.partition)
            guard let recoveryPoint = recovery.offsets[partition] else { continue }
            let logs = try GoldenLogs.files(endingWith: ".log").filter { $0.hasPrefix(directory + "/") }
            let last = try #require(logs.last)
            let next = try GoldenLogs.batches(last).last?.header.nextOffset ?? parsed(last).baseOffset
            #expect(next == recoveryPoint, "\(directory)")
            compared += 1
        }
        #expect(compared > 8)
    }

    @Test("the leader epoch checkpoints are read, agree with the batches, and are written back the same")
    func leaderEpochs() throws {
        let files = try GoldenLogs.files(endingWith: LogLayout.leaderEpochCheckpoint)
        #expect(files.count == (try GoldenLogs.partitions().count))
        for file in files {
            var cache = try #require(try LeaderEpochCache.read(GoldenLogs.path(file), fileSystem))
            #expect(!cache.isDirty)
            let directory = file.dropLast(LogLayout.leaderEpochCheckpoint.utf8.count)
            for log in try GoldenLogs.files(endingWith: ".log") where log.hasPrefix(directory) {
                for batch in try GoldenLogs.batches(log) {
                    #expect(cache.epoch(for: batch.header.baseOffset) == batch.header.partitionLeaderEpoch)
                }
            }
            try cache.write(to: copies.path("copy"), fileSystem)
            #expect(try copies.bytes("copy") == GoldenLogs.bytes(file))
        }
    }

    @Test("the partition metadata are read, name different topics, and are written back the same")
    func partitionMetadata() throws {
        var topics: [TopicID: Set<String>] = [:]
        for file in try GoldenLogs.files(endingWith: LogLayout.partitionMetadata) {
            let metadata = try #require(try PartitionMetadata.read(GoldenLogs.path(file), fileSystem))
            let directory = try #require(file.split(separator: "/").first)
            let topic = try #require(LogLayout.parse(directoryName: String(directory))).partition.topic
            topics[metadata.topicID, default: []].insert(topic)
            #expect((metadata.topicID == .clusterMetadata) == (topic == "__cluster_metadata"))
            try metadata.write(to: copies.path("copy"), fileSystem)
            #expect(try copies.bytes("copy") == GoldenLogs.bytes(file))
        }
        #expect(topics.values.allSatisfy { $0.count == 1 } && topics.count > 8)
    }

    @Test("meta.properties is read, and written back the same with its comments")
    func metaProperties() throws {
        let meta = try #require(
            try MetaProperties.read(GoldenLogs.path(LogLayout.metaProperties), fileSystem))
        #expect(meta.nodeID == 1 && meta.clusterID == "MkU3OEVBNTcwNTJENDM2Qg")
        #expect(meta.directoryID == DirectoryID("jlnx6aFfVCFhkb5O5JiJSw"))
        #expect(meta.keys == ["node.id", "directory.id", "version", "cluster.id"])
        try meta.write(to: copies.path("copy"), fileSystem)
        #expect(try copies.bytes("copy") == GoldenLogs.bytes(LogLayout.metaProperties))
    }

    @Test("what a broker of ours would write for the same facts is what Kafka wrote, but for the comment")
    func metaPropertiesAnew() throws {
        let anew = MetaProperties(
            clusterID: "MkU3OEVBNTcwNTJENDM2Qg", nodeID: 1, directoryID: DirectoryID("jlnx6aFfVCFhkb5O5JiJSw")
        )
        let golden = try GoldenLogs.bytes(LogLayout.metaProperties)
        let comments = golden.prefix { $0 != UInt8(ascii: "n") }
        #expect(anew.encoded() == Array(golden.dropFirst(comments.count)))
    }
}
