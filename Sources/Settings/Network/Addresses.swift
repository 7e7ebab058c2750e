/// Where something listens or is reached.
public struct HostAndPort: Sendable, Hashable, CustomStringConvertible {
    /// A name or an address, an IPv6 one without brackets; empty where every address of the machine is
    /// meant.
    public let host: String
    /// 0: any that is free.
    public let port: UInt16

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// `host:port`, an IPv6 address in brackets.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Reads `host:port`, `:port` and `[::1]:port`.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]),
            text[text.index(after: colon)...].utf8.allSatisfy({ $0 != UInt8(ascii: "+") })
        else { return nil }
        var host = text[..<colon]
        if host.first == "[" {
            guard host.last == "]", host.count > 2 else { return nil }
            host = host.dropFirst().dropLast()
            guard host.contains(":") else { return nil }
        } else if host.contains(":") {
            return nil
        }
        guard host.utf8.allSatisfy(Self.isHostByte) else { return nil }
        self.init(host: String(host), port: port)
    }

    /// Letters, digits, and what stands between them in names and in addresses with a zone.
    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: ":"), UInt8(ascii: "%"):
            true
        default: false
        }
    }

    /// Means every address of the machine, so that nobody else can connect to it.
    public var isWildcard: Bool { host.isEmpty || host == "0.0.0.0" || host == "::" }
}

extension HostAndPort: SettingListElement {
    public static var settingType: SettingType { .string }
    public static func form(in unit: SettingUnit) -> String { "an address of the form HOST:PORT" }
    public static var listForm: String { "addresses of the form HOST:PORT" }
    public var settingText: String? { description }
    public init?(settingText: String) {
        guard let address = HostAndPort(trimmed(settingText)), !address.host.isEmpty else { return nil }
        self = address
    }
}

/// A listener's name and its address, `NAME://HOST:PORT`.
public struct ListenerAddress: Sendable, Hashable, SettingListElement {
    /// In capitals, as Kafka compares them.
    public let name: String
    public let address: HostAndPort

    public init(name: String, address: HostAndPort) {
        self.name = name
        self.address = address
    }

    public static var settingType: SettingType { .string }
    public static func form(in unit: SettingUnit) -> String { "an address of the form NAME://HOST:PORT" }
    public static var listForm: String { "addresses of the form NAME://HOST:PORT" }
    public var settingText: String? { "\(name)://\(address)" }

    public init?(settingText: String) {
        let text = trimmed(settingText)
        guard let separator = text.firstRange(of: "://"),
            let name = ListenerName(settingText: String(text[..<separator.lowerBound])),
            let address = HostAndPort(String(text[separator.upperBound...]))
        else { return nil }
        self.init(name: name.text, address: address)
    }
}

/// The name of a listener: letters, digits, `_` and `-`, compared in capitals.
public struct ListenerName: Sendable, Hashable, SettingListElement {
    public let text: String

    public static var settingType: SettingType { .string }
    public static func form(in unit: SettingUnit) -> String { "the name of a listener" }
    public static var listForm: String { "names of listeners" }
    public var settingText: String? { text }

    public init?(settingText: String) {
        let name = trimmed(settingText)
        guard !name.isEmpty, name.utf8.count <= 100,
            name.utf8.allSatisfy({ byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            })
        else { return nil }
        text = name.uppercased()
    }
}

/// What is spoken on a listener.
public enum SecurityProtocol: String, SettingChoice {
    case plaintext = "PLAINTEXT"
    case tls = "SSL"
    case saslPlaintext = "SASL_PLAINTEXT"
    case saslTLS = "SASL_SSL"
}

/// One entry of `listener.security.protocol.map`, `NAME:PROTOCOL`.
public struct ListenerProtocol: Sendable, Hashable, SettingListElement {
    public let name: String
    public let securityProtocol: SecurityProtocol

    /// Kafka has the whole map as one string.
    public static var settingType: SettingType { .string }
    public static func form(in unit: SettingUnit) -> String { "a pair of the form NAME:PROTOCOL" }
    public static var listForm: String {
        "pairs of the form NAME:PROTOCOL with PROTOCOL " + SecurityProtocol.form(in: .none)
    }
    public var settingText: String? { "\(name):\(securityProtocol.rawValue)" }

    public init(name: String, _ securityProtocol: SecurityProtocol) {
        self.name = name
        self.securityProtocol = securityProtocol
    }

    public init?(settingText: String) {
        let parts = settingText.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let name = ListenerName(settingText: String(parts[0])),
            let spoken = SecurityProtocol(settingText: parts[1].uppercased())
        else { return nil }
        self.init(name: name.text, spoken)
    }
}

/// One voter of the controller quorum, `ID@HOST:PORT`.
public struct QuorumVoter: Sendable, Hashable, SettingListElement {
    public let nodeID: Int32
    public let address: HostAndPort

    public static var settingType: SettingType { .string }
    public static func form(in unit: SettingUnit) -> String { "a voter of the form ID@HOST:PORT" }
    public static var listForm: String { "voters of the form ID@HOST:PORT" }
    public var settingText: String? { "\(nodeID)@\(address)" }

    public init(nodeID: Int32, address: HostAndPort) {
        self.nodeID = nodeID
        self.address = address
    }

    public init?(settingText: String) {
        let parts = trimmed(settingText).split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, let nodeID = Int32(parts[0]), nodeID >= 0,
            let address = HostAndPort(String(parts[1])), !address.host.isEmpty
        else { return nil }
        self.init(nodeID: nodeID, address: address)
    }
}

/// How many connections one address may have, `HOST:COUNT`.
public struct ConnectionLimit: Sendable, Hashable, SettingListElement {
    public let host: String
    public let count: Int

    public static var settingType: SettingType { .string }
    public static func form(in unit: SettingUnit) -> String { "a limit of the form HOST:COUNT" }
    public static var listForm: String { "limits of the form HOST:COUNT" }
    public var settingText: String? { "\(host):\(count)" }

    public init(host: String, count: Int) {
        self.host = host
        self.count = count
    }

    public init?(settingText: String) {
        let text = trimmed(settingText)
        guard let colon = text.lastIndex(of: ":"), let count = Int32(text[text.index(after: colon)...]),
            count >= 0, colon > text.startIndex
        else { return nil }
        self.init(host: String(text[..<colon]), count: Int(count))
    }
}

/// A partition's replica on a broker, `PARTITION:BROKER`, or all of a topic's, `*`.
public struct ThrottledReplica: Sendable, Hashable, SettingListElement {
    /// Nil: all partitions, on all brokers.
    public let replica: Replica?

    /// Which copy of which partition.
    public struct Replica: Sendable, Hashable {
        public let partition: Int32
        public let brokerID: Int32
    }

    public static var settingType: SettingType { .string }
    public static func form(in unit: SettingUnit) -> String { "PARTITION:BROKER or *" }
    public static var listForm: String { "replicas of the form PARTITION:BROKER, or *" }
    public var settingText: String? { replica.map { "\($0.partition):\($0.brokerID)" } ?? "*" }

    public init?(settingText: String) {
        let text = trimmed(settingText)
        if text == "*" {
            replica = nil
            return
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let partition = Int32(parts[0]), let brokerID = Int32(parts[1]),
            partition >= 0, brokerID >= 0
        else { return nil }
        replica = Replica(partition: partition, brokerID: brokerID)
    }
}
