internal import Base
internal import KafkaProtocol
internal import RecordFormat

/// What a session remembers of a partition, so that neither side repeats itself (KIP-227).
struct FetchSessionPart {
    var part: FetchPart
    /// As the client was last told; -2 before it was told anything.
    var highWatermark = Offset(-2)
    var logStartOffset = Offset(-2)
}

/// Names a partition within a session: by the topic's ID where the client knows it, else by its name.
struct FetchSessionKey: Hashable {
    let topic: String
    let topicID: TopicID
    let partition: Int32
}

/// A client's partitions, remembered between its fetches. On one lane.
final class FetchSession {
    let id: Int32
    let usesTopicIDs: Bool
    /// Of a follower: is not given up for a client.
    let isPrivileged: Bool
    let createdAt: UInt64
    var lastUsed: UInt64
    /// Of the next request.
    var epoch: Int32 = 1
    private(set) var parts: [FetchSessionPart] = []
    private var places: [FetchSessionKey: Int] = [:]

    init(id: Int32, usesTopicIDs: Bool, isPrivileged: Bool, now: UInt64) {
        self.id = id
        self.usesTopicIDs = usesTopicIDs
        self.isPrivileged = isPrivileged
        createdAt = now
        lastUsed = now
    }

    var count: Int { parts.count }

    static func key(_ part: FetchPart, usesTopicIDs: Bool) -> FetchSessionKey {
        FetchSessionKey(
            topic: usesTopicIDs ? "" : part.topic, topicID: usesTopicIDs ? part.topicID : .none,
            partition: part.partition)
    }

    func place(of part: FetchPart) -> Int? { places[Self.key(part, usesTopicIDs: usesTopicIDs)] }

    /// Adds a partition, or replaces what is wanted of it.
    func set(_ part: FetchPart) {
        let key = Self.key(part, usesTopicIDs: usesTopicIDs)
        if let place = places[key] {
            parts[place].part = part
        } else {
            places[key] = parts.count
            parts.append(FetchSessionPart(part: part))
        }
    }

    func remove(_ keys: some Sequence<FetchSessionKey>) {
        let gone = Set(keys)
        parts.removeAll { gone.contains(Self.key($0.part, usesTopicIDs: usesTopicIDs)) }
        number()
    }

    func noteTold(_ place: Int, _ answer: FetchAnswer) {
        parts[place].highWatermark = answer.highWatermark
        parts[place].logStartOffset = answer.logStartOffset
    }

    /// Puts partitions last, so that those that had nothing to send come before those that had.
    func moveToEnd(_ keys: Set<FetchSessionKey>) {
        if keys.isEmpty || keys.count == parts.count { return }
        let usesTopicIDs = usesTopicIDs
        func isMoved(_ part: FetchSessionPart) -> Bool {
            keys.contains(Self.key(part.part, usesTopicIDs: usesTopicIDs))
        }
        parts = parts.filter { !isMoved($0) } + parts.filter(isMoved)
        number()
    }

    private func number() {
        places.removeAll(keepingCapacity: true)
        for (place, part) in parts.enumerated() {
            places[Self.key(part.part, usesTopicIDs: usesTopicIDs)] = place
        }
    }

    /// The epoch after one: 1 follows the largest, as 0 begins a session.
    static func next(_ epoch: Int32) -> Int32 { epoch == Int32.max ? 1 : epoch + 1 }
}

/// The fetch sessions of one lane: so many, then the one that is missed least makes room.
final class FetchSessions {
    private var sessions: [Int32: FetchSession] = [:]
    private let slotCount: Int
    private var generator: SeededGenerator

    /// A session that was not used for so long makes room for any other, in nanoseconds; as in Kafka.
    static let evictionNanoseconds: UInt64 = 120_000_000_000

    init(slotCount: Int, seed: UInt64) {
        self.slotCount = slotCount
        generator = SeededGenerator(seed: seed)
    }

    var count: Int { sessions.count }

    subscript(id: Int32) -> FetchSession? { sessions[id] }

    func remove(_ id: Int32) { sessions[id] = nil }

    /// - Returns: nil when there is no room, and nobody has to make some.
    func make(partCount: Int, usesTopicIDs: Bool, isPrivileged: Bool, now: UInt64) -> FetchSession? {
        guard makeRoom(partCount: partCount, isPrivileged: isPrivileged, now: now) else { return nil }
        var id: Int32
        repeat {
            id = Int32(truncatingIfNeeded: generator.next() & 0x7FFF_FFFF)
        } while id == 0 || sessions[id] != nil
        let session = FetchSession(
            id: id, usesTopicIDs: usesTopicIDs, isPrivileged: isPrivileged, now: now)
        sessions[id] = session
        return session
    }

    private func makeRoom(partCount: Int, isPrivileged: Bool, now: UInt64) -> Bool {
        if sessions.count < slotCount { return true }
        // The one unused for longest, if that is long enough.
        if let oldest = sessions.values.min(by: { $0.lastUsed < $1.lastUsed }),
            now > oldest.lastUsed &+ Self.evictionNanoseconds
        {
            sessions[oldest.id] = nil
            return true
        }
        // Else the smallest, if it had its time and is worth less: of a client where a follower asks, or of
        // fewer partitions.
        let candidates = sessions.values.filter { !$0.isPrivileged || isPrivileged }
        guard let least = candidates.min(by: { rank($0) < rank($1) }) else { return false }
        let isWorthLess = (isPrivileged && !least.isPrivileged) || least.count < partCount
        guard isWorthLess, now > least.createdAt &+ Self.evictionNanoseconds || isPrivileged else {
            return false
        }
        sessions[least.id] = nil
        return true
    }

    private func rank(_ session: FetchSession) -> (Int, Int, UInt64) {
        (session.isPrivileged ? 1 : 0, session.count, session.lastUsed)
    }
}

/// How one fetch stands to its session.
final class FetchSessionContext {
    /// Nil without one.
    private let session: FetchSession?
    /// Only what changed is told.
    let isIncremental: Bool
    private var sent: Set<FetchSessionKey> = []

    init(_ session: FetchSession?, isIncremental: Bool) {
        self.session = session
        self.isIncremental = isIncremental
    }

    /// Without a session.
    static var none: FetchSessionContext { FetchSessionContext(nil, isIncremental: false) }

    /// What the response names; 0 without a session.
    var responseID: Int32 { session?.id ?? 0 }

    /// Whether the answer is news for the client; notes that it is told.
    func mustTell(_ part: FetchPart, _ answer: FetchAnswer, _ number: Int) -> Bool {
        guard let session else { return true }
        guard let place = session.place(of: part) else { return true }
        let known = session.parts[place]
        let isNews =
            answer.byteCount > 0 || answer.isUrgent || known.highWatermark != answer.highWatermark
            || known.logStartOffset != answer.logStartOffset
        if isNews {
            session.noteTold(place, answer)
            if answer.byteCount > 0 && isIncremental {
                sent.insert(FetchSession.key(part, usesTopicIDs: session.usesTopicIDs))
            }
            // An error is told again as long as it lasts.
            if answer.error != .none { session.noteTold(place, FetchAnswer(answer.error)) }
        }
        return isNews || !isIncremental
    }

    func finish(_ now: UInt64) {
        session?.lastUsed = now
        session?.moveToEnd(sent)
    }
}
