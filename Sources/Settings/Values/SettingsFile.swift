internal import Base

/// Keys and values as somebody wrote them, with what is to be told about them.
public struct CheckedSettings: Sendable {
    /// By name, each good by itself.
    public internal(set) var values: [String: String] = [:]
    public internal(set) var warnings: [SettingWarning] = []
}

extension SettingValues {
    /// A `server.properties` is refused above this; Kafka's own has 7 KiB.
    public static let maximumFileByteCount = 1 << 20

    /// The values that a node starts with.
    ///
    /// - Parameters:
    ///   - file: the content of a `server.properties`; nil: none.
    ///   - commandLine: of `--set key=value`, in their order; values may have units of their own (`14d`,
    ///     `1GiB`). The later of two for one key holds.
    /// - Throws: everything that is wrong, not only the first.
    public static func starting(
        file: [UInt8]?, commandLine: [(key: String, value: String)] = []
    ) throws(SettingErrors) -> (values: SettingValues, warnings: [SettingWarning]) {
        var errors: [SettingError] = []
        var fromFile = CheckedSettings()
        if let file {
            do {
                fromFile = check(try JavaProperties(parsing: file).entries, .plain, &errors)
            } catch {
                errors.append(.malformedFile(error))
            }
        }
        let fromCommandLine = check(commandLine, .quantities, &errors)
        var values = SettingValues()
        values = values.replacing(.file, with: fromFile.values).values
        values = values.replacing(.commandLine, with: fromCommandLine.values).values
        if errors.isEmpty { errors += values.conflicts() }
        if errors.isEmpty { return (values, fromFile.warnings + fromCommandLine.warnings) }
        throw SettingErrors(errors: errors)
    }

    private enum Notation { case plain, quantities }
    /// A file that is none of ours would have an error a line, and each looks for what was meant.
    private static let maximumErrorCount = 50

    private static func check(
        _ entries: [(key: String, value: String)], _ notation: Notation, _ errors: inout [SettingError]
    ) -> CheckedSettings {
        var result = CheckedSettings()
        for (name, value) in entries where errors.count < maximumErrorCount {
            do throws(SettingError) {
                switch try SettingTable.meaning(of: name, value: value, .broker) {
                case .ignored(let reason):
                    result.warnings.append(SettingWarning(name: name, reason: reason))
                case .setting(let descriptor):
                    if notation == .quantities {
                        result.values[name] = try descriptor.text(fromCommandLine: value)
                    } else {
                        try descriptor.check(value)
                        result.values[name] = value
                    }
                }
            } catch {
                errors.append(error)
            }
        }
        return result
    }

    /// What does not fit together though each fits by itself.
    func conflicts() -> [SettingError] {
        var found: [SettingError] = []
        func check(_ isGood: Bool, _ text: @autoclosure () -> String) {
            if !isGood { found.append(.conflict(text())) }
        }
        if isSet(named: BrokerSettings.nodeID.name), let other = self[BrokerSettings.brokerID] {
            check(
                self[BrokerSettings.nodeID] == other,
                "node.id is \(self[BrokerSettings.nodeID]) and broker.id \(other); remove broker.id")
        }
        check(
            self[BrokerSettings.heartbeatMilliseconds] < self[BrokerSettings.sessionMilliseconds],
            "broker.heartbeat.interval.ms (\(self[BrokerSettings.heartbeatMilliseconds])) must be below"
                + " broker.session.timeout.ms (\(self[BrokerSettings.sessionMilliseconds])); lower it")
        check(
            self[BrokerSettings.groupMinimumSessionMilliseconds]
                <= self[BrokerSettings.groupMaximumSessionMilliseconds],
            "group.min.session.timeout.ms (\(self[BrokerSettings.groupMinimumSessionMilliseconds])) is above"
                + " group.max.session.timeout.ms"
                + " (\(self[BrokerSettings.groupMaximumSessionMilliseconds])); lower it")
        let requestBytes = Int64(self[BrokerSettings.socketRequestMaximumBytes])
        check(
            requestBytes <= requestMemoryByteCount,
            "socket.request.max.bytes (\(requestBytes)) is above the memory for all requests,"
                + " dmq.request.memory.bytes (\(requestMemoryByteCount)); lower it or raise that")
        let lags = [
            TopicSettings.minimumCompactionLagMilliseconds, TopicSettings.maximumCompactionLagMilliseconds,
        ].map { self[$0] }
        check(
            lags[0] <= lags[1],
            "log.cleaner.min.compaction.lag.ms (\(lags[0])) is above log.cleaner.max.compaction.lag.ms"
                + " (\(lags[1])); lower it")
        return found
    }

    /// The most memory that requests may take together: `dmq.request.memory.bytes`, or
    /// `queued.max.request.bytes` where that is set and smaller.
    public var requestMemoryByteCount: Int64 {
        let queued = self[BrokerSettings.queuedMaximumRequestBytes]
        let memory = self[BrokerSettings.requestMemoryBytes]
        return queued > 0 ? min(queued, memory) : memory
    }

    /// Where the logs lie, as they are written: relative paths are from where the node is started.
    public var logDirectoryPaths: [String] {
        self[BrokerSettings.logDirectories] ?? self[BrokerSettings.logDirectory]
    }
}
