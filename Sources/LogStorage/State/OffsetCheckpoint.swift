// `recovery-point-offset-checkpoint`, `log-start-offset-checkpoint`, `replication-offset-checkpoint` and
// `cleaner-offset-checkpoint`: one offset for each of the partitions of a log directory. A checkpoint file
// (see CheckpointFile.swift) with entries of three fields:
//
//   field      meaning
//   topic      its name
//   partition  0 ... 2^31-1
//   offset     0 or more
//
// The order of the entries means nothing; no partition has two. When a file is lost: without recovery points
// all logs are recovered from their start, without log start offsets they begin with their first segment,
// without high watermarks these are found again by replication, without cleaner offsets compaction begins
// from the start.

public import RecordFormat
public import SystemIO

/// An offset for each of many partitions, as kept in a log directory.
public struct OffsetCheckpoint: Hashable, Sendable {
    /// A line of the file.
    public struct Entry: Hashable, Sendable {
        public let partition: TopicPartition
        public let offset: Offset

        public init(_ partition: TopicPartition, _ offset: Offset) {
            self.partition = partition
            self.offset = offset
        }
    }

    /// Enough for more than two million partitions with names of ordinary length.
    public static let maximumByteCount = 64 << 20

    /// In the order of the file. No partition may be in it twice.
    public var entries: [Entry]

    public init(_ entries: [Entry] = []) { self.entries = entries }

    /// The offsets by partition.
    public var offsets: [TopicPartition: Offset] {
        Dictionary(entries.map { ($0.partition, $0.offset) }, uniquingKeysWith: { _, last in last })
    }

    /// Nil when there is no file.
    public static func read(
        _ path: String, _ fileSystem: any FileSystem
    ) throws(StateFileError) -> OffsetCheckpoint? {
        guard let bytes = try AtomicFile.read(path, maximumByteCount: maximumByteCount, fileSystem) else {
            return nil
        }
        return try OffsetCheckpoint(parsing: bytes, path: path)
    }

    /// Replaces the file, atomically. On return it is on stable storage.
    public func write(to path: String, _ fileSystem: any FileSystem) throws(StateFileError) {
        try AtomicFile.replace(path, with: encoded(), fileSystem)
    }

    /// - Parameter path: for messages.
    public init(parsing bytes: [UInt8], path: String) throws(StateFileError) {
        var entries: [Entry] = []
        var seen: Set<TopicPartition> = []
        var reader = CheckpointReader(
            bytes, path: path, remedy: "restore the file or remove it, then its offsets are worked out anew")
        try reader.readEntries { (reader) throws(StateFileError) in
            let topic = try reader.topic()
            let number = try reader.integer("partition", atMost: Int64(Int32.max))
            let offset = try reader.integer("offset", atMost: Int64.max)
            let partition = TopicPartition(topic: topic, partition: Int32(number))
            guard seen.insert(partition).inserted else {
                throw reader.malformed("\(partition) is listed twice")
            }
            entries.append(Entry(partition, Offset(offset)))
        }
        self.entries = entries
    }

    /// The content of the file.
    public func encoded() -> [UInt8] {
        var text = ByteWriter(capacity: 16 + entries.count * 48)
        text.write(utf8: "\(CheckpointReader.version)\n\(entries.count)\n")
        for entry in entries {
            text.write(utf8: "\(entry.partition.topic) \(entry.partition.partition) \(entry.offset)\n")
        }
        return text.bytes
    }
}
