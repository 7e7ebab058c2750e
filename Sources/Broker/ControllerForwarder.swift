internal import Base
internal import ClusterMetadata
internal import KafkaProtocol
internal import LogStorage
internal import RaftController
internal import RecordFormat
internal import Settings
internal import SystemIO

/// Hands commands from all lanes to the controller, which lives on the node's first, and what it commits to
/// all lanes.
final class ControllerForwarder: MetadataObserver, @unchecked Sendable {
    // @unchecked: what changes is touched on the first lane only.

    private unowned let node: BrokerNode
    private let home: BrokerLane
    private var controller: Controller?
    /// Of this node's registration; commands about this node carry it.
    private(set) var brokerEpoch: Int64 = -1
    private let mutations: MutationQuotas

    init(node: BrokerNode, home: BrokerLane) {
        self.node = node
        self.home = home
        let settings = node.configuration.settings
        mutations = MutationQuotas(
            windowCount: settings[BrokerSettings.controllerQuotaWindows],
            windowSeconds: settings[BrokerSettings.controllerQuotaWindowSeconds])
    }

    /// Opens the metadata log and takes up the leadership. On the first lane.
    /// - Returns: the metadata, of which every later change is published.
    func start() throws(ControllerError) -> MetadataImage {
        let configuration = node.configuration
        let log: MetadataLog
        do {
            log = try MetadataLog(
                in: home.logs, directoryPath: configuration.metadataDirectoryPath, logger: node.logger)
        } catch {
            throw .log(error)
        }
        let controller = Controller(
            log: log, configuration: configuration.controller, timeSource: node.timeSource,
            seed: SystemRandom.seed(), logger: node.logger)
        try controller.start(registering: node.registration)
        self.controller = controller
        let image = controller.observe(self)
        brokerEpoch = image.brokers[configuration.nodeID]?.epoch ?? -1
        return image
    }

    /// Asks the controller. From any lane.
    ///
    /// - Parameter completion: called on `lane`, when all lanes of this node know what was committed.
    func submit<Command: ControllerCommand>(
        _ command: Command, on lane: BrokerLane,
        completion: @escaping @Sendable (Result<Command.Outcome, CommandRefusal>) -> Void
    ) {
        let isSent = home.perform { [self] _ in
            guard let controller else {
                return answer(.failure(Self.gone), on: lane, completion)
            }
            controller.submit(command) { [self] in answer($0, on: lane, completion) }
        }
        if !isSent { completion(.failure(Self.gone)) }
    }

    /// Asks the controller for a client, which may have a quota and gives it only so much time. From the lane
    /// of its connection.
    ///
    /// - Parameters:
    ///   - isStrict: what exceeds the quota is refused; else it is done, and the client paused (KIP-599).
    ///   - timeoutMilliseconds: see `CommandWait`.
    func submit<Command: MutatingCommand>(
        _ command: Command, for context: RequestContext, isStrict: Bool, timeoutMilliseconds: Int64?,
        completion: @escaping @Sendable (CommandAnswer<Command.Outcome>) -> Void
    ) {
        let lane = context.broker
        let clientID = context.header.clientID
        let wait = CommandWait(lane.lane, timeoutMilliseconds: timeoutMilliseconds, completion)
        // A time-out of 0 asks not to wait, not to hurry.
        let patience = timeoutMilliseconds.flatMap { $0 > 0 ? $0 : nil } ?? .max
        let deadline = lane.lane.moment(afterMilliseconds: patience)
        let isSent = home.perform { [self] _ in
            // What comes too late is not begun.
            let refusal =
                controller == nil
                ? Self.gone : home.lane.now >= deadline ? .timedOut(timeoutMilliseconds ?? 0) : nil
            guard let controller, refusal == nil else {
                lane.perform { _ in wait.end(.failure(refusal ?? Self.gone)) }
                return
            }
            var command = command
            let quota = mutations.quota(of: clientID)
            if let quota, isStrict {
                command.allowance = mutations.allowance(quota, now: home.lane.now)
            }
            controller.submit(command) { result in
                let pause = quota.map { charge(command, result, to: $0) } ?? 0
                lane.perform { _ in wait.noteDecided(result, pauseMilliseconds: pause) }
            } completion: { [self] result in
                answer(result, on: lane) { wait.end($0) }
            }
        }
        if !isSent { wait.end(.failure(Self.gone)) }
    }

    /// Counts what a command does as a client's.
    /// - Returns: for how long the client is to be paused, in milliseconds.
    private func charge<Command: MutatingCommand>(
        _ command: Command, _ result: Result<Command.Outcome, CommandRefusal>, to quota: MutationQuotas.Quota
    ) -> Int64 {
        guard case .success(let outcome) = result else { return 0 }
        let pause = mutations.take(command.mutationCount(outcome), of: quota, now: home.lane.now)
        // A strict quota stops those who are refused, not those who have just used it up.
        guard command.allowance != nil else { return pause }
        return command.refusals(in: outcome).contains { $0.code == .throttlingQuotaExceeded } ? pause : 0
    }

    /// Takes over what settings and quotas say now. On the first lane.
    func take(_ settings: SettingValues, _ quotas: ClientQuotasImage) {
        controller?.policy = BrokerConfiguration.policy(settings)
        mutations.update(quotas)
    }

    /// What commands are decided by at the moment. On the first lane.
    var policy: CommandPolicy? { controller?.policy }

    private static let gone = CommandRefusal(.notController, "the node stops")

    private func answer<Outcome: Sendable>(
        _ result: Result<Outcome, CommandRefusal>, on lane: BrokerLane,
        _ completion: @escaping @Sendable (Result<Outcome, CommandRefusal>) -> Void
    ) {
        // What was published is on its way to all lanes; this comes behind it.
        node.onAllLanes({ _ in }, then: lane) { completion(result) }
    }

    func metadataAdvanced(_ update: MetadataUpdate) {
        let records = update.records
        for lane in node.lanes { lane.perform { $0.apply(records) } }
    }

    /// About once a second, on the first lane.
    func maintain() { controller?.maintain() }

    /// On the first lane, before its logs are closed.
    func stop() {
        controller?.stop()
        controller = nil
    }
}

extension BrokerConfiguration {
    /// What the controller is made of.
    var controller: ControllerConfiguration {
        var result = ControllerConfiguration(nodeID: nodeID, policy: Self.policy(settings))
        result.snapshotByteCount = settings[BrokerSettings.snapshotBytes]
        let age = settings[BrokerSettings.snapshotMilliseconds]
        result.snapshotMilliseconds = age == 0 ? .max : age
        return result
    }

    /// By what the controller decides.
    static func policy(_ settings: SettingValues) -> CommandPolicy {
        var policy = CommandPolicy(rules: rules(settings))
        policy.defaultPartitionCount = Int32(clamping: settings[BrokerSettings.partitionCount])
        let factor = settings[BrokerSettings.replicationFactor]
        policy.defaultReplicationFactor = factor > 0 ? Int16(clamping: factor) : nil
        // Unknown where the kernel does not say.
        policy.partitionLimit = (try? OpenFileLimit.current()).map { PartitionLimit(openFileLimit: $0) }
        policy.allowsDeletion = settings[BrokerSettings.deleteTopics]
        policy.allowsUncleanLeaders = settings[TopicSettings.uncleanLeaderElection]
        return policy
    }

    /// What the controller asks the table of settings.
    private static func rules(_ settings: SettingValues) -> ConfigurationRules {
        ConfigurationRules(
            problem: { resource, values in
                do throws(SettingError) {
                    switch resource.type {
                    case .topic:
                        _ = try TopicSettingValues.check(
                            values.map { (key: $0.key, value: $0.value) }, broker: settings)
                    case .broker:
                        _ = try settings.check(
                            stored: values.map { (key: $0.key, value: $0.value) },
                            for: resource.name.isEmpty ? .allBrokers : .thisBroker)
                    case .group: try GroupSetting.check(values, broker: settings)
                    default: break
                    }
                    return nil
                } catch {
                    return "\(error)"
                }
            },
            isList: { type, name in
                SettingTable.descriptor(name, type == .topic ? .topic : .broker)?.type == .list
            },
            defaultValue: { type, name in
                type == .topic
                    ? TopicSettingValues(broker: settings, own: [:], replicationFactor: 1).text(name)
                    : settings.text(name)
            })
    }
}
