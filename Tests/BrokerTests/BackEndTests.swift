import KafkaProtocol
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import Broker

/// What the kernel is asked with, for the network and the logs.
struct BackEndTests {
    @Test(
        "A node writes, syncs, wakes who waits and starts again with either back end",
        arguments: ["io_uring", "epoll"], [1, 2])
    func roundTrip(backEnd: String, lanes: Int) throws {
        let directory = try TemporaryDirectory()
        let settings = [
            (key: "num.partitions", value: "2"), (key: "dmq.io.back.end", value: backEnd),
        ]
        do {
            let node = try TestNode(lanes: lanes, settings, in: directory)
            for what in ["network back end chosen", "append queue chosen"] {
                #expect(node.sink.lines(containing: what, "backend=\(backEnd)").count == 1)
            }
            let producer = try node.client()
            let consumer = try node.client()
            try producer.metadata(["events"])
            for number in 0..<20 {
                let batches = [(Int32(0), TestBatches.batch()), (Int32(1), TestBatches.batch(count: 2))]
                let before = node.requestCount
                // Waits for what is produced next.
                let waiting = BrokerClient.fetch(
                    "events", [(0, Int64(number)), (1, Int64(2 * number))], wait: 30_000)
                try consumer.send(waiting, version: 12)
                while node.requestCount == before {}
                let answer = try producer.ask(BrokerClient.produce("events", batches), version: 9)
                let parts = try #require(answer.responses.first?.partitionResponses)
                #expect(parts.map(\.errorCode) == [.none, .none])
                #expect(parts.map(\.baseOffset) == [Offset(Int64(number)), Offset(Int64(2 * number))])
                let fetched = try consumer.receive(FetchRequest.self, version: 12)
                let found = fetched.responses.flatMap(\.partitions).filter { $0.highWatermark > .zero }
                #expect(!found.isEmpty)
            }
            node.stop()
        }
        let node = try TestNode(lanes: lanes, settings, in: directory)
        let fetched = try node.client().fetch(BrokerClient.fetch("events", [(0, 0), (1, 0)]))
        #expect(fetched.map(\.0.highWatermark) == [Offset(20), Offset(40)])
        node.stop()
    }
}
