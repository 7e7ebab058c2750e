internal import Base
internal import KafkaProtocol
internal import SystemIO
internal import Transport

/// A request on its way to an answer: who asked, how, and where the answer goes. Does not hold the bytes of
/// the request, so that it may wait for long.
struct RequestContext {
    /// Of the connection.
    let broker: BrokerLane
    /// The name of the listener that it came in at.
    let listener: String
    let header: RequestHeader
    let ticket: ResponseTicket
    /// Of the whole request.
    var byteCount = 0

    var version: Int16 { header.apiVersion }
    var connection: Connection { ticket.connection }
    var node: BrokerNode { broker.node }

    /// Answers. Exactly once, on the connection's lane. A client that is over a quota is told so, and paused.
    func respond(_ body: some ResponseMessage) {
        if broker.quotas.isActive {
            let pause = pauseForQuota()
            if pause > 0 { return respond(body, pausing: pause) }
        }
        send(body)
    }

    /// As `respond`, for an answer that pauses its client for a quota of its own, too.
    func respond(_ body: some ResponseMessage, pausingAtLeast milliseconds: Int64) {
        let pause = max(milliseconds, broker.quotas.isActive ? pauseForQuota() : 0)
        pause > 0 ? respond(body, pausing: pause) : send(body)
    }

    /// Answers, and reads nothing more of the connection for so long.
    func respond(_ body: some ResponseMessage, pausing milliseconds: Int64) {
        connection.pauseReading(milliseconds: milliseconds)
        guard var told = body as? any ThrottledResponse else { return send(body) }
        told.throttleTimeMilliseconds = Int32(clamping: milliseconds)
        send(told)
    }

    /// As `respond`, for a request that gets no answer.
    func completeWithoutResponse() {
        if broker.quotas.isActive { connection.pauseReading(milliseconds: pauseForQuota()) }
        ticket.completeWithoutResponse()
    }

    private func pauseForQuota() -> Int64 {
        broker.quotas.pause(
            header.clientID, producedByteCount: header.apiKey == .produce ? byteCount : nil,
            now: broker.lane.now)
    }

    private func send(_ body: some ResponseMessage) {
        broker.encode(body, for: self) { bytes, splices in
            invariant(splices.isEmpty, "a response with records that nobody sends")
            ticket.complete(copying: bytes)
        }
    }

    /// Answers with a response whose record bytes lie in files: the token of each splice is a subscript of
    /// `regions`. Whether the client may have them is for the caller to ask.
    func respond(_ body: some ResponseMessage, regions: [FileRegion]) {
        if regions.isEmpty { return send(body) }
        broker.encode(body, for: self) { bytes, splices in
            let own = broker.lane.outboundRoom(byteCount: bytes.byteCount)
            own.buffer.copy(bytes, to: own.range.lowerBound)
            // The prefix of the length, which the splices count, is not part of the payload.
            let start = own.range.lowerBound - MessageWriter.lengthPrefixByteCount
            var payload = OutboundPayload()
            var position = own.range.lowerBound
            for splice in splices {
                payload.append(BufferSlice(own.buffer, position..<(start + splice.position)))
                payload.append(regions[splice.token])
                position = start + splice.position
            }
            payload.append(BufferSlice(own.buffer, position..<own.range.upperBound))
            ticket.complete(payload)
        }
    }

    /// One line in the log, at most so many a while.
    func logRefusal(_ event: StaticString, _ level: LogLevel = .info, _ fields: @autoclosure () -> [LogField])
    {
        broker.refusals.write(
            level, event, now: broker.lane.now,
            [
                LogField("peer", connection.peer), LogField("client", header.clientID ?? ""),
                LogField("request", header.name),
            ] + fields())
    }
}

extension RequestHeader {
    /// For log lines: `produce v9`.
    var name: String { (apiKey.map { "\($0)" } ?? "key \(rawAPIKey)") + " v\(apiVersion)" }
}

extension RequestContext {
    /// As `logRefusal`, with the fields in braces.
    func logRefusal(_ event: StaticString, _ level: LogLevel = .info, fields: () -> [LogField]) {
        logRefusal(event, level, fields())
    }
}
