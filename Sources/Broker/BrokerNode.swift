public import Base
internal import ClusterMetadata
internal import KafkaProtocol
public import LogStorage
public import RaftController
internal import RecordFormat
internal import Replication
internal import Settings
internal import Synchronization
public import SystemIO
public import Transport

/// Why a node does not start.
public enum BrokerStartError: Error, CustomStringConvertible {
    case directories(LogStoreError)
    /// Something listens there already, or the address is none of this machine.
    case listener(name: String, address: String, holder: String?, IOError)
    case unresolved(host: String, IOError)
    case severalNodes
    case system(IOError)
    case metadata(ControllerError)

    public var description: String {
        switch self {
        case .directories(let error): "\(error)"
        case .listener(let name, let address, let holder, let error):
            "listener \(name) cannot listen on \(address): \(error)"
                + (holder.map { "; \($0) listens there" } ?? "")
                + (error.errno == .addressInUse ? "; stop it, or choose another port with --listen" : "")
        case .unresolved(let host, let error): "the host \(host) of a listener is not known: \(error)"
        case .severalNodes:
            "a cluster of several nodes is not served: process.roles has to be broker,controller, and "
                + "controller.quorum.voters may name this node only"
        case .system(let error): "\(error)"
        case .metadata(let error): "\(error)"
        }
    }
}

/// A node: lanes, listeners, log directories and the cluster's metadata put together.
///
///     let node = try BrokerNode(configuration, ...)
///     try node.start()
///     ...
///     node.stop()
public final class BrokerNode: @unchecked Sendable {
    // @unchecked: what changes is set while the node is put together or ended, by one thread, when no lane
    // runs.

    public let configuration: BrokerConfiguration
    let logger: Logger
    let timeSource: any TimeSource
    let placement: PartitionPlacement
    let quotaMeters: QuotaMeters
    let copier: ReplicaCopier
    private let limits: ConnectionLimits
    private let group: LaneGroup
    private let store: LogStore
    private(set) var lanes: [BrokerLane] = []
    public private(set) var listeners: [Transport.Listener] = []
    private var maintenance: [LaneMaintenance] = []
    private(set) var cleaner: CleanerThreads?
    let bootstrapWatch: BootstrapWatch
    private var forwarderInPlace: ControllerForwarder?
    /// What the node's own parts, which are not the lanes', have been told last. On the first lane.
    private var settings: SettingValues

    public var clusterID: String { store.clusterID }
    /// The way to the controller.
    var controller: ControllerForwarder {
        guard let forwarderInPlace else { invariantFailed("a request before the node was started") }
        return forwarderInPlace
    }

    /// Takes the log directories and the ports, so that whatever stands against the start shows at once.
    /// Nothing is served before `start`.
    public init(
        _ configuration: BrokerConfiguration, fileSystem: any FileSystem, timeSource: any TimeSource,
        logger: Logger
    ) throws(BrokerStartError) {
        guard configuration.isWholeQuorum else { throw .severalNodes }
        self.configuration = configuration
        settings = configuration.settings
        self.logger = logger
        self.timeSource = timeSource
        bootstrapWatch = BootstrapWatch(logger.named("broker"))
        placement = PartitionPlacement(laneCount: configuration.laneCount)
        quotaMeters = QuotaMeters(
            windowCount: configuration.settings[BrokerSettings.quotaWindows],
            windowSeconds: configuration.settings[BrokerSettings.quotaWindowSeconds])
        copier = ReplicaCopier(timeSource: timeSource)
        limits = ConnectionLimits(
            BrokerConfiguration.connectionLimits(configuration.settings, ClientQuotasImage()))
        do {
            group = try LaneGroup(
                configuration.laneSettings, longestFrame: configuration.transport.maximumFrameByteCount,
                timeSource: timeSource, log: logger)
        } catch {
            throw .system(error)
        }
        do {
            store = try LogStore(
                configuration.logStore, fileSystem: fileSystem, timeSource: timeSource, logger: logger,
                newID: Self.newID)
        } catch {
            throw .directories(error)
        }
        try makeLanes()
        try listen()
    }

    private func makeLanes() throws(BrokerStartError) {
        do throws(IOError) {
            for lane in group.lanes {
                // One line says for all lanes what the kernel refuses.
                let queue = try AppendQueues.make(
                    configuration.appendQueue, log: lane.index == 0 ? logger : .silent)
                let logLane = LogLane(
                    queue: queue, timeSource: timeSource, seed: SystemRandom.seed())
                let made = BrokerLane(node: self, lane: lane, logLane: logLane, store: store)
                try made.attach()
                lanes.append(made)
            }
        } catch {
            throw .system(error)
        }
    }

    private func listen() throws(BrokerStartError) {
        for listener in configuration.listeners {
            let addresses: [SocketAddress]
            do throws(IOError) {
                addresses = try SocketAddress.resolve(
                    host: listener.bind.host, port: listener.bind.port)
            } catch {
                throw .unresolved(host: listener.bind.host, error)
            }
            guard let address = addresses.first else { continue }
            do throws(IOError) {
                listeners.append(try listen(listener.name, at: address))
            } catch {
                throw .listener(
                    name: listener.name, address: "\(address)",
                    holder: error.errno == .addressInUse ? PortHolder.describe(port: address.port) : nil,
                    error)
            }
        }
    }

    private func listen(_ name: String, at address: SocketAddress) throws(IOError) -> Transport.Listener {
        var waits = Self.portWaits
        while true {
            do throws(IOError) {
                return try Transport.Listener(
                    ListenerConfiguration(name: name, address: address, settings: configuration.transport),
                    lanes: group, limits: limits, log: logger
                ) { [unowned self] lane in
                    RequestRouter(broker: lanes[lane.index], listener: name)
                }
            } catch {
                // The kernel takes down the rings of a killed process after its end, and with them goes the
                // port: until then it is in use and nobody has it.
                guard error.errno == .addressInUse, waits > 0, PortHolder.describe(port: address.port) == nil
                else { throw error }
                waits -= 1
                Pause().wait(nanoseconds: Self.portWaitNanoseconds)
            }
        }
    }

    private static let portWaits = 40
    private static let portWaitNanoseconds: UInt64 = 50_000_000

    // MARK: Beginning

    /// Learns the metadata, recovers the logs, and serves from then on.
    public func start() throws(BrokerStartError) {
        do {
            try group.start()
        } catch {
            throw .system(error)
        }
        let forwarder = ControllerForwarder(node: self, home: lanes[0])
        forwarderInPlace = forwarder
        let image: MetadataImage
        do {
            image = try onFirstLane { () throws(ControllerError) in try forwarder.start() }
        } catch {
            // What has been opened is closed again.
            group.stop()
            throw .metadata(error)
        }
        let recovered = Dictionary(grouping: recover(image)) { placement.lane(of: $0.opening.partition) }
        waitForLanes { lane in
            for one in recovered[lane.index] ?? [] { lane.adopt(one) }
            lane.begin(image)
        }
        resumeMoves()
        startMaintenance()
        for listener in listeners { listener.start() }
    }

    private func recover(_ image: MetadataImage) -> [RecoveredPartition] {
        let values = configuration.settings
        let directories = PartitionDirectories(image, nodeID: configuration.nodeID) { name, own in
            let count = image.topics[name]?.partitions.first?.replicas.count ?? 1
            return TopicSettingValues(broker: values, own: own, replicationFactor: max(count, 1))
                .logConfiguration
        }
        return store.recoverLogs(
            choosing: { directories.choice($0, $1) }, newID: Self.newID,
            run: { jobs in
                WorkerThreads.forEach(jobs.count, threads: jobs.count, name: "dmq-recovery") { jobs[$0]() }
            })
    }

    private static func newID() -> UniqueID {
        let (high, low) = SystemRandom.identifier()
        return UniqueID(high: high, low: low)
    }

    /// How this node makes itself known to the controller.
    var registration: RegisterBroker {
        var ports: [String: UInt16] = [:]
        for listener in listeners { ports[listener.name] = listener.address.port }
        return RegisterBroker(
            brokerID: configuration.nodeID, incarnationID: Self.newID(),
            endpoints: configuration.endpoints(hostName: Machine.hostName) { ports[$0] }.map {
                NodeEndpoint(name: $0.name, host: $0.address.host, port: $0.address.port)
            },
            rack: configuration.settings[BrokerSettings.rack],
            directories: store.onlineDirectories.compactMap(\.properties.directoryID), isAlive: true,
            wasShutDownCleanly: store.directories.allSatisfy(\.wasShutDownCleanly))
    }

    private func startMaintenance() {
        if configuration.settings[BrokerSettings.cleanerEnabled] {
            cleaner = CleanerThreads(
                configuration: BrokerConfiguration.cleaner(configuration.settings), timeSource: timeSource,
                logger: logger
            ) { [unowned self] index in
                lanes[index].perform { lane in lane.compact() }
            }
        }
        maintenance = lanes.map { LaneMaintenance($0, compacts: cleaner != nil) }
        for one in maintenance { one.broker.perform { _ in one.start() } }
        lanes[0].perform { [self] lane in
            cleaner?.reconfigure(BrokerConfiguration.cleaner(lane.settings))
        }
    }

    /// Runs `body` on every lane, and returns when all have.
    func waitForLanes(_ body: @escaping @Sendable (BrokerLane) -> Void) {
        let workers = WorkersDone(count: lanes.count)
        for lane in lanes
        where !lane.perform({
            body($0)
            workers.finishOne()
        }) { workers.finishOne() }
        workers.wait()
    }

    /// Runs `body` on the first lane, and waits for it.
    private func onFirstLane<Value: Sendable, Failure: Error>(
        _ body: @escaping @Sendable () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let done = WorkersDone(count: 1)
        let answer = LaneAnswer<Value, Failure>()
        lanes[0].perform { _ in
            do throws(Failure) {
                answer.set(.success(try body()))
            } catch {
                answer.set(.failure(error))
            }
            done.finishOne()
        }
        done.wait()
        guard let result = answer.take() else { invariantFailed("the first lane gave no answer") }
        return try result.get()
    }

    private final class LaneAnswer<Value: Sendable, Failure: Error>: Sendable {
        private let result = Locked<Result<Value, Failure>?>(nil)
        func set(_ value: Result<Value, Failure>) { result.withLock { $0 = value } }
        func take() -> Result<Value, Failure>? { result.withLock { $0 } }
    }

    /// Runs `body` on all lanes, then `done` on `lane`.
    func onAllLanes(
        _ body: @escaping @Sendable (BrokerLane) -> Void, then lane: BrokerLane,
        _ done: @escaping @Sendable () -> Void
    ) {
        let left = Countdown(lanes.count)
        for one in lanes {
            let isSent = one.perform { one in
                body(one)
                if left.countDown() { lane.perform { _ in done() } }
            }
            if !isSent, left.countDown() { lane.perform { _ in done() } }
        }
    }

    private final class Countdown: Sendable {
        private let left: Atomic<Int>
        init(_ count: Int) { left = Atomic(count) }
        /// - Returns: whether this was the last.
        func countDown() -> Bool { left.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 }
    }

    /// Whether the settings say how clients reach a listener.
    func isAdvertised(_ listener: String) -> Bool {
        configuration.advertised.contains { $0.name == listener }
            || configuration.listeners.contains { $0.name == listener && !$0.bind.isWildcard }
    }

    /// Begins the moves of logs anew that the last stop interrupted.
    private func resumeMoves() {
        for move in store.interruptedMoves {
            lanes[placement.lane(of: move.partition)].perform { lane in
                _ = lane.mover?.move(move.partition, to: move.targetPath)
            }
        }
    }

    /// Takes over what settings and quotas say now, for all that is the node's and not a lane's. On the first
    /// lane.
    func take(_ new: SettingValues, _ quotas: ClientQuotasImage) {
        // Limits of connections hold for those to come.
        let newLimits = BrokerConfiguration.connectionLimits(new, quotas)
        if limits.settings != newLimits { limits.settings = newLimits }
        copier.setRate(new[BrokerSettings.directoryMoveRate])
        cleaner?.reconfigure(BrokerConfiguration.cleaner(new))
        // A logger that was made with another level than the file's keeps it until somebody changes that.
        let level = new[BrokerSettings.logLevel].level
        if level != settings[BrokerSettings.logLevel].level { logger.threshold.level = level }
        controller.take(new, quotas)
        settings = new
    }

    /// Of connections, as they hold now.
    var connectionLimits: ConnectionLimits.Settings { limits.settings }

    // MARK: End

    /// Answers what is in flight, closes the logs and marks the directories as left in order.
    ///
    /// Not from a lane.
    public func stop() {
        for listener in listeners { listener.stopAccepting() }
        // Members that wait for a rebalance would be waited for.
        waitForLanes {
            $0.groups.shards.end()
            $0.transactions.shards.end()
        }
        cleaner?.stop()
        copier.stop()
        group.stop(drainMilliseconds: configuration.drainMilliseconds)
        store.markCleanShutdown()
    }
}
