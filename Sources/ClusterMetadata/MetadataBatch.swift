internal import Base
public import RecordFormat

/// Why a batch of the metadata log or of a snapshot cannot be read.
public enum MetadataBatchError: Error, Hashable, Sendable, CustomStringConvertible {
    case batch(RecordBatchError)
    case record(offset: Offset, MetadataRecordError)
    case control(offset: Offset, ControlRecordError)
    case image(offset: Offset, MetadataImageError)

    public var description: String {
        switch self {
        case .batch(let error): "\(error)"
        case .record(let offset, let error): "offset \(offset): \(error)"
        case .control(let offset, let error): "offset \(offset): \(error)"
        case .image(let offset, let error): "offset \(offset): \(error)"
        }
    }
}

/// A record of the metadata log, or one that the quorum wrote about itself.
public enum MetadataEntry: Equatable, Sendable {
    case record(MetadataRecord)
    case control(ControlRecord)
}

/// Record batches of the metadata log: what is in one counts as a whole or not at all.
public enum MetadataBatch {
    /// The most that a batch may take: what a reader needs memory for at once.
    public static let maximumByteCount = 8 << 20

    /// A batch of metadata records. Offsets and epoch are the given ones; a log puts its own in their place.
    public static func encode(
        _ records: [MetadataRecord], version: MetadataVersion, timestamp: Timestamp,
        baseOffset: Offset = .zero, leaderEpoch: LeaderEpoch = .none
    ) throws(MetadataRecordError) -> [UInt8] {
        var builder = RecordBatchBuilder(baseOffset: baseOffset, partitionLeaderEpoch: leaderEpoch)
        for record in records {
            let value = try record.encoded(version)
            builder.append(timestamp: timestamp, key: nil, value: value.span.bytes)
        }
        return finish(builder)
    }

    /// A batch of control records.
    public static func encode(
        control records: [ControlRecord], timestamp: Timestamp, baseOffset: Offset = .zero,
        leaderEpoch: LeaderEpoch = .none
    ) -> [UInt8] {
        var builder = RecordBatchBuilder(
            baseOffset: baseOffset, partitionLeaderEpoch: leaderEpoch, isControl: true)
        for record in records {
            let (key, value) = (record.encodedKey(), record.encodedValue())
            builder.append(timestamp: timestamp, key: key.span.bytes, value: value.span.bytes)
        }
        return finish(builder)
    }

    private static func finish(_ builder: RecordBatchBuilder) -> [UInt8] {
        do {
            return try builder.finish(compressor: Compressor())
        } catch {
            invariantFailed("a metadata batch without compression cannot be written: \(error)")
        }
    }

    /// Calls `body` with each record of a batch, in order.
    ///
    /// - Parameters:
    ///   - batch: one whole batch, whose checksum is checked here.
    ///   - body: gets the record and its offset.
    public static func forEach(
        in batch: RawSpan, header: RecordBatchHeader, decompressor: Decompressor,
        _ body: (MetadataEntry, Offset) throws(MetadataBatchError) -> Void
    ) throws(MetadataBatchError) {
        do {
            try RecordBatch.validate(batch, header: header)
            var cursor = try RecordCursor(batch, header: header, decompressor: decompressor)
            while let view = try cursor.next() {
                try body(try entry(view, isControl: header.attributes.isControl), view.offset)
            }
        } catch let error as RecordBatchError {
            throw .batch(error)
        } catch let error as MetadataBatchError {
            throw error
        } catch {
            invariantFailed("an error of an unknown kind: \(error)")
        }
    }

    private static func entry(
        _ view: borrowing RecordView, isControl: Bool
    ) throws(MetadataBatchError) -> MetadataEntry {
        if isControl {
            do { return .control(try ControlRecord(view)) } catch {
                throw .control(offset: view.offset, error)
            }
        }
        do { return .record(try MetadataRecord(decoding: view.value)) } catch {
            throw .record(offset: view.offset, error)
        }
    }
}
