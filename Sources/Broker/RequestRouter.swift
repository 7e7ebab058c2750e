internal import Base
internal import KafkaProtocol
internal import SystemIO
internal import Transport

/// Takes the frames of one listener on one lane and finds who serves them.
final class RequestRouter: FrameHandler {
    private let broker: BrokerLane
    private let listener: String

    init(broker: BrokerLane, listener: String) {
        self.broker = broker
        self.listener = listener
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
            refuse(ticket, parsed.header, "\(error)")
        }
        broker.quotas.endWork(began, parsed.header.clientID)
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
