internal import Base
internal import KafkaProtocol
internal import Settings
internal import SystemIO
internal import Transport

/// Takes the frames of one listener on one lane and finds who serves them.
final class RequestRouter: FrameHandler {
    private let broker: BrokerLane
    private let listener: String
    /// What clients are told of this listener's address, where that was set.
    private let advertised: HostAndPort?

    init(broker: BrokerLane, listener: String) {
        self.broker = broker
        self.listener = listener
        advertised = broker.node.configuration.advertised.first { $0.name == listener }?.address
    }

    func connectionOpened(_ connection: Connection) {}

    func connectionClosed(_ connection: Connection, _ reason: CloseReason) {}

    func frameArrived(_ frame: BufferSlice, _ ticket: ResponseTicket) {
        let parsed: RequestFrame
        do {
            parsed = try RequestFrame(parsing: frame.bytes)
        } catch {
            return refuse(ticket, nil, "its header cannot be read: \(error)")
        }
        if let advertised, ticket.connection.context !== BootstrapWatch.settled {
            watch(ticket.connection, parsed.header, advertised)
        }
        let context = RequestContext(
            broker: broker, listener: listener, header: parsed.header, ticket: ticket,
            byteCount: frame.byteCount)
        guard let api = APITable.api(parsed.header.rawAPIKey) else {
            return refuse(ticket, parsed.header, "this API is not served")
        }
        guard api.versions.contains(parsed.header.apiVersion) else {
            if api.key == .apiVersions { return APIVersionsHandler.answerUnsupported(context) }
            return refuse(
                ticket, parsed.header,
                "versions \(api.versions.lowerBound) to \(api.versions.upperBound) are served")
        }
        let began = broker.quotas.beginWork()
        do throws(ProtocolError) {
            try api.handle(context, frame, parsed)
        } catch {
            var reason = "\(error)"
            if case .tooManyElementsInAll = error.reason {
                reason += "; \(BrokerSettings.requestElements.name) allows no more"
            }
            refuse(ticket, parsed.header, reason)
        }
        broker.quotas.endWork(began, parsed.header.clientID)
    }

    private func watch(_ connection: Connection, _ header: RequestHeader, _ advertised: HostAndPort) {
        let client = BootstrapWatch.Client(host: connection.peer.host, clientID: header.clientID ?? "")
        let node = broker.node
        let now = broker.lane.now
        guard BootstrapWatch.isAskedOfAnyone(header.apiKey) else {
            connection.context = BootstrapWatch.settled
            node.lanes[0].perform { _ in node.bootstrapWatch.noteArrival(client, now: now) }
            return
        }
        guard header.apiKey == .metadata, let used = connection.localAddress else { return }
        if advertised.description == used.description {
            connection.context = BootstrapWatch.settled
            return
        }
        let listener = listener
        node.lanes[0].perform { _ in
            node.bootstrapWatch.noteMetadata(
                client, listener: listener, advertised: advertised.description, used: used, now: now)
        }
    }

    /// Nobody knows what the peer would make of an answer, so there is none: the connection ends.
    private func refuse(_ ticket: ResponseTicket, _ header: RequestHeader?, _ reason: String) {
        broker.refusals.write(
            .warn, "request refused, connection closed", now: broker.lane.now,
            [
                LogField("peer", ticket.connection.peer), LogField("client", header?.clientID ?? ""),
                LogField("request", header?.name ?? "unknown"), LogField("reason", reason),
            ])
        ticket.connection.close(because: reason)
    }
}
