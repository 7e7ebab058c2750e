import Foundation
import KafkaProtocol
import LogStorage
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import Broker

@Suite(.timeLimit(.minutes(1)))
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
