import Base
import RaftConsensus

/// A batch and the hash of all the log up to its end.
struct StoredBatch: Hashable {
    let batch: RaftBatch
    let chain: UInt64

    /// The hash of a log that goes on with `batch`.
    static func chain(_ before: UInt64, _ batch: RaftBatch) -> UInt64 {
        var generator = SeededGenerator(seed: before ^ UInt64(bitPattern: batch.baseOffset.rawValue))
        generator = SeededGenerator(seed: generator.next() ^ UInt64(UInt32(bitPattern: batch.epoch.rawValue)))
        var hash = generator.next()
        func mix(_ value: UInt64) { hash = (hash ^ value) &* 0x1_0000_01B3 }
        switch batch.payload {
        case .records(let bytes): for byte in bytes { mix(UInt64(byte) + 1) }
        case .leaderChange(let leader, _): mix(UInt64(leader) + 1000)
        case .voters: mix(5000)
        }
        for voter in batch.voters?.voters ?? [] { mix(UInt64(voter.key.id) + 6000) }
        return hash
    }
}

/// What a snapshot contains: the state, which is the hash of the log, and the voters.
struct SnapshotContent: Hashable {
    let id: SnapshotID
    let chain: UInt64
    let voters: Quorum

    var bytes: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: chain >> (8 * $0)) } }
}

/// A log as a disk or a page cache has it.
struct LogImage: Hashable {
    var start = OffsetAndEpoch(offset: 0, epoch: 0)
    var startChain: UInt64 = 0
    var startVoters: Quorum
    var batches: [StoredBatch] = []

    var endOffset: RaftOffset { batches.last?.batch.endOffset ?? start.offset }
    var endChain: UInt64 { batches.last?.chain ?? startChain }

    /// The hash of the log up to `offset`, where a batch ends; nil where none does.
    func chain(at offset: RaftOffset) -> UInt64? {
        if offset == start.offset { return startChain }
        var low = 0
        var high = batches.count
        while low < high {
            let middle = (low + high) / 2
            if batches[middle].batch.endOffset < offset { low = middle + 1 } else { high = middle }
        }
        return low < batches.count && batches[low].batch.endOffset == offset ? batches[low].chain : nil
    }

    /// The place in `batches` of the one that begins at `offset`, or of the first after it.
    func index(of offset: RaftOffset) -> Int {
        var low = 0
        var high = batches.count
        while low < high {
            let middle = (low + high) / 2
            if batches[middle].batch.baseOffset < offset { low = middle + 1 } else { high = middle }
        }
        return low
    }

    mutating func apply(_ change: LogChange) {
        switch change {
        case .append(let added):
            for batch in added {
                batches.append(StoredBatch(batch: batch, chain: StoredBatch.chain(endChain, batch)))
            }
        case .truncate(let offset): batches.removeSubrange(index(of: offset)...)
        case .reset(let snapshot):
            self = LogImage(start: snapshot.id, startChain: snapshot.chain, startVoters: snapshot.voters)
        case .deleteBefore(let offset):
            let count = index(of: offset)
            guard count > 0 else { return }
            let last = batches[count - 1]
            for stored in batches[..<count] {
                if let voters = stored.batch.voters { startVoters = voters }
            }
            start = OffsetAndEpoch(offset: last.batch.endOffset, epoch: last.batch.epoch)
            startChain = last.chain
            batches.removeFirst(count)
        }
    }

    /// What a node that starts with this log knows of it.
    func view(snapshot: SnapshotID?) -> RaftLogView {
        var epochs: [OffsetAndEpoch] = []
        var voters = [VotersAt(offset: start.offset - 1, quorum: startVoters)]
        for stored in batches {
            if stored.batch.epoch > epochs.last?.epoch ?? start.epoch {
                epochs.append(OffsetAndEpoch(offset: stored.batch.baseOffset, epoch: stored.batch.epoch))
            }
            if let quorum = stored.batch.voters {
                voters.append(VotersAt(offset: stored.batch.baseOffset, quorum: quorum))
            }
        }
        return RaftLogView(
            start: start, epochStarts: epochs, endOffset: endOffset, snapshot: snapshot, voters: voters)
    }
}

enum LogChange {
    case append([RaftBatch])
    case truncate(to: RaftOffset)
    case reset(SnapshotContent)
    case deleteBefore(RaftOffset)
}

/// The disk of a replica. It outlives the processes that use it, and forgets at a crash what was not synced.
struct SimulatedReplicaDisk {
    /// What a process sees.
    private(set) var written: LogImage
    /// What is there after a loss of power, at least.
    private(set) var durable: LogImage
    private var pending: [(change: LogChange, ticket: LogTicket?)] = []
    private(set) var promise = QuorumPromise()
    private var newPromise: QuorumPromise?
    private(set) var snapshots: [SnapshotID: SnapshotContent] = [:]
    private var partial: (id: SnapshotID, bytes: [UInt8])?

    init(voters: Quorum) {
        written = LogImage(startVoters: voters)
        durable = written
    }

    var latestSnapshot: SnapshotID? { snapshots.keys.max { $0.offset < $1.offset } }

    mutating func change(_ change: LogChange, _ ticket: LogTicket?) {
        written.apply(change)
        pending.append((change, ticket))
    }

    /// A sync that carries all up to `ticket` has ended.
    mutating func sync(through ticket: LogTicket) {
        guard let last = pending.lastIndex(where: { $0.ticket == ticket }) else { return }
        for (change, _) in pending[...last] { durable.apply(change) }
        pending.removeFirst(last + 1)
    }

    var isWritingPromise: Bool { newPromise != nil }

    mutating func beginWriting(_ promise: QuorumPromise) { newPromise = promise }

    mutating func finishPromise() {
        if let newPromise { promise = newPromise }
        newPromise = nil
    }

    mutating func add(_ snapshot: SnapshotContent) { snapshots[snapshot.id] = snapshot }

    mutating func writePart(of id: SnapshotID, at position: Int64, _ bytes: [UInt8]) {
        if position == 0 { partial = (id, []) }
        if partial?.id == id, partial?.bytes.count == Int(position) { partial?.bytes += bytes }
    }

    /// The snapshot that was written in parts, if it is whole.
    func written(_ id: SnapshotID) -> [UInt8]? { partial.flatMap { $0.id == id ? $0.bytes : nil } }

    /// Nothing is lost: all that was written is there after a crash.
    mutating func keepAll() {
        for (change, _) in pending { durable.apply(change) }
        pending = []
        finishPromise()
        written = durable
    }

    /// All is lost that was not synced.
    mutating func loseUnsynced() {
        pending = []
        newPromise = nil
        written = durable
    }

    /// The process ends; the page cache stays, and who opens the log again syncs it.
    mutating func kill(_ generator: inout SeededGenerator) {
        for (change, _) in pending { durable.apply(change) }
        pending = []
        endPromise(&generator, tears: false)
        written = durable
        recover()
    }

    /// The power goes: of the changes that were not synced the first few are there, the last of them in part.
    /// - Parameter tears: whether the file of the promise is overwritten in place.
    mutating func crash(_ generator: inout SeededGenerator, tears: Bool) {
        let kept = pending.isEmpty ? 0 : Int(generator.next() % UInt64(pending.count + 1))
        for (change, _) in pending[..<kept] { durable.apply(change) }
        if kept < pending.count, case .append(let batches) = pending[kept].change {
            let count = Int(generator.next() % UInt64(batches.count + 1))
            durable.apply(.append(Array(batches[..<count])))
        }
        pending = []
        endPromise(&generator, tears: tears)
        written = durable
        recover()
    }

    private mutating func endPromise(_ generator: inout SeededGenerator, tears: Bool) {
        if let newPromise {
            let outcome = generator.next() % 3
            if tears, outcome == 2 {
                promise = QuorumPromise()
            } else if outcome == 0 {
                promise = newPromise
            }
        }
        newPromise = nil
        partial = nil
    }

    /// A snapshot beyond the log's end is put in its place.
    private mutating func recover() {
        guard let id = latestSnapshot, let snapshot = snapshots[id], id.offset > written.endOffset else {
            return
        }
        written.apply(.reset(snapshot))
        durable = written
    }
}
