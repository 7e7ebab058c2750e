internal import Coordinators
internal import KafkaProtocol
internal import LogStorage
internal import RecordFormat
internal import Replication
internal import SystemIO

/// Why a coordinator's log could not be read.
enum CoordinatorReplayError: Error, CustomStringConvertible {
    case replica(ReplicaError)
    case io(IOError)
    case batch(Offset, RecordBatchError)
    case record(Offset, ProtocolError)
    case truncated(Offset)

    var description: String {
        switch self {
        case .replica(let error): "\(error)"
        case .io(let error): "\(error)"
        case .batch(let offset, let error): "the batch at \(offset): \(error)"
        case .record(let offset, let error): "the record at \(offset): \(error)"
        case .truncated(let offset): "the batch at \(offset) is cut off"
        }
    }
}

/// Reads a partition of a coordinator's topic into a state machine, a piece at a time, so that nothing else
/// of the lane waits for long.
struct CoordinatorReplay {
    private struct Entry {
        let offset: Offset
        let key: [UInt8]
        let value: [UInt8]?
    }

    private(set) var nextOffset: Offset?
    private(set) var recordCount = 0
    private let decompressor = Decompressor()
    private var buffer = IOBuffer(byteCount: 64 << 10)

    /// How many bytes are read in one go, where the first batch is not larger.
    private static let pieceByteCount = 1 << 20

    /// Reads on.
    /// - Returns: whether the end of the log has been reached.
    mutating func read(
        _ leader: LeaderReplica, into machine: some CoordinatorMachine
    ) throws(CoordinatorReplayError) -> Bool {
        let from = max(nextOffset ?? leader.log.logStartOffset, leader.log.logStartOffset)
        nextOffset = from
        if from >= leader.log.logEndOffset { return true }
        let read: LogReadResult
        do {
            read = try leader.read(from: from, maximumByteCount: Self.pieceByteCount, limit: .logEnd)
        } catch {
            throw .replica(error)
        }
        guard let slice = read.slice else {
            // What is appended and not written yet comes with the next turn; there may be nothing else.
            if leader.log.writtenEndOffset < leader.log.logEndOffset { return false }
            nextOffset = leader.log.logEndOffset
            return true
        }
        var position = slice.position
        let end = slice.position + Int64(slice.byteCount)
        while position < end {
            let header = try batch(slice.file, at: position, end: end)
            try take(header, into: machine)
            position += Int64(header.byteCount)
            nextOffset = header.nextOffset
        }
        return (nextOffset ?? from) >= leader.log.logEndOffset
    }

    /// Reads one batch to the start of the buffer.
    private mutating func batch(
        _ file: any File, at position: Int64, end: Int64
    ) throws(CoordinatorReplayError) -> RecordBatchHeader {
        let place = nextOffset ?? .zero
        try fill(RecordBatchHeader.byteCount, file, position, end)
        let header: RecordBatchHeader
        do {
            header = try RecordBatchHeader(parsing: buffer.bytes(0..<RecordBatchHeader.byteCount))
        } catch {
            throw .batch(place, error)
        }
        if header.byteCount > buffer.byteCount && Int64(header.byteCount) <= end - position {
            buffer = IOBuffer(byteCount: header.byteCount)
        }
        try fill(header.byteCount, file, position, end)
        return header
    }

    private func fill(
        _ count: Int, _ file: any File, _ position: Int64, _ end: Int64
    ) throws(CoordinatorReplayError) {
        guard Int64(count) <= end - position else { throw .truncated(nextOffset ?? .zero) }
        let have: Int
        do {
            have = try file.read(into: buffer, 0..<count, at: position)
        } catch {
            throw .io(error)
        }
        guard have == count else { throw .truncated(nextOffset ?? .zero) }
    }

    private mutating func take(
        _ header: RecordBatchHeader, into machine: some CoordinatorMachine
    ) throws(CoordinatorReplayError) {
        let entries = try entries(of: header)
        let producer = CoordinatorProducer(id: header.producerID, epoch: header.producerEpoch)
        if header.attributes.isControl {
            guard let marker = entries.first, let isCommit = Self.isCommit(marker) else { return }
            machine.replayMarker(by: producer, isCommit: isCommit)
        } else {
            try replay(entries, by: header.attributes.isTransactional ? producer : nil, into: machine)
        }
    }

    /// Nil for a control record that ends no transaction.
    private static func isCommit(_ entry: Entry) -> Bool? {
        guard entry.key.count >= 4 else { return nil }
        switch Int16(entry.key[2]) << 8 | Int16(entry.key[3]) {
        case ControlRecordType.abort.rawValue: return false
        case ControlRecordType.commit.rawValue: return true
        default: return nil
        }
    }

    private func entries(of header: RecordBatchHeader) throws(CoordinatorReplayError) -> [Entry] {
        do {
            return try RecordBatch.records(
                of: buffer.bytes(0..<header.byteCount), header: header, decompressor: decompressor
            ).compactMap { record in
                record.key.map { Entry(offset: record.offset, key: $0, value: record.value) }
            }
        } catch {
            throw .batch(header.baseOffset, error)
        }
    }

    private mutating func replay(
        _ entries: [Entry], by producer: CoordinatorProducer?, into machine: some CoordinatorMachine
    ) throws(CoordinatorReplayError) {
        for entry in entries {
            do {
                if let value = entry.value {
                    try machine.replay(key: entry.key.span.bytes, value: value.span.bytes, by: producer)
                } else {
                    try machine.replay(key: entry.key.span.bytes, value: nil, by: producer)
                }
            } catch {
                throw .record(entry.offset, error)
            }
            recordCount += 1
        }
    }
}
