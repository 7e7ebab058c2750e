/// The node itself: who it is, where its data lie, how it uses the machine.
extension BrokerSettings {
    public static let processRoles = BrokerSetting<[NodeRole]>(
        "process.roles", default: [.broker, .controller], .different,
        meaning: "what the node does: broker, controller, or both")
    public static let nodeID = BrokerSetting<Int>(
        "node.id", default: 1, .atLeast(0), before: ["broker.id"],
        meaning: "the number of the node in its cluster; it owns its log directories and never changes")
    public static let brokerID = BrokerSetting<Int?>(
        "broker.id", default: nil, .atLeast(0), meaning: "the older name of `node.id`")
    public static let rack = BrokerSetting<String?>(
        "broker.rack", default: nil, meaning: "where the node stands; replicas are spread over racks")
    public static let logDirectories = BrokerSetting<[String]?>(
        "log.dirs", default: nil, .different, before: ["log.dir"],
        meaning: "directories for the logs, one a disk, with commas between them")
    public static let logDirectory = BrokerSetting<[String]>(
        "log.dir", default: ["dmq-data"], .different,
        meaning: "the same, where `log.dirs` is not set; relative to where the node is started")
    public static let metadataLogDirectory = BrokerSetting<String?>(
        "metadata.log.dir", default: nil,
        meaning: "where the log of the cluster's metadata lies; without it in the first of `log.dirs`")
    public static let lanes = BrokerSetting<Int>(
        "dmq.lanes", default: 0, .integers(0...1024),
        meaning: "threads that each serve connections and partitions; 0: one per core")
    public static let backEnd = BrokerSetting<BackEndChoice>(
        "dmq.io.back.end", default: .automatic,
        meaning:
            "how the kernel is asked for input and output: auto takes io_uring, and epoll where the kernel"
            + " refuses it")
    public static let requestMemoryBytes = BrokerSetting<Int64>(
        "dmq.request.memory.bytes", default: 256 << 20, .atLeast(1 << 20), .bytes,
        meaning:
            "the most memory that all requests together may take while they arrive and are served; then"
            + " nothing"
            + " more is read")
    public static let logFormat = BrokerSetting<LogFormatChoice>(
        "dmq.log.format", default: .text, meaning: "how the node writes its own log lines: key=value, or JSON"
    )
    public static let logLevel = BrokerSetting<LogLevelChoice>(
        "dmq.log.level", default: .info, .any, .none, .clusterWide,
        meaning: "from which level on the node writes log lines")

    static let node = SettingFamily(
        title: "The node",
        introduction:
            "Without any setting a node is a cluster of its own, with its data below the directory it is"
            + " started in.",
        settings: [
            processRoles.descriptor, nodeID.descriptor, brokerID.descriptor, rack.descriptor,
            logDirectories.descriptor, logDirectory.descriptor, metadataLogDirectory.descriptor,
            lanes.descriptor, backEnd.descriptor, requestMemoryBytes.descriptor, logFormat.descriptor,
            logLevel.descriptor,
        ])
}
