// The names of the files and directories that make up logs, Kafka's names throughout:
//
//   <log directory>/
//     .lock                                held while a broker uses the directory
//     .kafka_cleanshutdown                 written last at a clean stop, removed at start
//     meta.properties                      whose directory this is
//     recovery-point-offset-checkpoint     below it all logs are on stable storage
//     log-start-offset-checkpoint          log start offsets that lie inside a segment
//     replication-offset-checkpoint        high watermarks
//     cleaner-offset-checkpoint            first dirty offsets of compacted logs
//     <topic>-<partition>/                 a log; while it is being moved or deleted, or is nobody's,
//     <topic>-<partition>.<32 hex>-future|-delete|-stray
//       <20-digit base offset>.log|.index|.timeindex|.txnindex|.snapshot
//       ... with .deleted (to be removed), .cleaned (compaction not finished), .swap (compaction finished)
//       leader-epoch-checkpoint            first offset of each leader epoch
//       partition.metadata                 the topic's ID
//
// A name followed by `.tmp` is a write that was not finished; it may be removed when the log directory is
// opened.

public import RecordFormat

/// What a file of a segment holds.
public enum LogFileKind: String, Sendable, CaseIterable {
    case log
    case offsetIndex = "index"
    case timeIndex = "timeindex"
    case transactionIndex = "txnindex"
    case producerSnapshot = "snapshot"
}

/// Where a file of a segment stands in its life, beyond the ordinary.
public enum LogFileSuffix: String, Sendable, CaseIterable {
    /// Waits to be removed.
    case deleted
    /// Compaction is writing it; worthless after a crash.
    case cleaned
    /// Compaction has written it and is putting it in the place of its sources.
    case swap
}

/// The name of a segment's file, taken apart.
public struct LogFileName: Hashable, Sendable {
    public let kind: LogFileKind
    public let baseOffset: Offset
    public let suffix: LogFileSuffix?

    public init(kind: LogFileKind, baseOffset: Offset, suffix: LogFileSuffix? = nil) {
        self.kind = kind
        self.baseOffset = baseOffset
        self.suffix = suffix
    }
}

/// Where a partition's directory stands in its life, beyond the ordinary.
public enum PartitionDirectorySuffix: String, Sendable, CaseIterable {
    /// Waits to be removed.
    case delete
    /// A copy on its way into this log directory (KIP-113).
    case future
    /// Of no partition that the cluster knows (KIP-858).
    case stray
}

/// The name of a partition's directory, taken apart.
public struct PartitionDirectoryName: Hashable, Sendable {
    /// With a `delete` or `stray` suffix the topic may have been cut to fit a file name's 255 bytes.
    public let partition: TopicPartition
    public let suffix: PartitionDirectorySuffix?

    public init(partition: TopicPartition, suffix: PartitionDirectorySuffix? = nil) {
        self.partition = partition
        self.suffix = suffix
    }
}

/// Names of files and directories.
public enum LogLayout {
    // In a log directory.
    public static let metaProperties = "meta.properties"
    public static let recoveryPointCheckpoint = "recovery-point-offset-checkpoint"
    public static let logStartOffsetCheckpoint = "log-start-offset-checkpoint"
    public static let highWatermarkCheckpoint = "replication-offset-checkpoint"
    public static let cleanerOffsetCheckpoint = "cleaner-offset-checkpoint"
    public static let cleanShutdownMarker = ".kafka_cleanshutdown"
    public static let lockFile = ".lock"

    // In a partition's directory.
    public static let leaderEpochCheckpoint = "leader-epoch-checkpoint"
    public static let partitionMetadata = "partition.metadata"

    /// Ends the name of a file that is being written, to be renamed when it is whole.
    public static let temporarySuffix = ".tmp"

    /// Digits of a base offset in a file name; more than an Int64 has, as Kafka writes them.
    static let baseOffsetDigits = 20
    /// The longest name that Linux file systems take, in bytes.
    static let maximumNameByteCount = 255
    /// Digits of the random ID in the name of a directory with a suffix.
    static let directoryIDDigits = 32
    /// Kafka's bound on topic names, in bytes.
    static let maximumTopicByteCount = 249

    /// The largest base offset: every relative offset that fits an index must still give an offset.
    static let maximumBaseOffset = Int64.max - Int64(UInt32.max)

    /// The path of `name` in `directory`.
    public static func path(_ directory: String, _ name: String) -> String { "\(directory)/\(name)" }

    /// The directory that holds `path`.
    public static func parent(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// The name of a segment's file.
    public static func fileName(
        _ kind: LogFileKind, _ baseOffset: Offset, suffix: LogFileSuffix? = nil
    ) -> String {
        let digits = String(baseOffset.rawValue)
        let zeros = String(repeating: "0", count: max(0, baseOffsetDigits - digits.utf8.count))
        let name = "\(zeros)\(digits).\(kind.rawValue)"
        guard let suffix else { return name }
        return "\(name).\(suffix.rawValue)"
    }

    /// Nil when `name` is not that of a segment's file.
    public static func parse(fileName name: String) -> LogFileName? {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 3, parts[0].utf8.count == baseOffsetDigits,
            parts[0].utf8.allSatisfy(isDigit), let baseOffset = Int64(parts[0]),
            baseOffset <= maximumBaseOffset, let kind = LogFileKind(rawValue: String(parts[1]))
        else { return nil }
        if parts.count == 2 { return LogFileName(kind: kind, baseOffset: Offset(baseOffset)) }
        guard let suffix = LogFileSuffix(rawValue: String(parts[2])) else { return nil }
        return LogFileName(kind: kind, baseOffset: Offset(baseOffset), suffix: suffix)
    }

    /// The name of a partition's directory.
    public static func directoryName(_ partition: TopicPartition) -> String { partition.description }

    /// The name under which a directory waits to be deleted, moved in or looked after.
    /// - Parameter id: 128 random bits, so that the same partition may wait several times.
    public static func directoryName(
        _ partition: TopicPartition, _ suffix: PartitionDirectorySuffix, id: (UInt64, UInt64)
    ) -> String {
        let tail = "-\(partition.partition).\(hexadecimal(id.0))\(hexadecimal(id.1))-\(suffix.rawValue)"
        let room = max(0, maximumNameByteCount - tail.utf8.count)
        return String(partition.topic.prefix(room)) + tail
    }

    /// Nil when `name` is not that of a partition's directory.
    public static func parse(directoryName name: String) -> PartitionDirectoryName? {
        for suffix in PartitionDirectorySuffix.allCases where name.hasSuffix("-\(suffix.rawValue)") {
            let withoutSuffix = name.dropLast(suffix.rawValue.utf8.count + 1)
            guard let dot = withoutSuffix.lastIndex(of: ".") else { return nil }
            let id = withoutSuffix[dot...].dropFirst()
            guard id.utf8.count == directoryIDDigits, id.utf8.allSatisfy(isHexadecimalDigit),
                let partition = partition(withoutSuffix[..<dot])
            else { return nil }
            return PartitionDirectoryName(partition: partition, suffix: suffix)
        }
        return partition(name[...]).map { PartitionDirectoryName(partition: $0) }
    }

    /// Kafka's rule for topic names: 1 to 249 of `a-z A-Z 0-9 . _ -`, but neither `.` nor `..`.
    public static func isValidTopic(_ topic: some StringProtocol) -> Bool {
        let bytes = topic.utf8
        return !bytes.isEmpty && bytes.count <= maximumTopicByteCount && topic != "." && topic != ".."
            && bytes.allSatisfy(isTopicByte)
    }

    /// `topic-partition`; the last dash separates, for topics may contain dashes.
    private static func partition(_ text: Substring) -> TopicPartition? {
        guard let dash = text.lastIndex(of: "-") else { return nil }
        let topic = text[..<dash]
        guard isValidTopic(topic), let number = partitionNumber(text[dash...].dropFirst().utf8) else {
            return nil
        }
        return TopicPartition(topic: String(topic), partition: number)
    }

    /// Decimal digits without sign or leading zeros, so that a partition has one name.
    static func partitionNumber(_ digits: some Collection<UInt8>) -> Int32? {
        guard let first = digits.first, digits.count <= 10, digits.allSatisfy(isDigit),
            digits.count == 1 || first != UInt8(ascii: "0")
        else { return nil }
        let value = digits.reduce(Int64(0)) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
        return Int32(exactly: value)
    }

    static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    private static func isHexadecimalDigit(_ byte: UInt8) -> Bool {
        isDigit(byte) || (byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "f"))
    }

    static func isTopicByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
        default: false
        }
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}
