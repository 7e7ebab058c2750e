import RaftConsensus

/// A promise of Raft that was broken, in words.
struct Violation: Error, CustomStringConvertible {
    let description: String

    init(_ text: String) { description = text }
}

/// What must hold of all replicas together, checked as things happen.
struct RaftChecker {
    private struct Place: Hashable {
        let offset: RaftOffset
        let epoch: RaftEpoch
    }

    private struct Committed {
        let stored: StoredBatch
        /// It was committed in this epoch or one before.
        let epoch: RaftEpoch
    }

    private var leaders: [RaftEpoch: Int32] = [:]
    private var chains: [Place: UInt64] = [:]
    private var committed: [Committed] = []
    private var snapshots: [SnapshotID: SnapshotContent] = [:]

    var committedEnd: RaftOffset { committed.last?.stored.batch.endOffset ?? 0 }
    var committedCount: Int { committed.count }
    var leaderCount: Int { leaders.count }

    /// One leader in an epoch, and it has all that was committed before.
    mutating func leads(_ id: Int32, _ epoch: RaftEpoch, _ log: LogImage) throws {
        if let other = leaders[epoch], other != id {
            throw Violation("nodes \(other) and \(id) both lead epoch \(epoch)")
        }
        leaders[epoch] = id
        guard let last = committed.last(where: { $0.epoch < epoch }) else { return }
        let end = last.stored.batch.endOffset
        if log.start.offset > end { return }
        if log.chain(at: end) != last.stored.chain {
            throw Violation(
                "node \(id) leads epoch \(epoch) without what was committed up to \(end) in \(last.epoch)")
        }
    }

    /// Records of one epoch and offset are the same everywhere, and so is all before them.
    mutating func appended(_ stored: StoredBatch, by id: Int32) throws {
        let place = Place(offset: stored.batch.baseOffset, epoch: stored.batch.epoch)
        if let chain = chains[place], chain != stored.chain {
            throw Violation("node \(id) has another log up to \(place.offset)@\(place.epoch) than others")
        }
        chains[place] = stored.chain
    }

    /// What is committed once stays, and is the same for all.
    mutating func committed(_ stored: StoredBatch, state: UInt64, by id: Int32, in epoch: RaftEpoch) throws {
        if state != stored.chain {
            throw Violation("node \(id) came to another state than its log says at \(stored.batch.endOffset)")
        }
        if stored.batch.baseOffset == committedEnd {
            committed.append(Committed(stored: stored, epoch: epoch))
            return
        }
        guard let known = index(of: stored.batch.baseOffset) else {
            throw Violation("node \(id) commits \(stored.batch.baseOffset), where no batch begins")
        }
        if committed[known].stored != stored {
            throw Violation(
                "node \(id) commits \(stored.batch.epoch) at \(stored.batch.baseOffset), where "
                    + "\(committed[known].stored.batch.epoch) was committed")
        }
    }

    private func index(of offset: RaftOffset) -> Int? {
        var low = 0
        var high = committed.count
        while low < high {
            let middle = (low + high) / 2
            if committed[middle].stored.batch.baseOffset < offset { low = middle + 1 } else { high = middle }
        }
        return low < committed.count && committed[low].stored.batch.baseOffset == offset ? low : nil
    }

    /// Snapshots of one name are the same.
    mutating func took(_ snapshot: SnapshotContent, by id: Int32) throws {
        if let known = snapshots[snapshot.id], known != snapshot {
            throw Violation("node \(id) has another snapshot \(snapshot.id) than others")
        }
        snapshots[snapshot.id] = snapshot
    }

    /// Takes in what has happened and what later events are compared with.
    func hashHistory(into hasher: inout Hasher) {
        hasher.combine(leaders)
        hasher.combine(chains)
        for one in committed {
            hasher.combine(one.stored.chain)
            hasher.combine(one.epoch)
        }
    }

    func snapshot(_ id: SnapshotID) -> SnapshotContent? { snapshots[id] }
}
