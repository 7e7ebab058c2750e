// What a node wants done, in order. The contract of the shell around a node, in the order of its loop:
//
//   1. hand in one thing: a message, a completion, a proposal, or the time
//   2. `takeEffects` until it is empty, and carry each out before the next; `send` reads from the log what it
//      names
//   3. a promise: write it so that it survives a loss of power whole or not at all, then report `.persisted`.
//      Until then the node hands out nothing that comes after it, whatever happens meanwhile
//   4. changes of the log are queued in their order. When one and all before it are on stable storage, report
//      `.logSynced` with its ticket. Cutting off and appending may not change places in a crash
//   5. at `nextDeadline`, or before, call `tick`
//
// A shell that cannot carry out one of them stops, for good. Restarted, it makes a new node of what it finds.

internal import Base

/// What a voter has promised: all that it must not forget (KIP-595: `quorum-state`).
public struct QuorumPromise: Hashable, Sendable {
    /// The highest epoch that the node has seen.
    public var epoch: RaftEpoch
    /// The leader of the epoch, once it is known.
    public var leaderID: Int32?
    /// To whom the node gave its vote in the epoch.
    public var voted: ReplicaKey?

    public init(epoch: RaftEpoch = 0, leaderID: Int32? = nil, voted: ReplicaKey? = nil) {
        self.epoch = epoch
        self.leaderID = leaderID
        self.voted = voted
    }
}

/// Names a promise that is being written.
public struct PersistToken: Hashable, Sendable {
    let number: UInt64
}

/// Something that a node wants done.
public enum RaftEffect: Hashable, Sendable {
    /// Written and synced, then reported as `.persisted`.
    case persist(QuorumPromise, PersistToken)
    /// Appended, reported as `.logSynced` when it is synced.
    case append([RaftBatch], LogTicket)
    /// Cut off from there on, reported as `.logSynced` when that survives a crash.
    case truncate(to: RaftOffset, LogTicket)
    /// The log is to begin anew, empty, after the snapshot, and the state to be loaded from it. Reported
    /// likewise.
    case resetLog(to: SnapshotID, LogTicket)
    /// May be deleted, at some time.
    case deleteRecords(before: RaftOffset)
    case send(RaftMessage)
    /// A part of a snapshot; position 0 begins it anew.
    case writeSnapshot(SnapshotID, position: Int64, bytes: [UInt8])
    /// All parts are there: to be checked, synced, put in place, then reported as completed or failed.
    case completeSnapshot(SnapshotID)
    /// All before it is committed.
    case advanceHighWatermark(to: RaftOffset)
    /// For those who watch. Whoever leads no longer does not know what becomes of proposals under way.
    case becameRole(RaftRole, epoch: RaftEpoch, leaderID: Int32?)
    /// The node takes no further part. Its log and the leader's cannot both be right.
    case halt(RaftFault)
}

/// What the shell has done.
public enum RaftCompletion: Hashable, Sendable {
    case persisted(PersistToken)
    /// This change of the log and all before it are on stable storage.
    case logSynced(LogTicket)
    /// The snapshot is whole and in place. `voters` are those that it names.
    case snapshotCompleted(SnapshotID, voters: Quorum)
    /// The snapshot that came was no good, or could not be written.
    case snapshotFailed(SnapshotID)
}

/// A broken promise of another node, or of a disk.
public enum RaftFault: Error, Hashable, Sendable, CustomStringConvertible {
    case twoLeaders(epoch: RaftEpoch, known: Int32, other: Int32)
    case truncationBelowHighWatermark(to: RaftOffset, highWatermark: RaftOffset)
    case snapshotBelowHighWatermark(SnapshotID, highWatermark: RaftOffset)

    public var description: String {
        switch self {
        case .twoLeaders(let epoch, let known, let other):
            "nodes \(known) and \(other) both lead epoch \(epoch)"
        case .truncationBelowHighWatermark(let offset, let highWatermark):
            "the leader's log parts from this one at \(offset), below the high watermark \(highWatermark)"
        case .snapshotBelowHighWatermark(let id, let highWatermark):
            "the leader's snapshot \(id) ends below the high watermark \(highWatermark)"
        }
    }
}

/// Effects that wait to be taken. What comes after a promise stays here until the promise is kept.
struct EffectQueue: Hashable, Sendable {
    private(set) var effects: [RaftEffect] = []
    private(set) var awaited: PersistToken?
    private var lastToken: UInt64 = 0
    private var keptToken: UInt64 = 0

    /// Messages that come while so many effects wait are dropped, as the network may do: a disk that takes
    /// its time must not fill the memory.
    static let maximumHeldEffects = 1000

    var isFull: Bool { hasPromiseUnderWay && effects.count >= Self.maximumHeldEffects }

    /// Whether a promise is not kept yet, so that what is added now has to wait.
    var hasPromiseUnderWay: Bool { lastToken != keptToken }

    mutating func add(_ effect: RaftEffect) { effects.append(effect) }

    /// Adds a promise, in the place of an earlier one that nobody has taken yet: a node may always promise
    /// more before it speaks, and one write is enough for both.
    mutating func persist(_ promise: QuorumPromise) {
        lastToken += 1
        let effect = RaftEffect.persist(promise, PersistToken(number: lastToken))
        let waiting = effects.firstIndex { if case .persist = $0 { true } else { false } }
        if let waiting { effects[waiting] = effect } else { effects.append(effect) }
    }

    /// What may be done now, up to a promise.
    mutating func take() -> [RaftEffect] {
        if awaited != nil { return [] }
        for (index, effect) in effects.enumerated() {
            guard case .persist(_, let token) = effect else { continue }
            awaited = token
            defer { effects.removeFirst(index + 1) }
            return Array(effects[...index])
        }
        defer { effects = [] }
        return effects
    }

    mutating func persisted(_ token: PersistToken) {
        invariant(token == awaited, "promise \(token.number) is kept, which nobody waits for")
        awaited = nil
        keptToken = token.number
    }

    /// For a test of what happens when nobody waits.
    mutating func stopWaiting() {
        awaited = nil
        keptToken = lastToken
    }
}
