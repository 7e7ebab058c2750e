import Base
import LogStorage
import RecordFormat
import SystemIO

/// The options of `dmq-bench storage`, read.
struct StorageOptions: Equatable {
    var batchByteCount = 64 << 10
    var recordByteCount = 1 << 10
    var codec = CompressionCodec.none
    var partitionCount = 1
    /// Appends that wait at once.
    var appenderCount = 1
    var durability = AckDurability.pageCache
    var backEnd = AppendQueueChoice.auto
    var road = AppendRoad.direct
    var preallocates = true
    var recycles = false
    /// Bytes of one run.
    var totalByteCount = 1 << 30
    var segmentByteCount = 1 << 30
    var sliceByteCount = 1 << 20
    var segmentCount = 1000
    var lookupCount = 2_000_000
    var suite = SuiteOptions()

    init() {}

    /// Reads what the parser has checked.
    init(_ command: ParsedCommand) {
        suite = SuiteOptions(command)
        if suite.isSmoke { becomeSmall() }
        let reader = SizeReader(command)
        reader.byteCount("batch-bytes", &batchByteCount)
        reader.byteCount("record-bytes", &recordByteCount)
        reader.byteCount("total-bytes", &totalByteCount)
        reader.byteCount("segment-bytes", &segmentByteCount)
        reader.byteCount("slice-bytes", &sliceByteCount)
        reader.integer("partitions", &partitionCount)
        reader.integer("segments", &segmentCount)
        reader.integer("lookups", &lookupCount)
        codec = Self.codecs.first { $0.name == command.text("codec") }?.codec ?? .none
        durability = AckDurability(rawValue: command.text("durability")) ?? .pageCache
        appenderCount = command.integerIfGiven("appenders") ?? (durability == .synced ? 64 : 1)
        backEnd = AppendQueueChoice(rawValue: command.text("back-end")) ?? .auto
        road = AppendRoad(rawValue: command.text("road")) ?? .direct
        preallocates = command.text("preallocate") == "on"
        recycles = command.text("recycle") == "on"
    }

    /// Sizes that take a second in all, enough to run every line of the benchmarks.
    private mutating func becomeSmall() {
        totalByteCount = 4 << 20
        segmentByteCount = 1 << 20
        segmentCount = 20
        lookupCount = 10_000
    }

    static let codecs: [(name: String, codec: CompressionCodec)] = [
        ("none", .none), ("gzip", .gzip), ("snappy", .snappy), ("lz4", .lz4), ("zstd", .zstd),
    ]

    var codecName: String { Self.codecs.first { $0.codec == codec }?.name ?? "none" }

    /// What is wrong with the options taken together; nil when nothing is.
    var fault: String? {
        if batchByteCount < 128 || batchByteCount > 1 << 20 {
            return "--batch-bytes must be from 128 to 1MiB"
        }
        if recordByteCount < 16 || recordByteCount > batchByteCount {
            return "--record-bytes must be from 16 to --batch-bytes"
        }
        if appenderCount % partitionCount != 0 {
            return "--appenders must be a multiple of --partitions: each partition has equally many"
        }
        if totalByteCount < batchByteCount { return "--total-bytes must be at least --batch-bytes" }
        if segmentByteCount < 1 << 20 || segmentByteCount > 1 << 30 {
            return "--segment-bytes must be from 1MiB to 1GiB"
        }
        if sliceByteCount < 1 { return "--slice-bytes must be at least 1" }
        return nil
    }

    /// The settings of a log under these options.
    var logConfiguration: LogConfiguration {
        var configuration = LogConfiguration()
        configuration.segmentByteCount = segmentByteCount
        configuration.fileDeleteDelayMilliseconds = 0
        configuration.preallocatesSegments = preallocates
        configuration.durability = durability
        return configuration
    }
}
