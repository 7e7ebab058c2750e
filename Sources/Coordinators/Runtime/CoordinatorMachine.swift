public import KafkaProtocol
public import RecordFormat

/// A record of a coordinator's topic as bytes. Without a value it is a tombstone.
public struct CoordinatorRecordBytes: Hashable, Sendable {
    public let key: [UInt8]
    public let value: [UInt8]?

    public init(key: [UInt8], value: [UInt8]?) {
        self.key = key
        self.value = value
    }
}

/// One incarnation of a transactional producer.
public struct CoordinatorProducer: Hashable, Sendable {
    public let id: ProducerID
    public let epoch: ProducerEpoch

    public init(id: ProducerID, epoch: ProducerEpoch) {
        self.id = id
        self.epoch = epoch
    }
}

/// In which kind of batch a record stands.
public enum CoordinatorBatchKind: Hashable, Sendable {
    case plain
    /// Counts once the producer's transaction is committed.
    case transactional(CoordinatorProducer)
    /// The marker that ends a transaction: a control record. See `ProducerStates.checkMarker` for the
    /// version.
    case marker(CoordinatorProducer, transactionVersion: Int16)
}

/// What a coordinator writes, as a value.
public protocol CoordinatorRecord: Sendable {
    /// Records of one decision that differ in this are appended in several batches.
    var batchKind: CoordinatorBatchKind { get }

    /// - Throws: when a field is too long for its place.
    func encoded() throws(ProtocolError) -> CoordinatorRecordBytes
}

extension CoordinatorRecord {
    public var batchKind: CoordinatorBatchKind { .plain }
}

/// What a coordinator is asked.
public protocol CoordinatorRequest: Sendable {
    associatedtype Response: Sendable

    /// The answer of one who cannot do it.
    func refusal(_ code: ErrorCode) -> Response
}

/// When something happens. State machines have no clock of their own.
public struct CoordinatorMoment: Hashable, Sendable {
    /// Milliseconds since an arbitrary start, for time-outs.
    public var monotonicMilliseconds: Int64
    /// Milliseconds since the Unix epoch, for what is written down.
    public var wallClockMilliseconds: Int64

    public init(monotonicMilliseconds: Int64, wallClockMilliseconds: Int64) {
        self.monotonicMilliseconds = monotonicMilliseconds
        self.wallClockMilliseconds = wallClockMilliseconds
    }
}

/// Names a request that waits for its answer. Never used again.
public struct ReplyToken: Hashable, Sendable {
    public let rawValue: UInt64

    public init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// What a state machine wants done: records that are appended together, and answers and orders that go out
/// once all that came before them is committed.
public struct CoordinatorEffects<Record: CoordinatorRecord, Response: Sendable, Order: Sendable> {
    public var records: [Record] = []
    public var answers: [(token: ReplyToken, response: Response)] = []
    /// What others are to do; forgotten when the records are not taken.
    public var orders: [Order] = []
    /// Whether all records count or none. Others may be appended in several batches.
    public var isAtomic = true

    public init() {}

    /// The request has this answer, once all records before it are committed.
    public mutating func answer(_ token: ReplyToken, _ response: Response) {
        answers.append((token, response))
    }
}

/// The state of one partition of a coordinator's topic, and what becomes of it. Deterministic: time and
/// randomness come in as arguments, and nothing is read or written.
///
/// Every state that outlives its process is in the records: replaying them in their order gives it back. What
/// a machine has beside it, such as who waits and since when, begins anew.
public protocol CoordinatorMachine: AnyObject, SendableMetatype {
    associatedtype Request: CoordinatorRequest
    associatedtype Record: CoordinatorRecord
    /// What it has others do.
    associatedtype Order: Sendable
    typealias Effects = CoordinatorEffects<Record, Request.Response, Order>

    // MARK: Loading

    /// Takes a record of the log, in its order.
    ///
    /// - Parameter producer: in whose transaction it stands; nil for one that counts at once.
    /// - Throws: when a record of a kind that is known cannot be read.
    func replay(key: RawSpan, value: RawSpan?, by producer: CoordinatorProducer?) throws(ProtocolError)

    /// Takes the marker that ends a transaction, in the order of the log.
    func replayMarker(by producer: CoordinatorProducer, isCommit: Bool)

    /// The log has been replayed; timers begin.
    func loaded(_ now: CoordinatorMoment, _ effects: inout Effects)

    // MARK: Running

    /// Decides about a request.
    ///
    /// - Parameter random: 128 bits for names that nobody else may have.
    func handle(
        _ request: Request, _ token: ReplyToken, random: UniqueID, _ now: CoordinatorMoment,
        _ effects: inout Effects)

    /// The records have their place in the log.
    func appended(_ records: [Record], _ now: CoordinatorMoment)

    /// The log did not take the records; whoever was to be answered is told so.
    func refused(_ records: [Record], _ now: CoordinatorMoment, _ effects: inout Effects)

    // MARK: Time

    /// When `expire` has something to do, in milliseconds of the monotonic clock.
    var nextDeadline: Int64? { get }

    /// Does one thing that is due.
    /// - Returns: false when nothing is.
    func expire(_ now: CoordinatorMoment, _ effects: inout Effects) -> Bool
}

extension CoordinatorMachine {
    /// Takes a record that counts at once.
    public func replay(key: RawSpan, value: RawSpan?) throws(ProtocolError) {
        try replay(key: key, value: value, by: nil)
    }
}
