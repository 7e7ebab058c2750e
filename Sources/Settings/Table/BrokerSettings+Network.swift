/// Listeners, sockets and what clients may take of them.
extension BrokerSettings {
    public static let listeners = BrokerSetting<[ListenerAddress]>(
        "listeners",
        default: [ListenerAddress(name: "PLAINTEXT", address: HostAndPort(host: "", port: 9092))],
        .notEmpty,
        meaning:
            "where the node listens, each `NAME://HOST:PORT`; without a host on all of the machine's"
            + " addresses, port"
            + " 0 is any free one")
    public static let advertisedListeners = BrokerSetting<[ListenerAddress]?>(
        "advertised.listeners", default: nil,
        meaning:
            "what clients and other nodes are told to connect to; without it `listeners`, with the name of"
            + " the"
            + " machine where those have no host")
    public static let securityProtocolMap = BrokerSetting<[ListenerProtocol]>(
        "listener.security.protocol.map",
        default: SecurityProtocol.allCases.map { ListenerProtocol(name: $0.rawValue, $0) },
        meaning:
            "what is spoken on each listener; a controller's listener that is not named here speaks PLAINTEXT"
    )
    public static let interBrokerListenerName = BrokerSetting<ListenerName?>(
        "inter.broker.listener.name", default: nil,
        meaning:
            "the listener over which brokers speak with each other; without it the first that speaks"
            + " PLAINTEXT"
    )
    public static let controllerListenerNames = BrokerSetting<[ListenerName]>(
        "controller.listener.names", default: [],
        meaning: "the listeners that belong to the controller; other nodes use the first")
    public static let socketSendBufferBytes = BrokerSetting<Int>(
        "socket.send.buffer.bytes", default: 4 << 20, .atLeast(1, or: -1), .bytes,
        meaning: "what the kernel may hold of a connection's responses; -1: as the kernel thinks best")
    public static let socketReceiveBufferBytes = BrokerSetting<Int>(
        "socket.receive.buffer.bytes", default: -1, .atLeast(1, or: -1), .bytes,
        meaning: "what the kernel may hold of a connection's requests; -1: as the kernel thinks best")
    public static let socketRequestMaximumBytes = BrokerSetting<Int>(
        "socket.request.max.bytes", default: 100 << 20, .atLeast(1024), .bytes,
        meaning: "a larger request closes its connection, before memory is taken for it")
    public static let socketListenBacklog = BrokerSetting<Int>(
        "socket.listen.backlog.size", default: 50, .atLeast(1),
        meaning: "how many connections may wait to be accepted; the kernel's somaxconn limits it")
    public static let maximumConnections = BrokerSetting<Int>(
        "max.connections", default: Int(Int32.max), .atLeast(0), .none, .clusterWide,
        meaning: "how many connections the node has at most; more are closed at once")
    public static let maximumConnectionsPerAddress = BrokerSetting<Int>(
        "max.connections.per.ip", default: Int(Int32.max), .atLeast(0), .none, .clusterWide,
        meaning: "how many connections one address has at most; more are closed at once")
    public static let connectionLimits = BrokerSetting<[ConnectionLimit]>(
        "max.connections.per.ip.overrides", default: [], .any, .none, .clusterWide,
        meaning: "the same for single addresses, each `ADDRESS:COUNT`")
    public static let maximumConnectionRate = BrokerSetting<Int>(
        "max.connection.creation.rate", default: Int(Int32.max), .atLeast(1), .none, .clusterWide,
        meaning: "how many connections are accepted a second; more wait")
    public static let connectionsMaximumIdleMilliseconds = BrokerSetting<Int64>(
        "connections.max.idle.ms", default: 600_000, .atLeast(1, or: -1), .milliseconds,
        meaning: "a connection on which nothing happens for so long is closed; -1: never")
    public static let queuedMaximumRequests = BrokerSetting<Int>(
        "queued.max.requests", default: 500, .atLeast(1),
        meaning: "how many requests of one connection may be in flight; then no more of it are read")
    public static let queuedMaximumRequestBytes = BrokerSetting<Int64>(
        "queued.max.request.bytes", default: -1, .atLeast(1 << 20, or: -1), .bytes,
        meaning: "Kafka's name for `dmq.request.memory.bytes`; the smaller holds, -1: only that")

    public static let requestElements = BrokerSetting<Int>(
        "dmq.request.max.elements", default: 1 << 18, .atLeast(1000),
        meaning:
            "how many topics, partitions, keys and the like one request may list, all together; one with more"
            + " closes its connection, before memory is taken for them")

    static let network = SettingFamily(
        title: "Listeners and connections",
        introduction: """
            One listener serves Kafka's protocol and HTTP. Only PLAINTEXT is served; a listener with TLS or
            SASL is an error.
            """,
        settings: [
            listeners.descriptor, advertisedListeners.descriptor, securityProtocolMap.descriptor,
            interBrokerListenerName.descriptor, controllerListenerNames.descriptor,
            socketSendBufferBytes.descriptor, socketReceiveBufferBytes.descriptor,
            socketRequestMaximumBytes.descriptor, socketListenBacklog.descriptor,
            maximumConnections.descriptor, maximumConnectionsPerAddress.descriptor,
            connectionLimits.descriptor, maximumConnectionRate.descriptor,
            connectionsMaximumIdleMilliseconds.descriptor, queuedMaximumRequests.descriptor,
            queuedMaximumRequestBytes.descriptor, requestElements.descriptor,
        ])
}
