public import Base

/// What a client is made of. Times are in milliseconds.
public struct ClientConfiguration: Sendable {
    /// `host:port` of some brokers of the cluster; the others are learned from them.
    public var bootstrapServers: [String]
    /// What brokers write into their logs and count quotas by.
    public var clientID: String
    /// A request without an answer after so long is given up, and with it the connection.
    public var requestMilliseconds: Int64 = 30_000
    /// What a caller waits for is tried again until so long after its beginning.
    public var apiMilliseconds: Int64 = 60_000
    /// A connection that has not come about after so long is given up.
    public var connectMilliseconds: Int64 = 10_000
    /// The first pause after a failure; it doubles with every further one up to the longest, and a fifth of
    /// it is chance, so that clients do not come back all at once.
    public var backoffMilliseconds: Int64 = 100
    public var longestBackoffMilliseconds: Int64 = 1_000
    /// A broker that asks to be left alone for some time, since a quota is used up, is left alone for no
    /// longer than this.
    public var longestThrottleMilliseconds: Int64 = 60_000
    /// What is known of the cluster is asked for again after so long.
    public var metadataAgeMilliseconds: Int64 = 300_000
    public var log = Logger.silent

    /// - Parameter bootstrapServers: at least one `host:port`.
    public init(bootstrapServers: [String], clientID: String = "dmq") {
        self.bootstrapServers = bootstrapServers
        self.clientID = clientID
    }
}

/// Where a broker listens.
public struct BrokerEndpoint: Hashable, Sendable, CustomStringConvertible {
    public let host: String
    public let port: UInt16

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port`, `[::1]:9092`, or a host alone, whose port is then 9092.
    public init(_ text: String) throws(ClientError) {
        let trimmed = text.drop { $0 == " " }
        var host = trimmed[...]
        var port: UInt16 = 9092
        if let colon = trimmed.lastIndex(of: ":"), trimmed.last != "]" {
            guard let number = UInt16(trimmed[trimmed.index(after: colon)...]), number > 0 else {
                throw .badAddress(text)
            }
            port = number
            host = trimmed[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        if host.isEmpty || host.contains(" ") || host.contains("/") { throw .badAddress(text) }
        self.init(host: String(host), port: port)
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// The pause before the next attempt: doubled with each failure, with a share of chance.
struct Backoff {
    let first: Int64
    let longest: Int64
    private var failures = 0

    init(first: Int64, longest: Int64) {
        self.first = max(first, 1)
        self.longest = max(longest, first)
    }

    /// How long to wait after one more failure, in milliseconds.
    mutating func next(_ random: inout SeededGenerator) -> Int64 {
        // 2^20 times the first pause is beyond every bound that makes sense.
        let doubled = first << Int64(min(failures, 20))
        failures += 1
        let pause = min(doubled, longest)
        let spread = UInt64(pause * 2 / 5 + 1)
        return max(1, pause - pause / 5 + Int64(random.next() % spread))
    }

    mutating func reset() { failures = 0 }
}
