import Foundation
import KafkaProtocol
import LogStorage
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import Broker

struct LogDirectoryTests {
    @Test("Log directories tell what they hold and how much room they have", arguments: [1, 3])
    func describe(lanes: Int) throws {
        let node = try TestNode(lanes: lanes, [("num.partitions", "3")])
        let client = try node.client()
        try client.metadata(["events", "others"])
        var byteCount = 0
        for _ in 0..<4 {
            let batch = TestBatches.batch(count: 3)
            byteCount += batch.byteCount
            try client.produce("events", batch, partition: 2)
        }
        let answer = try client.ask(DescribeLogDirsRequest(topics: nil), version: 4)
        #expect(answer.errorCode == .none)
        let directory = try #require(answer.results.first)
        #expect(answer.results.count == 1)
        #expect(directory.errorCode == .none)
        #expect(directory.logDir == node.directory.path + "/data")
        #expect(directory.usableBytes > 0)
        #expect(directory.totalBytes > directory.usableBytes)
        // The metadata's own log is not among them.
        #expect(directory.topics.map(\.name) == ["events", "others"])
        let events = directory.topics[0].partitions
        #expect(events.map(\.partitionIndex) == [0, 1, 2])
        #expect(events.map(\.partitionSize) == [0, 0, Int64(byteCount)])
        #expect(events.allSatisfy { $0.offsetLag == 0 && !$0.isFutureKey })
    }

    @Test("Only the partitions that are asked for are described, in all versions")
    func chosen() throws {
        let node = try TestNode([("num.partitions", "3")])
        let client = try node.client()
        try client.metadata(["events", "others"])
        let request = DescribeLogDirsRequest(
            topics: [
                DescribeLogDirsRequest.DescribableLogDirTopic(topic: "events", partitions: [1, 7]),
                DescribeLogDirsRequest.DescribableLogDirTopic(topic: "missing", partitions: [0]),
            ])
        for version in Int16(0)...4 {
            let topics = try client.ask(request, version: version).results.flatMap(\.topics)
            #expect(topics.map(\.name) == ["events"])
            #expect(topics.flatMap(\.partitions).map(\.partitionIndex) == [1])
        }
    }

    private func move(_ client: BrokerClient, _ path: String, partitions: [Int32]) throws -> [ErrorCode] {
        try client.ask(
            AlterReplicaLogDirsRequest(
                dirs: [.init(path: path, topics: [.init(name: "events", partitions: partitions)])]),
            version: 2
        ).results.flatMap(\.partitions).map(\.errorCode)
    }

    /// The directory of each partition, once no copy is left.
    private func settled(_ client: BrokerClient) throws -> [Int32: String] {
        while true {
            let results = try client.ask(DescribeLogDirsRequest(topics: nil), version: 4).results
            var homes: [Int32: String] = [:]
            var hasCopies = false
            for result in results {
                for partition in result.topics.flatMap(\.partitions) {
                    hasCopies = hasCopies || partition.isFutureKey
                    if !partition.isFutureKey { homes[partition.partitionIndex] = result.logDir }
                }
            }
            if !hasCopies { return homes }
        }
    }

    @Test("Replicas move to another directory while records come in, and stay there", arguments: [1, 3])
    func moves(lanes: Int) throws {
        let directory = try TemporaryDirectory()
        let paths = ["/one", "/two"].map { directory.path + $0 }
        let settings: [(key: String, value: String)] = [
            ("num.partitions", "4"), ("log.segment.bytes", "1048576"),
        ]
        var node = try TestNode(lanes: lanes, settings, in: directory, directories: paths)
        var client = try node.client()
        try client.metadata(["events"])
        let batch = TestBatches.batch(count: 1, value: [UInt8](repeating: 7, count: 100_000))
        for round in 0..<120 { try client.produce("events", batch, partition: Int32(round % 4)) }
        #expect(try move(client, paths[1], partitions: [0, 1, 2, 3]) == [.none, .none, .none, .none])
        var next = 120
        for _ in 0..<20 {
            try client.produce("events", batch, partition: Int32(next % 4))
            next += 1
        }
        let moved = Dictionary(uniqueKeysWithValues: (Int32(0)..<4).map { ($0, paths[1]) })
        #expect(try settled(client) == moved)
        for _ in 0..<8 {
            try client.produce("events", batch, partition: Int32(next % 4))
            next += 1
        }
        func everything() throws -> [[Int64]] {
            try (Int32(0)..<4).map { number in
                var found: [Int64] = []
                while found.count < next / 4 {
                    let part = try client.fetch(
                        BrokerClient.fetch("events", [(number, Int64(found.count))]))[0]
                    if part.1.isEmpty { break }
                    found += try offsets(part.1)
                }
                return found
            }
        }
        let expected = (0..<4).map { _ in Array(0..<Int64(next / 4)) }
        #expect(try everything() == expected)
        node.stop()
        node = try TestNode(lanes: lanes, settings, in: directory, directories: paths)
        client = try node.client()
        #expect(try settled(client) == moved)
        #expect(try everything() == expected)
    }

    @Test("What cannot be moved is told")
    func unmovable() throws {
        let directory = try TemporaryDirectory()
        let paths = ["/one", "/two"].map { directory.path + $0 }
        let node = try TestNode([("num.partitions", "2")], in: directory, directories: paths)
        let client = try node.client()
        try client.metadata(["events"])
        #expect(try move(client, "/nowhere", partitions: [0]) == [.logDirNotFound])
        #expect(try move(client, paths[0], partitions: [9]) == [.replicaNotAvailable])
        let homes = try settled(client)
        let home = try #require(homes[0])
        #expect(try move(client, home, partitions: [0]) == [.none])
        #expect(try settled(client) == homes)
        node.node.lanes[0].logs.store.directories[1].directory.fail(IOError(.write, paths[1], .inputOutput))
        #expect(try move(client, paths[1], partitions: [0]) == [.kafkaStorageError])
    }

    @Test("A directory that failed is told as such, the others go on")
    func offline() throws {
        let directory = try TemporaryDirectory()
        let paths = ["/one", "/two"].map { directory.path + $0 }
        let node = try TestNode([("num.partitions", "4")], in: directory, directories: paths)
        let client = try node.client()
        try client.metadata(["events"])
        var results = try client.ask(DescribeLogDirsRequest(topics: nil), version: 4).results
        #expect(results.map(\.logDir) == paths)
        #expect(results.map { $0.topics.flatMap(\.partitions).count } == [2, 2])
        node.node.lanes[0].logs.store.directories[1].directory.fail(
            IOError(.write, paths[1], .inputOutput))
        results = try client.ask(DescribeLogDirsRequest(topics: nil), version: 4).results
        #expect(results.map(\.errorCode) == [.none, .kafkaStorageError])
        #expect(results.map(\.topics.count) == [1, 0])
        #expect(results[1].totalBytes == -1)
        #expect(results[1].usableBytes == -1)
        #expect(node.sink.lines(containing: "log directory not described").count == 1)
    }
}
