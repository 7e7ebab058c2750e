import Base
import ClusterMetadata
import KafkaProtocol
import LogStorage
import RecordFormat
import SimulationKit
import SystemIO

@testable import RaftController

/// A controller on a simulated disk, started anew at will.
final class ControllerFixture {
    let clock = SimulatedClock()
    let disk: SimulatedDisk
    let sink = RecordingLogSink()
    var configuration: ControllerConfiguration
    var settings = MetadataLog.settings
    private var seed: UInt64
    private(set) var process: Process?

    /// What lives as long as a process does.
    final class Process {
        let fileSystem: SimulatedFileSystem
        let queue: SimulatedAppendQueue
        let lane: LogLane
        let store: LogStore
        let manager: LogManager
        let log: MetadataLog
        let controller: Controller
        let observer: RecordingObserver
        let brokerEpoch: Int64

        init(_ fixture: ControllerFixture, seed: UInt64, wasShutDownCleanly: Bool) throws {
            let logger = Logger(component: "test", minimumLevel: .debug, sink: fixture.sink)
            fileSystem = fixture.disk.mount()
            queue = SimulatedAppendQueue(fileSystem, seed: seed)
            lane = LogLane(queue: queue, timeSource: fixture.clock)
            var next = seed << 20
            store = try LogStore(
                LogStoreConfiguration(directoryPaths: ["/data"]), fileSystem: fileSystem,
                timeSource: fixture.clock, logger: logger
            ) {
                next += 1
                return UniqueID(high: next, low: next)
            }
            manager = LogManager(store: store, lane: lane)
            log = try MetadataLog(in: manager, settings: fixture.settings, logger: logger)
            controller = Controller(
                log: log, configuration: fixture.configuration, timeSource: fixture.clock, seed: seed,
                logger: logger)
            try controller.start(
                registering: ControllerFixture.registration(seed: seed, isClean: wasShutDownCleanly))
            brokerEpoch = controller.image.brokers[ControllerFixture.nodeID]?.epoch ?? -1
            observer = RecordingObserver()
            observer.image = controller.observe(observer)
        }

        /// Lets everything that is in flight come to its end.
        func settle() {
            lane.flush()
            while queue.pendingCount > 0 { lane.poll(waitNanoseconds: nil) }
        }

        /// Runs one command to its end.
        func run<Command: ControllerCommand>(
            _ command: Command
        ) throws -> Command.Outcome {
            var result: Result<Command.Outcome, CommandRefusal>?
            controller.submit(command) { result = $0 }
            settle()
            guard let result else { throw FixtureError.noAnswer }
            return try result.get()
        }
    }

    static let nodeID: Int32 = 1

    init(seed: UInt64 = 1) {
        self.seed = seed
        disk = SimulatedDisk(seed: seed, clock: clock)
        var policy = CommandPolicy(rules: .permissive)
        policy.defaultPartitionCount = 1
        configuration = ControllerConfiguration(nodeID: Self.nodeID, policy: policy)
    }

    static func registration(seed: UInt64, isClean: Bool = false) -> RegisterBroker {
        RegisterBroker(
            brokerID: nodeID, incarnationID: UniqueID(high: seed, low: 99),
            endpoints: [NodeEndpoint(name: "PLAINTEXT", host: "localhost", port: 9092)],
            directories: [DirectoryID(UniqueID(high: 1000, low: 1))], isAlive: true,
            wasShutDownCleanly: isClean)
    }

    /// Starts a process on what is on the disk.
    @discardableResult
    func start(wasShutDownCleanly: Bool = false) throws -> Process {
        seed += 1
        let process = try Process(self, seed: seed, wasShutDownCleanly: wasShutDownCleanly)
        self.process = process
        return process
    }

    /// The power goes.
    func crash(_ generator: inout SeededGenerator, mode: CrashMode? = nil) {
        process = nil
        disk.crash(&generator, mode: mode)
    }
}

enum FixtureError: Error { case noAnswer }

/// Follows the metadata as a lane does.
final class RecordingObserver: MetadataObserver {
    var image = MetadataImage()
    private(set) var updates: [MetadataUpdate] = []
    var onUpdate: ((MetadataUpdate) -> Void)?

    func metadataAdvanced(_ update: MetadataUpdate) {
        image.apply(update)
        updates.append(update)
        onUpdate?(update)
    }
}

/// A context for decisions without a controller.
func decisionContext(
    nextOffset: Int64 = 100, policy: CommandPolicy = CommandPolicy(rules: .permissive), seed: UInt64 = 1
) -> DecisionContext {
    DecisionContext(
        nextOffset: Offset(nextOffset), now: Timestamp(1_700_000_000_000), policy: policy,
        generator: SeededGenerator(seed: seed))
}

/// An image of `count` brokers, some of them in racks.
func brokersImage(_ count: Int32, racks: [String?] = [nil], fenced: Set<Int32> = []) throws -> MetadataImage {
    var image = MetadataImage()
    for id in 1...count {
        try image.apply(
            .registerBroker(
                RegisterBrokerRecord(
                    brokerID: id, incarnationID: UniqueID(high: 1, low: UInt64(id)), brokerEpoch: Int64(id),
                    endPoints: [.init(name: "PLAINTEXT", host: "h\(id)", port: 9092)],
                    rack: racks[Int(id - 1) % racks.count], fenced: fenced.contains(id),
                    logDirs: [DirectoryID(UniqueID(high: 50, low: UInt64(id)))])))
    }
    return image
}

extension MetadataImage {
    /// The image after a command, and its outcome.
    mutating func run<Command: ControllerCommand>(
        _ command: Command, policy: CommandPolicy = CommandPolicy(rules: .permissive), seed: UInt64 = 1
    ) throws -> Command.Outcome {
        var context = decisionContext(policy: policy, seed: seed)
        let decision = try command.decide(self, &context)
        for record in decision.records { try apply(record) }
        return decision.outcome
    }
}
