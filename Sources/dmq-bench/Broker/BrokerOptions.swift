import Base
import CBaseline
import LogStorage

/// The options of `dmq-bench broker`, read.
struct BrokerOptions: Equatable {
    /// Of a value.
    var recordByteCount = 1 << 10
    var batchByteCount = 64 << 10
    var partitionCount = 6
    var durability = AckDurability.pageCache
    /// Requests of a connection without an answer at once.
    var inFlight = 5
    /// Values of one run.
    var totalByteCount = 1 << 30
    var fetchByteCount = 1 << 20
    /// Records a second.
    var rate = 1000
    var duration = Duration.seconds(10)
    var producerCount = 1000
    var consumerCount = 50
    var requestCount = 300_000
    /// Of a server that starts again.
    var storedPartitionCount = 10_000
    /// In each of them, up to the partitions of one topic.
    var storedBatchCount = 0
    /// Of one group.
    var memberCount = 1000
    var groupCount = 10_000
    /// Path of the program `dmq`.
    var server = BrokerOptions.neighbour
    /// Settings of the server, `key=value`.
    var settings: [String] = []
    var suite = SuiteOptions()

    init() {}

    /// Reads what the parser has checked.
    init(_ command: ParsedCommand) {
        suite = SuiteOptions(command)
        if suite.isSmoke { becomeSmall() }
        let reader = SizeReader(command)
        reader.byteCount("record-bytes", &recordByteCount)
        reader.byteCount("batch-bytes", &batchByteCount)
        reader.byteCount("total-bytes", &totalByteCount)
        reader.byteCount("fetch-bytes", &fetchByteCount)
        reader.integer("partitions", &partitionCount)
        reader.integer("in-flight", &inFlight)
        reader.integer("rate", &rate)
        reader.integer("producers", &producerCount)
        reader.integer("consumers", &consumerCount)
        reader.integer("requests", &requestCount)
        reader.integer("stored-partitions", &storedPartitionCount)
        reader.integer("stored-batches", &storedBatchCount)
        reader.integer("members", &memberCount)
        reader.integer("groups", &groupCount)
        reader.duration("duration", &duration)
        durability = AckDurability(rawValue: command.text("durability")) ?? .pageCache
        if let path = command.textIfGiven("server") { server = path }
        settings = command.texts("set")
    }

    /// Sizes that take a second in all, enough to run every line of the benchmarks.
    private mutating func becomeSmall() {
        totalByteCount = 2 << 20
        duration = .milliseconds(100)
        producerCount = 20
        consumerCount = 4
        requestCount = 500
        storedPartitionCount = 20
        memberCount = 20
        groupCount = 50
    }

    /// The `dmq` that was built with this program.
    private static var neighbour: String {
        let path = String(cString: dmq_own_path())
        return (path.lastIndex(of: "/").map { String(path[...$0]) } ?? "") + "dmq"
    }

    /// What is wrong with the options taken together; nil when nothing is.
    var fault: String? {
        if batchByteCount < 256 || batchByteCount > 900_000 {
            return "--batch-bytes must be from 256 to 900000"
        }
        if recordByteCount < 1 || recordByteCount > batchByteCount - Self.overhead {
            return "--record-bytes must be from 1 to what --batch-bytes has room for"
        }
        if fetchByteCount < batchByteCount || fetchByteCount > 64 << 20 {
            return "--fetch-bytes must be from --batch-bytes to 64MiB"
        }
        if totalByteCount < batchByteCount * partitionCount {
            return "--total-bytes must be at least a batch for each partition"
        }
        return nil
    }

    /// Of a batch and of a record in it, at most.
    private static let overhead = 80

    /// Of a batch as large as it may be: a record has some ten bytes beside its value.
    var recordsPerBatch: Int { max(1, (batchByteCount - 61) / (recordByteCount + 10)) }

    /// Batches of one run, equally many for each partition.
    var batchCount: Int {
        let perPartition = totalByteCount / (recordsPerBatch * recordByteCount * partitionCount)
        return max(1, perPartition) * partitionCount
    }

    /// Before anything is measured: buffers are there, files are open.
    var warmUpBatchCount: Int { max(1, batchCount / 16 / partitionCount) * partitionCount }

    var durationNanoseconds: UInt64 {
        let (seconds, attoseconds) = duration.components
        return UInt64(max(0, seconds)) * 1_000_000_000 + UInt64(max(0, attoseconds)) / 1_000_000_000
    }

    /// For the report.
    var settingsText: [(name: String, value: String)] {
        [
            ("record", ByteCountText.format(Int64(recordByteCount))),
            ("partitions", "\(partitionCount)"), ("durability", durability.rawValue),
        ] + settings.map { ("set", $0) }
    }
}
