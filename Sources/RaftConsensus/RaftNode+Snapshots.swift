internal import Base

/// A snapshot that is being fetched.
struct SnapshotDownload: Hashable, Sendable {
    let id: SnapshotID
    var position: Int64 = 0
    /// All of it has come; it is being checked and put in place.
    var isWhole = false
}

/// Snapshots (KIP-630): taken by the shell, fetched by those who are too far behind.
extension RaftNode {
    /// The shell has made a snapshot of what is committed: it is whole and on stable storage.
    public mutating func snapshotTaken(_ id: SnapshotID) {
        invariant(
            id.offset <= highWatermark,
            "snapshot \(id) has records that are not committed, beyond \(highWatermark)")
        _ = log.noteSnapshot(id)
    }

    /// The log is to start at `offset` from now on. A snapshot must have what is before it.
    public mutating func advanceLogStart(to offset: RaftOffset) {
        let end = log.snapshot?.offset ?? 0
        invariant(offset <= end, "records before \(offset) are in no snapshot; the last ends at \(end)")
        if offset <= log.startOffset || fault != nil { return }
        log.deleteRecords(before: offset)
        effects.add(.deleteRecords(before: offset))
    }

    mutating func handle(_ request: FetchSnapshotRequest, _ message: RaftMessage) {
        var answer = FetchSnapshotAnswer(header: header(), snapshot: request.snapshot)
        if let error = refusal(of: request.epoch) {
            answer.header.error = error
        } else if request.position < 0 {
            answer.header.error = .positionOutOfRange
        } else {
            let now = now
            update(request.replica) { $0.heard(at: now) }
            answer.chunk = .read(request.snapshot, position: request.position)
        }
        self.answer(message.request, of: message.sender, .fetchSnapshotAnswer(answer))
    }

    mutating func beginDownload(_ id: SnapshotID) {
        if id.offset < highWatermark {
            return halt(.snapshotBelowHighWatermark(id, highWatermark: highWatermark))
        }
        download = SnapshotDownload(id: id)
        fetching.notBefore = now
    }

    mutating func handle(_ answer: FetchSnapshotAnswer, _ message: RaftMessage) {
        let wasAsked = download?.id == answer.snapshot
        guard isFromLeader(answer.header, message), wasAsked, var download, !download.isWhole,
            case .bytes(let bytes, let position, let size) = answer.chunk,
            position == download.position, !bytes.isEmpty, size >= position + Int64(bytes.count)
        else {
            // Whatever is wrong with the snapshot, the next fetch says what to do instead.
            if role == .follower, wasAsked, download?.isWhole == false, fetching.inFlight == nil {
                abandonDownload()
            }
            return
        }
        effects.add(.writeSnapshot(download.id, position: position, bytes: bytes))
        download.position += Int64(bytes.count)
        download.isWhole = download.position == size
        if download.isWhole { effects.add(.completeSnapshot(download.id)) }
        self.download = download
        fetching.notBefore = now
    }

    mutating func abandonDownload() {
        download = nil
        fetching.notBefore = now + configuration.retryBackoff
    }

    /// The log begins anew after a snapshot that has been fetched. One that came too late is left alone.
    mutating func install(_ id: SnapshotID, _ voters: Quorum) {
        let wasAsked = download?.id == id
        if wasAsked { download = nil }
        guard role == .follower || role == .unattached, id.offset > highWatermark,
            wasAsked || id.offset > log.endOffset
        else { return }
        let ticket = log.reset(to: id, voters: voters)
        effects.add(.resetLog(to: id, ticket))
        advanceHighWatermark(to: id.offset)
        fetching.notBefore = now
    }
}
