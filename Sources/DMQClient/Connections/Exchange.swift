internal import KafkaProtocol
internal import SystemIO
internal import Transport

/// A request on its way to one broker and back. On the client's lane.
///
/// | state | left when |
/// | --- | --- |
/// | waiting | the connection is ready, or the time is over |
/// | in flight | the answer comes, the connection ends, or the time is over |
/// | done | never |
class Exchange: TimerHandler {
    enum State { case waiting, inFlight, done }

    let api: APIKey
    let ours: ClosedRange<Int16>
    let milliseconds: Int64
    /// Called when the request is on its way, where the broker sends no answer: to Produce with acks=0.
    let sent: (() -> Void)?
    var state = State.waiting
    var correlationID: Int32 = 0
    var version: Int16 = 0
    var timer: TimerID?
    weak var connection: BrokerConnection?

    init(
        _ api: APIKey, _ ours: ClosedRange<Int16>, milliseconds: Int64, sent: (() -> Void)? = nil
    ) {
        self.api = api
        self.ours = ours
        self.milliseconds = milliseconds
        self.sent = sent
    }

    func encode(into writer: inout MessageWriter, clientID: String) throws(ProtocolError) {}

    /// The bytes that a splice of the writer stands for.
    func piece(_ token: Int) -> BufferSlice? { nil }

    /// The answer has come.
    func succeed(_ frame: BufferSlice, broker: String) {}

    /// There will be no answer.
    func fail(_ error: ClientError) {}

    func timerFired(_ tag: UInt64) {
        timer = nil
        connection?.timeOut(self)
    }
}

/// An exchange of a request of one kind.
final class TypedExchange<Request: RequestMessage>: Exchange {
    private let request: Request
    private let pieces: [BufferSlice]
    private var completion: ((Result<Answer<Request.Response>, ClientError>) -> Void)?

    init(
        _ request: Request, versions: ClosedRange<Int16>, pieces: [BufferSlice], milliseconds: Int64,
        sent: (() -> Void)?, _ completion: @escaping (Result<Answer<Request.Response>, ClientError>) -> Void
    ) {
        self.request = request
        self.pieces = pieces
        self.completion = completion
        super.init(Request.apiKey, versions, milliseconds: milliseconds, sent: sent)
    }

    override func encode(into writer: inout MessageWriter, clientID: String) throws(ProtocolError) {
        try writer.writeRequest(
            request, version: version, correlationID: correlationID, clientID: clientID)
    }

    override func piece(_ token: Int) -> BufferSlice? {
        pieces.indices.contains(token) ? pieces[token] : nil
    }

    override func succeed(_ frame: BufferSlice, broker: String) {
        do {
            let header = try ResponseHeader(parsing: frame.bytes, apiKey: api, version: version)
            let body = try Request.Response(
                decoding: frame.bytes, version: version, from: header.bodyPosition)
            connection?.hold(milliseconds: ThrottleTime.milliseconds(of: body, version: version))
            finish(.success(Answer(body: body, frame: frame, version: version, broker: broker)))
        } catch {
            finish(.failure(.malformed(broker: broker, api: api, reason: "\(error)")))
        }
    }

    override func fail(_ error: ClientError) { finish(.failure(error)) }

    private func finish(_ result: Result<Answer<Request.Response>, ClientError>) {
        let completion = self.completion
        self.completion = nil
        completion?(result)
    }
}

/// A response with what it came in.
struct Answer<Body: ResponseMessage> {
    let body: Body
    /// Record bytes of the body lie in it.
    let frame: BufferSlice
    let version: Int16
    let broker: String
}
