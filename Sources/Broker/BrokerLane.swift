internal import Base
internal import ClusterMetadata
internal import KafkaProtocol
internal import LogStorage
internal import RecordFormat
internal import Replication
internal import Settings
internal import SystemIO
internal import Transport

/// What one lane of a node owns: the partitions that are placed on it with their logs, its own copy of the
/// cluster's metadata, and whatever its connections share.
///
/// Everything is touched by the lane's thread only. Lanes ask each other through `Lane.submit`.
final class BrokerLane: @unchecked Sendable {
    // @unchecked: confined to the lane's thread once that runs; before, to the thread that assembles the
    // node.

    unowned let node: BrokerNode
    let lane: Lane
    let logLane: LogLane
    let logs: LogManager
    let replicas: ReplicaManager
    let sessions: FetchSessions
    let refusals: BoundedLog
    let quotas: LaneQuotas
    private let flusher: LogFlusher
    /// Set with `attach`, as the two know each other.
    private(set) var mover: ReplicaMover?
    /// The groups that are kept here.
    private(set) lazy var groups = GroupCoordinators(self)
    /// The transactions that are kept here.
    private(set) lazy var transactions = TransactionCoordinators(self)
    /// Asks coordinators about the transactions of records that partitions of this lane are to take.
    private(set) lazy var verifier = TransactionVerifier(self)
    let logger: Logger
    /// What this lane has been told of the cluster's metadata.
    private(set) var metadata = MetadataImage()
    /// The settings of the broker as the metadata make them.
    private(set) var settings: SettingValues
    /// Where responses are written before they are sent.
    private var writer = MessageWriter(capacity: 4096)
    /// Fetches that have something to read again, once the turn has written what it has.
    private var wokenFetches: [FetchOperation] = []
    var producerIDs = ProducerIDBlock()
    /// Turns since a sync was first held back.
    private var heldTurnCount = 0
    /// A timer runs that ends the wait of held syncs for others.
    private var isHoldBounded = false

    var index: Int { lane.index }

    init(node: BrokerNode, lane: Lane, logLane: LogLane, store: LogStore) {
        self.node = node
        self.lane = lane
        self.logLane = logLane
        logger = node.logger.named("broker")
        logs = LogManager(store: store, lane: logLane)
        flusher = LogFlusher(lane, logs)
        replicas = ReplicaManager(logs: logs, logger: node.logger) {
            let (high, low) = SystemRandom.identifier()
            return UniqueID(high: high, low: low)
        }
        sessions = FetchSessions(
            slotCount: node.configuration.fetchSessionSlots / node.configuration.laneCount,
            seed: SystemRandom.seed())
        refusals = BoundedLog(logger)
        quotas = LaneQuotas(meters: node.quotaMeters, timeSource: node.timeSource)
        settings = node.configuration.settings
    }

    /// Ties the log storage to the turns of the lane. Before the lane runs.
    func attach() throws(IOError) {
        mover = ReplicaMover(self)
        logLane.holdsSyncs = true
        lane.turnEnded = { [unowned self] in
            logLane.flush()
            syncOrWait()
            runWokenFetches()
        }
        try lane.attach(logLane.queue) { [unowned self] in
            logLane.poll(waitNanoseconds: 0)
            if logLane.owesSyncs { lane.lookAgain() }
            runWokenFetches()
        }
        lane.ended = { [unowned self] in close() }
    }

    /// Syncs begin when nothing more has come in, so that all that came together shares them: an
    /// acknowledgement costs a tenth when ten share a sync. Looking once more is far cheaper than a sync.
    private func syncOrWait() {
        guard logLane.owesSyncs else {
            if logLane.holdsBack { boundHold() }
            return
        }
        heldTurnCount += 1
        if lane.isQuiet || heldTurnCount > Self.heldTurnLimit {
            heldTurnCount = 0
            logLane.syncHeld(afterOthers: true)
        } else {
            lane.lookAgain()
        }
    }

    /// A sync waits for those under way on its disk, but one of them may be of much more.
    private func boundHold() {
        if isHoldBounded { return }
        isHoldBounded = true
        lane.schedule(afterMilliseconds: Self.heldMilliseconds) { [unowned self] in
            isHoldBounded = false
            logLane.syncHeld(afterOthers: false)
        }
    }

    /// How long a sync waits for others under way at most.
    private static let heldMilliseconds: Int64 = 4

    /// Turns for which a sync waits for others at most: where more comes all the time, a few are gathered.
    private static let heldTurnLimit = 8

    private func close() {
        if index == 0 { node.controller.stop() }
        groups.shards.end()
        transactions.shards.end()
        replicas.close()
        logs.close()
    }

    // MARK: Metadata

    /// Takes over the metadata as they are at start.
    func begin(_ image: MetadataImage) {
        metadata = image
        takeSettings()
        takeQuotas()
        for topic in image.topics.all { applyAll(topic) }
    }

    private func takeSettings() {
        let own = metadata.configurations[.broker(node.configuration.nodeID)]
        settings = settings.replacing(.allBrokers, with: metadata.configurations[.allBrokers]).values
        settings = settings.replacing(.thisBroker, with: own).values
        groups.settingsChanged()
        transactions.settingsChanged()
    }

    private func takeQuotas() {
        quotas.update(metadata.clientQuotas)
        if index == 0 {
            node.take(settings, metadata.clientQuotas)
        }
    }

    /// Takes over committed records, and what they mean for the partitions of this lane.
    func apply(_ records: [MetadataRecord]) {
        var delta = MetadataDelta()
        for record in records {
            do {
                try metadata.apply(record, noting: &delta)
            } catch {
                logger.log(.error, "metadata record not understood", [LogField("reason", error)])
            }
        }
        follow(delta)
    }

    private func follow(_ delta: MetadataDelta) {
        let resources = delta.configurations
        if resources.contains(.allBrokers) || resources.contains(.broker(node.configuration.nodeID)) {
            takeSettings()
            takeQuotas()
            for topic in metadata.topics.all { applyAll(topic) }
        }
        if !delta.clientQuotas.isEmpty { takeQuotas() }
        for (_, deleted) in delta.deletedTopics {
            for number in 0..<Int32(clamping: deleted.partitionCount) {
                let partition = TopicPartition(topic: deleted.name, partition: number)
                guard owns(partition) else { continue }
                groups.shards.remove(partition)
                transactions.shards.remove(partition)
                replicas.remove(partition)
            }
        }
        for (id, change) in delta.topics {
            guard let topic = metadata.topics[id] else { continue }
            for number in change.partitions { apply(topic, number) }
        }
        let names =
            delta.deletedTopics.values.map(\.name)
            + delta.topics.keys.compactMap { metadata.topics[$0]?.name }
        if !names.isEmpty { groups.topicsChanged(Set(names)) }
        for resource in resources where resource.type == .topic {
            if let topic = metadata.topics[resource.name] { applyAll(topic) }
        }
    }

    func owns(_ partition: TopicPartition) -> Bool { node.placement.lane(of: partition) == index }

    private func applyAll(_ topic: TopicImage) {
        for number in topic.partitions.indices { apply(topic, Int32(number)) }
    }

    private func apply(_ topic: TopicImage, _ number: Int32) {
        let partition = TopicPartition(topic: topic.name, partition: number)
        let image = topic.partitions[Int(number)]
        guard owns(partition), image.leader == node.configuration.nodeID else { return }
        let own = topicSettings(topic)
        let configuration = own.logConfiguration
        flusher.note(configuration.flushMilliseconds)
        replicas.apply(
            PartitionAssignment(
                partition: partition, topicID: topic.id, leaderEpoch: image.leaderEpoch,
                replicas: image.replicas, inSyncReplicas: image.inSyncReplicas,
                minimumInSyncReplicas: own[TopicSettings.minimumInSyncReplicas],
                settings: configuration))
        groups.shards.lead(partition)
        transactions.shards.lead(partition)
    }

    /// The settings of a topic: its own, then the broker's.
    func topicSettings(_ topic: TopicImage) -> TopicSettingValues {
        TopicSettingValues(
            broker: settings, own: metadata.configurations[.topic(topic.name)],
            replicationFactor: max(topic.partitions.first?.replicas.count ?? 1, 1))
    }

    // MARK: Work of other lanes

    /// Runs `body` on this lane: at once when the calling thread is its own.
    /// - Returns: false when the lane has ended, and `body` will not run.
    @discardableResult
    func perform(_ body: @escaping @Sendable (BrokerLane) -> Void) -> Bool {
        if lane.isCurrent {
            body(self)
            return true
        }
        return lane.submit { [self] in body(self) }
    }

    /// The same from the thread of another lane, which wakes this one at the end of its turn.
    @discardableResult
    func perform(from sender: BrokerLane, _ body: @escaping @Sendable (BrokerLane) -> Void) -> Bool {
        if sender === self {
            body(self)
            return true
        }
        return lane.submit(from: sender.lane) { [self] in body(self) }
    }

    // MARK: Fetches that wait

    /// The fetch is read again when this turn has written what it has.
    func noteWoken(_ fetch: FetchOperation) { wokenFetches.append(fetch) }

    private func runWokenFetches() {
        if wokenFetches.isEmpty { return }
        let woken = wokenFetches
        wokenFetches.removeAll(keepingCapacity: true)
        for fetch in woken { fetch.readAgain() }
    }

    // MARK: Responses

    /// Encodes a response and hands it to `send` together with where foreign bytes go.
    func encode<Body: ResponseMessage>(
        _ body: Body, for context: RequestContext, _ send: (RawSpan, [Splice]) -> Void
    ) {
        // Taken out, so that whatever is called back may write responses of its own.
        var own = MessageWriter()
        swap(&own, &writer)
        do throws(ProtocolError) {
            try own.writeResponse(
                body, version: context.version, correlationID: context.header.correlationID)
            let bytes = own.span
            send(bytes.extracting(MessageWriter.lengthPrefixByteCount..<bytes.byteCount), own.splices)
        } catch {
            logger.log(
                .error, "response not written",
                [LogField("request", context.header.name), LogField("reason", error)])
            context.connection.close(because: "its response could not be written")
        }
        // One large response must not hold its room forever.
        if own.totalByteCount <= Self.keptWriterByteCount {
            own.removeAll()
            swap(&own, &writer)
        }
    }

    private static let keptWriterByteCount = 1 << 20
}

extension BrokerLane {
    /// Takes up a log that was recovered at start.
    func adopt(_ recovered: RecoveredPartition) {
        do {
            try logs.adopt(recovered)
        } catch {
            logger.log(
                .error, "log cannot be taken up",
                [LogField("path", recovered.opening.path), LogField("reason", error)])
        }
    }
}
