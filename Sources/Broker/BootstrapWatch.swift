internal import Base
internal import KafkaProtocol
internal import SystemIO
internal import Transport

/// Notices clients that connect to an address that somebody gave them, learn the advertised one, and never
/// come there: the most common mistake in setting up a broker, of which clients say little.
///
/// Only listeners with an advertised address are watched. A client is known by its host and its client ID; it
/// has come when it asks something that clients ask of a leader only.
final class BootstrapWatch: @unchecked Sendable {
    // @unchecked: on the first lane only.

    /// In the place of a connection's context: it need not be looked at any more.
    static let settled = Settled()
    final class Settled: Sendable {}

    struct Client: Hashable, Sendable {
        let host: HostAddress
        let clientID: String
    }

    private struct Sighting {
        let since: UInt64
        var count = 0
        var hasCome = false
        var isTold = false
    }

    private var clients: [Client: Sighting] = [:]
    private let logger: Logger

    /// So many clients are remembered; with one more all are forgotten.
    static let maximumCount = 1_000
    /// A client that asks for metadata so often and for so long does not get further.
    static let suspiciousCount = 3
    static let suspiciousNanoseconds: UInt64 = 10_000_000_000

    init(_ logger: Logger) { self.logger = logger }

    /// Whether clients ask this of any broker that they can reach.
    static func isAskedOfAnyone(_ key: APIKey?) -> Bool {
        switch key {
        case .apiVersions, .metadata, .findCoordinator, .describeCluster, .getTelemetrySubscriptions,
            .initProducerID, .saslHandshake, .saslAuthenticate, nil:
            true
        default: false
        }
    }

    /// A client has come to where it was sent.
    func noteArrival(_ client: Client, now: UInt64) {
        update(client, now: now) { $0.hasCome = true }
    }

    /// A client was told where to go.
    ///
    /// - Parameters:
    ///   - advertised: where that is.
    ///   - used: the address of this node that it has used instead.
    func noteMetadata(
        _ client: Client, listener: String, advertised: String, used: SocketAddress, now: UInt64
    ) {
        let sighting = update(client, now: now) { $0.count += 1 }
        guard !sighting.hasCome, !sighting.isTold, sighting.count >= Self.suspiciousCount,
            now >= sighting.since &+ Self.suspiciousNanoseconds
        else { return }
        update(client, now: now) { $0.isTold = true }
        logger.log(
            .warn, "a client does not reach the advertised address",
            [
                LogField("listener", listener), LogField("advertised", advertised),
                LogField("peer", client.host), LogField("client", client.clientID),
                LogField(
                    "reason",
                    "it connects to \(used), is told to go to \(advertised), and is not seen there"),
                LogField(
                    "help",
                    "set advertised.listeners to an address that clients can connect to, such as "
                        + "\(listener)://\(used)"),
            ])
    }

    @discardableResult
    private func update(_ client: Client, now: UInt64, _ change: (inout Sighting) -> Void) -> Sighting {
        if clients[client] == nil && clients.count >= Self.maximumCount { clients = [:] }
        var sighting = clients[client] ?? Sighting(since: now)
        change(&sighting)
        clients[client] = sighting
        return sighting
    }
}
