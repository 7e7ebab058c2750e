// A snapshot of the metadata log (KIP-630): the file `<20-digit end offset>-<10-digit epoch>.checkpoint` in
// the log's directory. Record batches one after the other, as in a log, with base offsets from 0:
//
//   batch   content
//   first   control record SnapshotHeader: the time of the last record that the snapshot stands for
//   others  the records that make the image
//   last    control record SnapshotFooter: without it the snapshot is not whole
//
// Each batch has its CRC. A snapshot is valid when all batches are and the footer is the last record of the
// file. It stands for all records below its end offset, the last of which has its epoch. It may be made again
// from an older snapshot and the log after it.

internal import Base
public import RecordFormat

/// Names a snapshot: the offset after the last record that it stands for, and that record's epoch.
public struct MetadataSnapshotID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let endOffset: Offset
    public let epoch: LeaderEpoch

    static let suffix = ".checkpoint"
    static let offsetDigits = 20
    static let epochDigits = 10

    public init(endOffset: Offset, epoch: LeaderEpoch) {
        self.endOffset = endOffset
        self.epoch = epoch
    }

    /// Nil when `name` is not that of a snapshot's file.
    public init?(fileName name: String) {
        guard name.hasSuffix(Self.suffix) else { return nil }
        let parts = name.dropLast(Self.suffix.utf8.count).split(
            separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.count == Self.offsetDigits,
            parts[1].utf8.count == Self.epochDigits,
            parts.allSatisfy({ $0.utf8.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") } }),
            let offset = Int64(parts[0]), let epoch = Int32(parts[1])
        else { return nil }
        self.init(endOffset: Offset(offset), epoch: LeaderEpoch(epoch))
    }

    public var fileName: String {
        Self.padded(endOffset.rawValue, Self.offsetDigits) + "-"
            + Self.padded(Int64(epoch.rawValue), Self.epochDigits) + Self.suffix
    }

    private static func padded(_ value: Int64, _ digits: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
    }

    public static func < (left: MetadataSnapshotID, right: MetadataSnapshotID) -> Bool {
        (left.endOffset, left.epoch) < (right.endOffset, right.epoch)
    }

    public var description: String { "\(endOffset)-\(epoch)" }
}

/// Why a snapshot cannot be used.
public enum MetadataSnapshotError: Error, Hashable, Sendable, CustomStringConvertible {
    case batch(MetadataBatchError)
    case missingHeader
    case missingFooter
    case afterFooter(Offset)

    public var description: String {
        switch self {
        case .batch(let error): "\(error)"
        case .missingHeader: "the snapshot does not begin with its header"
        case .missingFooter: "the snapshot has no footer: it is not whole"
        case .afterFooter(let offset): "something follows the snapshot's footer at offset \(offset)"
        }
    }
}

/// Writes an image as a snapshot, batch by batch.
public enum MetadataSnapshotWriter {
    /// Batches are closed when they have taken this many records or more of a group.
    static let recordsPerBatch = 1024

    /// Calls `body` with the bytes of each batch, in order.
    ///
    /// - Parameters:
    ///   - lastTimestamp: of the last record that the image stands for.
    ///   - now: the time on the records.
    public static func write<Failure: Error>(
        _ image: MetadataImage, _ id: MetadataSnapshotID, lastTimestamp: Timestamp, now: Timestamp,
        _ body: ([UInt8]) throws(Failure) -> Void
    ) throws(Failure) {
        let version = image.metadataVersion
        var next = Offset.zero
        try body(
            MetadataBatch.encode(
                control: [.snapshotHeader(lastContainedLogTimestamp: lastTimestamp)], timestamp: now,
                baseOffset: next, leaderEpoch: id.epoch))
        next = next + 1
        var waiting: [MetadataRecord] = []
        func flush(all: Bool) throws(Failure) {
            while waiting.count >= recordsPerBatch || (all && !waiting.isEmpty) {
                let part = Array(waiting.prefix(recordsPerBatch))
                waiting.removeFirst(part.count)
                let bytes: [UInt8]
                do {
                    bytes = try MetadataBatch.encode(
                        part, version: version, timestamp: now, baseOffset: next, leaderEpoch: id.epoch)
                } catch {
                    invariantFailed(
                        "a record of the image does not fit metadata.version \(version): \(error)")
                }
                try body(bytes)
                next = next + Int64(part.count)
            }
        }
        try image.forEachRecordGroup { (group) throws(Failure) in
            waiting += group
            try flush(all: false)
        }
        try flush(all: true)
        try body(
            MetadataBatch.encode(
                control: [.snapshotFooter], timestamp: now, baseOffset: next, leaderEpoch: id.epoch))
    }
}

/// Reads a snapshot back, batch by batch.
public struct MetadataSnapshotReader {
    private var image = MetadataImage()
    private var lastTimestamp: Timestamp?
    private var isComplete = false
    private let decompressor = Decompressor()

    public init() {}

    /// Takes the next batch of the file.
    public mutating func take(
        _ batch: RawSpan, header: RecordBatchHeader
    ) throws(MetadataSnapshotError) {
        var entries: [(MetadataEntry, Offset)] = []
        do {
            try MetadataBatch.forEach(in: batch, header: header, decompressor: decompressor) {
                entries.append(($0, $1))
            }
        } catch {
            throw .batch(error)
        }
        for (entry, offset) in entries { try take(entry, offset) }
    }

    private mutating func take(_ entry: MetadataEntry, _ offset: Offset) throws(MetadataSnapshotError) {
        if isComplete { throw .afterFooter(offset) }
        switch entry {
        case .control(.snapshotHeader(let timestamp)): lastTimestamp = timestamp
        case .control(.snapshotFooter):
            if lastTimestamp == nil { throw .missingHeader }
            isComplete = true
        case .control: break
        case .record(let record):
            if lastTimestamp == nil { throw .missingHeader }
            do { try image.apply(record) } catch { throw .batch(.image(offset: offset, error)) }
        }
    }

    /// The image, and the time of the last record that it stands for, when the snapshot was whole.
    public consuming func finish() throws(MetadataSnapshotError) -> (MetadataImage, Timestamp) {
        guard let lastTimestamp else { throw .missingHeader }
        if !isComplete { throw .missingFooter }
        return (image, lastTimestamp)
    }
}
