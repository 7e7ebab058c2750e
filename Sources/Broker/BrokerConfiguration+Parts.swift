public import Base
internal import ClusterMetadata
internal import LogStorage
public import Settings
internal import SystemIO
internal import Transport

/// What the parts of a node take of the settings.
extension BrokerConfiguration {
    var laneSettings: LaneSettings {
        var result = LaneSettings(laneCount: laneCount)
        result.backend = backEnd
        result.requestMemoryByteCount = Int(settings.requestMemoryByteCount)
        return result
    }

    private var backEnd: NetworkChoice {
        switch settings[BrokerSettings.backEnd] {
        case .automatic: .auto
        case .ring: .ioUring
        case .epoll: .epoll
        }
    }

    var appendQueue: AppendQueueChoice {
        switch settings[BrokerSettings.backEnd] {
        case .automatic: .auto
        case .ring: .ioUring
        case .epoll: .epoll
        }
    }

    var transport: TransportSettings {
        var result = TransportSettings()
        result.maximumFrameByteCount = settings[BrokerSettings.socketRequestMaximumBytes]
        result.requestsInFlightPerConnection = settings[BrokerSettings.queuedMaximumRequests]
        let idle = settings[BrokerSettings.connectionsMaximumIdleMilliseconds]
        result.idleMilliseconds = idle < 0 ? .max : idle
        result.listenBacklog = settings[BrokerSettings.socketListenBacklog]
        let sent = settings[BrokerSettings.socketSendBufferBytes]
        if sent > 0 { result.socket.sendBufferByteCount = sent }
        let received = settings[BrokerSettings.socketReceiveBufferBytes]
        if received > 0 { result.socket.receiveBufferByteCount = received }
        return result
    }

    /// What listeners are told about connections, by settings and by quotas of addresses.
    static func connectionLimits(
        _ settings: SettingValues, _ quotas: ClientQuotasImage
    ) -> ConnectionLimits.Settings {
        var result = ConnectionLimits.Settings(
            total: settings[BrokerSettings.maximumConnections],
            perAddress: settings[BrokerSettings.maximumConnectionsPerAddress])
        for limit in settings[BrokerSettings.connectionLimits] {
            if let host = HostAddress(limit.host) { result.overrides[host] = limit.count }
        }
        let rate = settings[BrokerSettings.maximumConnectionRate]
        if rate < Int(Int32.max) { result.rate = Double(rate) }
        for (entity, values) in quotas.all {
            guard let part = entity.part(ClientQuotaEntity.address),
                let rate = values["connection_creation_rate"]
            else { continue }
            if let name = part.name {
                if let host = HostAddress(name) { result.addressRates[host] = rate }
            } else {
                result.ratePerAddress = rate
            }
        }
        return result
    }

    var logStore: LogStoreConfiguration {
        var result = LogStoreConfiguration(directoryPaths: directoryPaths)
        result.nodeID = nodeID
        result.reserveByteCount = settings[BrokerSettings.diskReserveBytes]
        result.recycleByteCount = settings[BrokerSettings.segmentRecycleBytes]
        result.recoveryThreadsPerDirectory = settings[BrokerSettings.recoveryThreads]
        return result
    }

    static func cleaner(_ settings: SettingValues) -> CleanerConfiguration {
        var result = CleanerConfiguration()
        result.threadCount = settings[BrokerSettings.cleanerThreads]
        result.dedupeByteCount = Int(settings[BrokerSettings.cleanerDedupeBytes])
        result.loadFactor = settings[BrokerSettings.cleanerLoadFactor]
        result.bufferByteCount = settings[BrokerSettings.cleanerBufferBytes]
        let rate = settings[BrokerSettings.cleanerBytesPerSecond]
        result.bytesPerSecond = rate == .greatestFiniteMagnitude ? nil : rate
        result.backoffMilliseconds = settings[BrokerSettings.cleanerBackoffMilliseconds]
        return result
    }

    /// What the cluster is told of this node's addresses, for the listeners that are to be told of.
    /// - Parameter port: that the listener of a name was bound to.
    func endpoints(hostName: String, port: (String) -> UInt16?) -> [ListenerAddress] {
        listeners.compactMap { listener in
            listener.advertised.map { told in
                ListenerAddress(
                    name: listener.name,
                    address: HostAndPort(
                        host: told.host.isEmpty ? hostName : told.host,
                        port: told.port == 0 ? port(listener.name) ?? 0 : told.port))
            }
        }
    }
}

extension LogLevelChoice {
    /// As loggers take it.
    public var level: LogLevel {
        switch self {
        case .debug: .debug
        case .info: .info
        case .warn: .warn
        case .error: .error
        }
    }
}
