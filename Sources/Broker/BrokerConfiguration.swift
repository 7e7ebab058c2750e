public import Settings

/// What a node is told before it starts: the settings, and those of them that requests look at, read once.
public struct BrokerConfiguration: Sendable {
    public let settings: SettingValues
    public let nodeID: Int32
    /// Threads that serve connections and partitions.
    public let laneCount: Int
    /// Absolute paths.
    public let directoryPaths: [String]
    /// `metadata.log.dir`; nil: the first of `log.dirs`.
    public let metadataDirectoryPath: String?
    /// Those that clients come to.
    public let listeners: [Settings.Listener]
    /// `advertised.listeners`.
    public let advertised: [ListenerAddress]
    /// Whether this node is the whole quorum: it has the controller's role and no other voters are named.
    public let isWholeQuorum: Bool
    public let createsTopics: Bool
    /// `dmq.request.max.elements`.
    public let requestElementCount: Int
    /// `fetch.max.bytes`.
    public let fetchByteCount: Int
    /// `max.incremental.fetch.session.cache.slots`, of all lanes together.
    public let fetchSessionSlots: Int
    /// How long requests in flight may take to end when the node stops.
    public let drainMilliseconds: Int64 = 5_000

    /// - Parameters:
    ///   - directoryPaths: `log.dirs`, made absolute by who knows where the node was started.
    ///   - coreCount: what `dmq.lanes=0` stands for.
    /// - Throws: what of the listeners and roles does not fit together.
    public init(
        _ settings: SettingValues, directoryPaths: [String], coreCount: Int
    ) throws(SettingErrors) {
        let plan = try ListenerPlan(settings)
        self.settings = settings
        self.directoryPaths = directoryPaths
        metadataDirectoryPath = settings[BrokerSettings.metadataLogDirectory]
        let asked = settings[BrokerSettings.lanes]
        laneCount = asked > 0 ? asked : max(coreCount, 1)
        nodeID = Int32(clamping: settings[BrokerSettings.nodeID])
        listeners = plan.listeners.filter { !$0.isController }
        isWholeQuorum = plan.roles.isSuperset(of: [.broker, .controller]) && plan.voters?.count ?? 1 == 1
        advertised = settings[BrokerSettings.advertisedListeners] ?? []
        createsTopics = settings[BrokerSettings.autoCreateTopics]
        requestElementCount = settings[BrokerSettings.requestElements]
        fetchByteCount = settings[BrokerSettings.fetchMaximumBytes]
        fetchSessionSlots = settings[BrokerSettings.fetchSessionSlots]
    }
}
