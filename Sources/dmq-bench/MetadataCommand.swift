import Base
import ClusterMetadata
import LogStorage
import RaftController
import RecordFormat
import SystemIO

/// `dmq-bench metadata`: makes many partitions through a controller of its own, then starts it again, from
/// the log and from a snapshot; says how long that took and how much memory it took.
struct MetadataCommand {
    static let description = CommandDescription(
        name: "dmq-bench metadata",
        summary: "Measures the controller: topics made, starts from the log and from a snapshot.",
        options: [
            CommandOption(
                "partitions", .integer(1...10_000_000), placeholder: "COUNT",
                summary: "partitions to be made (100000)"),
            CommandOption(
                "partitions-per-topic", .integer(1...5000), placeholder: "COUNT",
                summary: "partitions of each topic (100)"),
            CommandOption(
                "directory", .text, placeholder: "PATH", summary: "where files are written (/tmp)"),
        ])

    private let partitionCount: Int
    private let partitionsPerTopic: Int
    private let directory: WorkDirectory

    init(_ command: ParsedCommand) throws(IOError) {
        partitionCount = command.integerIfGiven("partitions") ?? 100_000
        partitionsPerTopic = command.integerIfGiven("partitions-per-topic") ?? 100
        directory = try WorkDirectory(in: command.textIfGiven("directory") ?? "/tmp")
    }

    /// A node's controller.
    private final class Node {
        let manager: LogManager
        let controller: Controller

        init(_ path: String, clean: Bool) throws {
            let timeSource = SystemClock()
            let store = try LogStore(
                LogStoreConfiguration(directoryPaths: [path]), fileSystem: PosixFileSystem(),
                timeSource: timeSource, logger: .silent, newID: Self.newID)
            let lane = LogLane(queue: try AppendQueues.make(.auto, log: .silent), timeSource: timeSource)
            manager = LogManager(store: store, lane: lane)
            controller = Controller(
                log: try MetadataLog(in: manager, logger: .silent),
                configuration: ControllerConfiguration(
                    nodeID: 1, policy: CommandPolicy(rules: .permissive)),
                timeSource: timeSource, seed: SystemRandom.seed(), logger: .silent)
            try controller.start(
                registering: RegisterBroker(
                    brokerID: 1, incarnationID: Self.newID(),
                    endpoints: [NodeEndpoint(name: "PLAINTEXT", host: "localhost", port: 9092)],
                    directories: store.directories.compactMap(\.properties.directoryID), isAlive: true,
                    wasShutDownCleanly: clean))
        }

        static func newID() -> UniqueID {
            let (high, low) = SystemRandom.identifier()
            return UniqueID(high: high, low: low)
        }

        func settle() {
            manager.lane.flush()
            while manager.lane.queue.pendingCount > 0 { manager.lane.poll(waitNanoseconds: nil) }
        }

        func stop() {
            controller.stop()
            manager.close()
        }
    }

    func run() throws {
        let path = try directory.makeDirectory("data")
        var node = try Node(path, clean: true)
        let topicCount = (partitionCount + partitionsPerTopic - 1) / partitionsPerTopic
        let single = measure("a topic, one after the other", count: min(topicCount, 200)) { number in
            make("single\(number)", 1, node)
            node.settle()
        }
        print(single)
        print(
            measure("a topic of \(partitionsPerTopic), 32 a sync", count: topicCount) { number in
                make("topic\(number)", partitionsPerTopic, node)
                if number % 32 == 31 || number == topicCount - 1 { node.settle() }
            })
        print("partitions \(node.controller.image.topics.partitionCount), \(memory)")
        var lane = MetadataImage()
        print(
            measure("another lane's image from records", count: 1) { _ in
                node.controller.image.forEachRecordGroup { records in
                    lane.apply(
                        MetadataUpdate(
                            records: records, delta: MetadataDelta(), endOffset: .zero, epoch: .none))
                }
            })
        print("partitions \(lane.topics.partitionCount) twice, \(memory)")
        node.stop()
        print(try measured("start from the log, clean") { node = try Node(path, clean: true) })
        print(measured("snapshot") { node.controller.writeSnapshot() })
        node.stop()
        print(try measured("start from the snapshot, clean") { node = try Node(path, clean: true) })
        node.stop()
        print(try measured("start from the snapshot, after a crash") { node = try Node(path, clean: false) })
        print("partitions \(node.controller.image.topics.partitionCount), \(memory)")
        node.stop()
    }

    private func make(_ name: String, _ count: Int, _ node: Node) {
        let topic = CreateTopics.NewTopic(name: name, partitionCount: Int32(count))
        node.controller.submit(CreateTopics(topics: [topic])) { result in
            if case .failure(let refusal) = result { print("refused: \(refusal)") }
        }
    }

    private var memory: String { "peak resident \(ProcessUsage.ofProcess().peakResidentByteCount >> 20) MiB" }

    private func measure(_ name: String, count: Int, _ body: (Int) -> Void) -> String {
        let clock = SystemClock()
        let start = clock.monotonicNanoseconds()
        for number in 0..<count { body(number) }
        let microseconds = Int((clock.monotonicNanoseconds() - start) / 1000)
        return "\(name): \(count) in \(microseconds / 1000) ms, \(microseconds / max(count, 1)) us each"
    }

    private func measured(_ name: String, _ body: () throws -> Void) rethrows -> String {
        let clock = SystemClock()
        let start = clock.monotonicNanoseconds()
        try body()
        return "\(name): \((clock.monotonicNanoseconds() - start) / 1000) us"
    }
}
