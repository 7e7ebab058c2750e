internal import Base

/// Counts the changes of the log, in the order in which they are to be made.
public struct LogTicket: Hashable, Comparable, Sendable {
    public let number: UInt64

    init(_ number: UInt64) { self.number = number }

    public static func < (left: LogTicket, right: LogTicket) -> Bool { left.number < right.number }
}

/// Voters, and the offset of the record that named them.
public struct VotersAt: Hashable, Sendable {
    public var offset: RaftOffset
    public var quorum: Quorum

    public init(offset: RaftOffset, quorum: Quorum) {
        self.offset = offset
        self.quorum = quorum
    }
}

/// How the place from which a follower wants to fetch lies to a log.
public enum FetchPlace: Hashable, Sendable {
    /// The logs agree up to there.
    case agrees
    /// They agree at most up to the end of this epoch.
    case diverges(OffsetAndEpoch)
    /// The records are only in a snapshot.
    case belowStart
}

/// What Raft knows of the log: where it starts and ends, where its epochs start, who the voters are. The
/// records themselves are the shell's. It tells the state after all changes that were asked for; which of
/// them are on stable storage is a question of its own.
public struct RaftLogView: Hashable, Sendable {
    /// The first offset that the log has; all before it are in the snapshot.
    public private(set) var startOffset: RaftOffset
    /// The offset that the next record gets.
    public private(set) var endOffset: RaftOffset
    /// All before it is on stable storage.
    public private(set) var syncedEndOffset: RaftOffset
    /// The latest snapshot.
    public private(set) var snapshot: SnapshotID?
    /// Where epochs start, ascending. The first entry is the epoch of the record just before the log's start.
    private(set) var epochs: [OffsetAndEpoch]
    /// All voters that the log names, ascending; the first were named before the log's start.
    private(set) var votersHistory: [VotersAt]
    /// Changes that are not known to be synced, and where the log ended then, or was cut off since.
    private(set) var unsynced: [Unsynced] = []
    private var lastTicket = LogTicket(0)

    struct Unsynced: Hashable, Sendable {
        let ticket: LogTicket
        var endOffset: RaftOffset
    }

    /// A log as it was found: all of it must be on stable storage.
    ///
    /// - Parameters:
    ///   - start: where it starts, and the epoch of the record before; 0 and 0 for a log from the beginning.
    ///   - epochStarts: the first offset of each epoch in it, ascending.
    ///   - voters: of the snapshot at the start, or those configured, then those that the log's records name.
    public init(
        start: OffsetAndEpoch = OffsetAndEpoch(offset: 0, epoch: 0), epochStarts: [OffsetAndEpoch] = [],
        endOffset: RaftOffset = 0, snapshot: SnapshotID? = nil, voters: [VotersAt] = []
    ) {
        invariant(
            zip(epochStarts, epochStarts.dropFirst()).allSatisfy {
                $0.epoch < $1.epoch && $0.offset <= $1.offset
            }, "epochs do not ascend: \(epochStarts)")
        invariant(endOffset >= start.offset, "the log ends at \(endOffset) before its start \(start)")
        startOffset = start.offset
        self.endOffset = endOffset
        syncedEndOffset = endOffset
        self.snapshot = snapshot
        epochs = [start] + epochStarts.filter { $0.epoch > start.epoch }
        votersHistory = voters
        if votersHistory.isEmpty { votersHistory = [VotersAt(offset: start.offset - 1, quorum: Quorum([]))] }
    }

    /// The end of the log and the epoch of its last record.
    public var end: OffsetAndEpoch {
        OffsetAndEpoch(offset: endOffset, epoch: epochs.last?.epoch ?? 0)
    }

    /// Whether all that was asked for is on stable storage.
    public var isSynced: Bool { unsynced.isEmpty }

    /// The voters that count: those that were appended last, committed or not.
    public var voters: VotersAt {
        guard let last = votersHistory.last else { invariantFailed("the log has no voters") }
        return last
    }

    /// The voters that count when all before `offset` is committed, and those that came after.
    func quorums(notBelow offset: RaftOffset) -> [Quorum] {
        let first = votersHistory.lastIndex { $0.offset < offset } ?? 0
        return votersHistory[first...].map(\.quorum)
    }

    /// Where the last epoch up to `epoch` ends. Below all epochs that are known: the log's start.
    public func endOffset(of epoch: RaftEpoch) -> OffsetAndEpoch {
        guard let index = epochs.lastIndex(where: { $0.epoch <= epoch }) else {
            return OffsetAndEpoch(offset: startOffset, epoch: 0)
        }
        let end = index + 1 < epochs.count ? epochs[index + 1].offset : endOffset
        return OffsetAndEpoch(offset: end, epoch: epochs[index].epoch)
    }

    /// Compares with a log that ends at `other`.
    public func place(of other: OffsetAndEpoch) -> FetchPlace {
        if other.offset < startOffset || other.epoch < epochs[0].epoch { return .belowStart }
        let end = endOffset(of: other.epoch)
        return end.epoch == other.epoch && end.offset >= other.offset ? .agrees : .diverges(end)
    }

    // MARK: Changes

    private mutating func ticket() -> LogTicket {
        lastTicket = LogTicket(lastTicket.number + 1)
        unsynced.append(Unsynced(ticket: lastTicket, endOffset: endOffset))
        return lastTicket
    }

    /// Takes batches at the end.
    mutating func append(_ batches: [RaftBatch]) -> LogTicket {
        for batch in batches {
            invariant(
                batch.baseOffset == endOffset && batch.recordCount > 0 && batch.epoch >= end.epoch,
                "batch \(batch.baseOffset)+\(batch.recordCount)@\(batch.epoch) does not follow \(end)")
            if batch.epoch > end.epoch {
                epochs.append(OffsetAndEpoch(offset: batch.baseOffset, epoch: batch.epoch))
            }
            if let quorum = batch.voters {
                votersHistory.append(VotersAt(offset: batch.baseOffset, quorum: quorum))
            }
            endOffset = batch.endOffset
        }
        return ticket()
    }

    /// Cuts off all from `offset` on.
    /// - Parameter keepingVoters: for a test of what happens then.
    mutating func truncate(to offset: RaftOffset, keepingVoters: Bool = false) -> LogTicket {
        invariant(offset >= startOffset, "cannot cut the log at \(offset), before its start \(startOffset)")
        endOffset = min(endOffset, offset)
        syncedEndOffset = min(syncedEndOffset, offset)
        for index in unsynced.indices { unsynced[index].endOffset = min(unsynced[index].endOffset, offset) }
        while epochs.count > 1, let last = epochs.last, last.offset >= offset { epochs.removeLast() }
        if !keepingVoters {
            while votersHistory.count > 1, let last = votersHistory.last, last.offset >= offset {
                votersHistory.removeLast()
            }
        }
        return ticket()
    }

    /// Begins anew after a snapshot.
    mutating func reset(to id: SnapshotID, voters: Quorum) -> LogTicket {
        startOffset = id.offset
        endOffset = id.offset
        syncedEndOffset = id.offset
        snapshot = id
        epochs = [id]
        votersHistory = [VotersAt(offset: id.offset - 1, quorum: voters)]
        for index in unsynced.indices { unsynced[index].endOffset = id.offset }
        return ticket()
    }

    /// There is a snapshot of a part of the log. False when it is not newer than the one that is known.
    mutating func noteSnapshot(_ id: SnapshotID) -> Bool {
        if let snapshot, id.offset <= snapshot.offset { return false }
        snapshot = id
        return true
    }

    /// Forgets all before `offset`, which is not beyond the snapshot's end.
    mutating func deleteRecords(before offset: RaftOffset) {
        while epochs.count > 1, epochs[1].offset < offset { epochs.removeFirst() }
        epochs[0].offset = max(epochs[0].offset, offset)
        while votersHistory.count > 1, votersHistory[1].offset < offset { votersHistory.removeFirst() }
        startOffset = offset
    }

    /// All changes up to `ticket` are on stable storage.
    /// - Parameter ignoringCuts: for a test of what happens then.
    mutating func synced(_ ticket: LogTicket, ignoringCuts: Bool = false) {
        while let first = unsynced.first, first.ticket <= ticket {
            syncedEndOffset = ignoringCuts ? endOffset : max(syncedEndOffset, first.endOffset)
            unsynced.removeFirst()
        }
    }
}
