internal import Base
internal import KafkaProtocol
internal import SystemIO
internal import Transport

/// The one connection to a broker: begun when the first request wants it, again after it was lost. On the
/// client's lane.
///
/// | state | meaning | left when |
/// | --- | --- | --- |
/// | idle | nothing is wanted, or nothing was tried since the last loss | a request comes |
/// | pausing | the last attempt failed | the pause is over |
/// | opening | name, connection and ApiVersions are under way | they came about or failed |
/// | ready | requests go out as they come | the connection is lost |
/// | closed | the client was closed | never |
final class BrokerConnection: RPCChannelDelegate {
    enum State { case idle, pausing, opening, ready, closed }

    /// Requests that may wait for a connection; beyond that is a loop that asks without end.
    static let waitingLimit = 100_000

    private(set) var endpoint: BrokerEndpoint
    /// For errors: `1 (127.0.0.1:9092)`, or the address alone where the ID is not known.
    private(set) var name: String
    let nodeID: Int32?
    private let lane: Lane
    private let configuration: ClientConfiguration
    private let resolver: NameResolver
    private(set) var state = State.idle
    private var channel: RPCChannel?
    private var addresses: [SocketAddress] = []
    private var waiting = Backlog<Exchange>()
    private var inFlight: [Exchange] = []
    private var nextCorrelationID: Int32 = 0
    private var versions: [Int16: ClosedRange<Int16>] = [:]
    private var writer = MessageWriter(capacity: 4096)
    private var backoff: Backoff
    private var random: SeededGenerator
    private var openTimer: TimerID?
    private var throttle = ThrottleTime()
    /// Counts attempts, so that what belongs to an earlier one is told apart.
    private var attempt = 0
    /// Called when a connection that was ready is lost, or one did not come about.
    var lost: (ClientError) -> Void = { _ in }

    init(
        _ endpoint: BrokerEndpoint, nodeID: Int32?, _ lane: Lane, _ configuration: ClientConfiguration,
        _ resolver: NameResolver, seed: UInt64
    ) {
        self.endpoint = endpoint
        self.nodeID = nodeID
        name = nodeID.map { "\($0) (\(endpoint))" } ?? "\(endpoint)"
        self.lane = lane
        self.configuration = configuration
        self.resolver = resolver
        backoff = Backoff(
            first: configuration.backoffMilliseconds, longest: configuration.longestBackoffMilliseconds)
        random = SeededGenerator(seed: seed)
    }

    var isReady: Bool { state == .ready }
    var isPausing: Bool { state == .pausing }
    /// Bytes that the kernel has not taken yet.
    var pendingByteCount: Int { channel?.pendingByteCount ?? 0 }
    /// Requests without an answer, sent or not.
    var openCount: Int { waiting.count + inFlight.count }

    /// Before this moment the broker wants no request, as it has said. Those that come wait.
    var throttleEnd: UInt64 { throttle.end }
    var isThrottled: Bool { throttle.end > lane.now }

    /// The newest version of an API that both sides speak; nil when there is none, or before it is known.
    func version(_ api: APIKey, _ ours: ClosedRange<Int16>) -> Int16? {
        guard let theirs = versions[api.rawValue], theirs.overlaps(ours) else { return nil }
        return min(ours.upperBound, theirs.upperBound)
    }

    /// The broker moved.
    func move(to endpoint: BrokerEndpoint) {
        if endpoint == self.endpoint { return }
        self.endpoint = endpoint
        name = nodeID.map { "\($0) (\(endpoint))" } ?? "\(endpoint)"
        addresses = []
        drop("the broker has moved to \(endpoint)")
    }

    /// Ends a connection that nobody uses; it is begun again when it is wanted.
    func retire() {
        if state != .ready || openCount > 0 { return }
        state = .idle
        let channel = self.channel
        self.channel = nil
        channel?.close()
    }

    // MARK: Requests

    /// Sends a request when the connection is ready; the completion is called once.
    func send(_ exchange: Exchange) {
        exchange.connection = self
        if state == .closed { return exchange.fail(.closed) }
        if waiting.count >= Self.waitingLimit {
            return exchange.fail(
                .malformed(broker: name, api: exchange.api, reason: "too many requests wait"))
        }
        exchange.timer = lane.schedule(at: lane.moment(afterMilliseconds: exchange.milliseconds), exchange)
        // Behind what waits already: a request that is sent and done at once (acks=0) may cause the next one
        // while those that waited for the connection are still on their way out.
        if state == .ready && waiting.isEmpty && !isThrottled { return transmit(exchange) }
        waiting.append(exchange)
        if state == .idle { open() }
    }

    private func transmit(_ exchange: Exchange) {
        guard let version = version(exchange.api, exchange.ours) else {
            let theirs = versions[exchange.api.rawValue]
            return finish(exchange) {
                $0.fail(
                    .unsupportedAPI(broker: self.name, api: $0.api, ours: $0.ours, theirs: theirs))
            }
        }
        put(exchange, version: version)
    }

    private func put(_ exchange: Exchange, version: Int16) {
        guard let channel else { return }
        exchange.version = version
        exchange.correlationID = nextCorrelationID
        nextCorrelationID = nextCorrelationID == .max ? 0 : nextCorrelationID + 1
        writer.removeAll()
        do {
            try exchange.encode(into: &writer, clientID: configuration.clientID)
        } catch {
            return finish(exchange) {
                $0.fail(.malformed(broker: self.name, api: $0.api, reason: "\(error)"))
            }
        }
        let payload = Self.payload(of: writer, exchange, lane)
        if exchange.sent == nil {
            exchange.state = .inFlight
            inFlight.append(exchange)
        }
        if !channel.send(payload) { return drop("the connection has ended") }
        if let sent = exchange.sent { finish(exchange) { _ in sent() } }
    }

    /// What the writer holds, without the length of the frame, with the spliced bytes in their places.
    private static func payload(
        of writer: MessageWriter, _ exchange: Exchange, _ lane: Lane
    ) -> OutboundPayload {
        var payload = OutboundPayload()
        var position = MessageWriter.lengthPrefixByteCount
        func append(to end: Int) {
            if end == position { return }
            let room = lane.outboundRoom(byteCount: end - position)
            room.buffer.copy(writer.span.extracting(position..<end), to: room.range.lowerBound)
            payload.append(room)
            position = end
        }
        for splice in writer.splices {
            append(to: splice.position)
            if let piece = exchange.piece(splice.token) { payload.append(piece) }
        }
        append(to: writer.span.byteCount)
        return payload
    }

    private func finish(_ exchange: Exchange, _ tell: (Exchange) -> Void) {
        if exchange.state == .done { return }
        exchange.state = .done
        if let timer = exchange.timer { lane.cancel(timer) }
        exchange.timer = nil
        tell(exchange)
    }

    /// The exchange's time is over.
    func timeOut(_ exchange: Exchange) {
        let error = ClientError.timedOut(broker: name, api: exchange.api, milliseconds: exchange.milliseconds)
        let wasInFlight = exchange.state == .inFlight
        inFlight.removeAll { $0 === exchange }
        finish(exchange) { $0.fail(error) }
        // Answers come in order: behind one that does not come, none comes.
        if wasInFlight { drop("\(exchange.api.name) was not answered in time") }
    }

    // MARK: Opening

    private func open() {
        state = .opening
        attempt += 1
        let attempt = self.attempt
        openTimer = lane.schedule(afterMilliseconds: configuration.connectMilliseconds) { [weak self] in
            guard let self, self.attempt == attempt else { return }
            drop("no connection within \(configuration.connectMilliseconds) ms")
        }
        if let next = addresses.popLast() { return connect(to: next) }
        resolver.resolve(endpoint, lane) { [weak self] result in
            guard let self, state == .opening, self.attempt == attempt else { return }
            switch result {
            case .success(let found):
                // The preferred one last, where it is taken from.
                addresses = found.reversed()
                if let next = addresses.popLast() { connect(to: next) }
            case .failure(let error): connectionLost("\(error)")
            }
        }
    }

    private func connect(to address: SocketAddress) {
        do {
            channel = try RPCChannel(
                to: address, on: lane, connectMilliseconds: configuration.connectMilliseconds, delegate: self)
        } catch {
            connectionLost("\(error)")
        }
    }

    func channelConnected(_ channel: RPCChannel) {
        if channel === self.channel { negotiate(version: APIVersionsRequest.versions.upperBound) }
    }

    /// Asks for the broker's versions. One that does not know this version of the question answers in version
    /// 0 with what it knows.
    private func negotiate(version: Int16) {
        let request = APIVersionsRequest(clientSoftwareName: "dmq", clientSoftwareVersion: "1.0")
        let exchange = VersionExchange(request, milliseconds: configuration.requestMilliseconds)
        exchange.connection = self
        exchange.completion = { [weak self] result in
            guard let self, state == .opening else { return }
            switch result {
            case .success(let response): learn(response, askedIn: version)
            case .failure(let error): drop("\(error.fact)")
            }
        }
        exchange.timer = lane.schedule(at: lane.moment(afterMilliseconds: exchange.milliseconds), exchange)
        put(exchange, version: version)
    }

    private func learn(_ response: APIVersionsResponse, askedIn version: Int16) {
        if response.errorCode == .unsupportedVersion && version > 0 {
            let own = response.apiKeys.first { $0.apiKey == APIKey.apiVersions.rawValue }
            return negotiate(version: min(own?.maxVersion ?? 0, version - 1))
        }
        if response.errorCode != .none { return drop("ApiVersions failed with \(response.errorCode.name)") }
        versions = [:]
        for entry in response.apiKeys where entry.minVersion <= entry.maxVersion {
            versions[entry.apiKey] = entry.minVersion...entry.maxVersion
        }
        state = .ready
        backoff.reset()
        cancelOpenTimer()
        sendWaiting()
    }

    private func sendWaiting() {
        while state == .ready && !isThrottled, let exchange = waiting.removeFirst() {
            if exchange.state == .waiting { transmit(exchange) }
        }
    }

    /// The broker wants no request for so long. That holds for the broker: a new connection changes nothing.
    func hold(milliseconds: Int64) {
        let bounded = min(milliseconds, configuration.longestThrottleMilliseconds)
        if bounded <= 0 || !throttle.extend(to: lane.moment(afterMilliseconds: bounded)) { return }
        configuration.log.log(
            .debug, "a quota is used up", [LogField("broker", name), LogField("milliseconds", milliseconds)])
        lane.schedule(afterMilliseconds: bounded) { [weak self] in self?.sendWaiting() }
    }

    // MARK: The channel

    func channel(_ channel: RPCChannel, received frame: BufferSlice) {
        guard channel === self.channel else { return }
        guard let correlationID = try? ResponseHeader.correlationID(of: frame.bytes),
            let index = inFlight.firstIndex(where: { $0.correlationID == correlationID })
        else { return drop("an answer came to a request that was not made") }
        let exchange = inFlight.remove(at: index)
        finish(exchange) { $0.succeed(frame, broker: self.name) }
    }

    func channelClosed(_ channel: RPCChannel, _ reason: CloseReason) {
        if channel === self.channel { connectionLost("\(reason)") }
    }

    /// Ends the connection; what is in flight fails, and what waits, waits for the next one.
    func drop(_ reason: String) {
        let channel = self.channel
        self.channel = nil
        channel?.close()
        connectionLost(reason)
    }

    private func connectionLost(_ reason: String) {
        if state == .closed || state == .idle || state == .pausing { return }
        let wasOpening = state == .opening
        channel = nil
        cancelOpenTimer()
        attempt += 1
        let open = inFlight
        inFlight = []
        configuration.log.log(
            .debug, "connection lost", [LogField("broker", name), LogField("reason", reason)])
        if wasOpening && addresses.isEmpty {
            pause()
            failWaiting(reason)
        } else {
            // Of a name with several addresses the next one is tried at once.
            state = .idle
        }
        for exchange in open {
            finish(exchange) { $0.fail(.disconnected(broker: self.name, api: $0.api, reason: reason)) }
        }
        lost(.unreachable(attempts: ["\(name): \(reason)"]))
        if state == .idle && !waiting.isEmpty { self.open() }
    }

    private func pause() {
        state = .pausing
        lane.schedule(afterMilliseconds: backoff.next(&random)) { [weak self] in
            guard let self, state == .pausing else { return }
            state = .idle
            if !waiting.isEmpty { open() }
        }
    }

    /// Requests that waited for an attempt that failed are their callers' again, who may know another broker.
    private func failWaiting(_ reason: String) {
        var failed = Backlog<Exchange>()
        swap(&failed, &waiting)
        while let exchange = failed.removeFirst() {
            finish(exchange) { $0.fail(.unreachable(attempts: ["\(self.name): \(reason)"])) }
        }
    }

    private func cancelOpenTimer() {
        if let openTimer { lane.cancel(openTimer) }
        openTimer = nil
    }

    /// Ends it for good.
    func close() {
        if state == .closed { return }
        state = .closed
        cancelOpenTimer()
        channel?.close()
        channel = nil
        let open = inFlight
        inFlight = []
        for exchange in open { finish(exchange) { $0.fail(.closed) } }
        while let exchange = waiting.removeFirst() { finish(exchange) { $0.fail(.closed) } }
    }
}

/// The question for versions, whose answer may be of another version than was asked for.
private final class VersionExchange: Exchange {
    private let request: APIVersionsRequest
    var completion: (Result<APIVersionsResponse, ClientError>) -> Void = { _ in }

    init(_ request: APIVersionsRequest, milliseconds: Int64) {
        self.request = request
        super.init(.apiVersions, APIVersionsRequest.versions, milliseconds: milliseconds)
    }

    override func encode(into writer: inout MessageWriter, clientID: String) throws(ProtocolError) {
        try writer.writeRequest(
            request, version: version, correlationID: correlationID, clientID: clientID)
    }

    override func succeed(_ frame: BufferSlice, broker: String) {
        do {
            let position = try ResponseHeader(parsing: frame.bytes, apiKey: api, version: version)
                .bodyPosition
            // The error code is the first field of every version.
            let isRefusal =
                frame.byteCount >= position + 2
                && frame.buffer.byte(at: frame.range.lowerBound + position) == 0
                && frame.buffer.byte(at: frame.range.lowerBound + position + 1)
                    == UInt8(ErrorCode.unsupportedVersion.rawValue)
            completion(
                .success(
                    try APIVersionsResponse(
                        decoding: frame.bytes, version: isRefusal ? 0 : version, from: position)))
        } catch {
            completion(.failure(.malformed(broker: broker, api: api, reason: "\(error)")))
        }
    }

    override func fail(_ error: ClientError) { completion(.failure(error)) }
}
