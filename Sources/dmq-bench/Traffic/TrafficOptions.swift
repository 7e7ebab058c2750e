import Base
import DMQClient
import RecordFormat

/// What passes through a broker that is measured from outside.
enum TrafficKind: String, CaseIterable, Sendable {
    case produce
    case consume
    case endToEnd = "end-to-end"
    case mixed

    var writes: Bool { self != .consume }
    var reads: Bool { self != .produce }
}

/// How `dmq-bench produce|consume|end-to-end|mixed` is to measure.
struct TrafficOptions: Sendable {
    /// An 8-byte time stands at the beginning of every value.
    static let leastRecordByteCount = 8
    /// Without a rate a record in so many is timed: to time each would measure the timing.
    static let sampledRecords = 64

    var kind: TrafficKind
    var bootstrap: [String]
    var topic: String
    var partitions: Int32
    var replicas: Int16?
    var producerCount: Int
    var consumerCount: Int
    var recordByteCount: Int
    /// Distinct keys; 0 for records without.
    var keyCount: Int
    /// Records a second over all producers; nil for as fast as it goes.
    var rate: Int?
    /// Of one run; nil: the duration decides.
    var recordLimit: Int?
    var durationNanoseconds: UInt64
    var warmUpNanoseconds: UInt64
    var brokerPID: Int?
    var writesJSON: Bool
    var showsProgress: Bool
    var producer = ProducerConfiguration()
    var consumer = ConsumerConfiguration()

    init(_ kind: TrafficKind, _ command: ParsedCommand) throws(CommandLineError) {
        self.kind = kind
        bootstrap = command.text("bootstrap").split(separator: ",").map(String.init)
        topic = command.text("topic")
        partitions = Int32(command.integer("partitions"))
        replicas = command.integerIfGiven("replicas").map { Int16($0) }
        let connections = command.integer("connections")
        producerCount = kind.writes ? command.integerIfGiven("producers") ?? connections : 0
        consumerCount = kind.reads ? command.integerIfGiven("consumers") ?? connections : 0
        recordByteCount = Int(min(command.byteCount("record-bytes"), 64 << 20))
        keyCount = command.integer("keys")
        rate = command.integerIfGiven("rate")
        if kind == .endToEnd && rate == nil { rate = 1000 }
        recordLimit = command.integerIfGiven("records")
        durationNanoseconds = Self.nanoseconds(command.duration("duration"))
        warmUpNanoseconds = kind.writes ? Self.nanoseconds(command.duration("warm-up")) : 0
        brokerPID = command.integerIfGiven("broker-pid")
        writesJSON = command.flag("json")
        showsProgress = !command.flag("no-progress")
        if recordByteCount < Self.leastRecordByteCount {
            throw .badValue(
                option: "--record-bytes", value: command.text("record-bytes"),
                reason: "the time of a record takes \(Self.leastRecordByteCount) bytes")
        }
        producer = try Self.producer(command, kind)
        consumer.checksChecksums = !command.flag("no-checksums")
        consumer.minimumByteCount = Int(min(command.byteCount("fetch-min"), 1 << 30))
        consumer.waitMilliseconds = Int64(Self.nanoseconds(command.duration("fetch-wait")) / 1_000_000)
        consumer.prefetchByteCount = Int(min(command.byteCount("prefetch"), 1 << 30))
    }

    private static func producer(
        _ command: ParsedCommand, _ kind: TrafficKind
    ) throws(CommandLineError) -> ProducerConfiguration {
        var producer = ProducerConfiguration()
        producer.codec = StorageOptions.codecs.first { $0.name == command.text("codec") }?.codec ?? .none
        producer.compressionLevel = command.integerIfGiven("level")
        let acknowledgements: [String: Acknowledgement] = ["0": .none, "1": .leader, "all": .all]
        producer.acknowledgement = acknowledgements[command.text("acks")] ?? .all
        producer.batchByteCount = Int(min(command.byteCount("batch"), 1 << 30))
        // A record that is measured by itself is not held back for others.
        let linger = command.durationIfGiven("linger").map { nanoseconds($0) / 1_000_000 }
        producer.lingerMilliseconds = Int64(linger ?? (kind == .endToEnd ? 0 : 5))
        producer.inFlightPerBroker = command.integer("in-flight")
        if command.flag("no-idempotence") { producer.isIdempotent = false }
        let batch = Int64(producer.batchByteCount)
        producer.requestByteCount = max(1 << 20, producer.batchByteCount)
        producer.bufferByteCount = Int(max(command.byteCount("buffer"), 2 * batch))
        return producer
    }

    static func nanoseconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        return UInt64(clamping: seconds) &* 1_000_000_000 &+ UInt64(clamping: attoseconds / 1_000_000_000)
    }

    /// The settings by their names, for who reads the result later.
    /// - Parameter partitionCount: what the topic has, which may be older than the run.
    func described(partitionCount: Int) -> [(name: String, value: String)] {
        var list: [(name: String, value: String)] = [("topic", topic), ("partitions", "\(partitionCount)")]
        if kind.writes {
            list += [
                ("producers", "\(producerCount)"), ("record-bytes", "\(recordByteCount)"),
                ("keys", "\(keyCount)"), ("batch", "\(producer.batchByteCount)"),
                ("linger-ms", "\(producer.lingerMilliseconds)"), ("codec", "\(producer.codec)"),
                ("acks", producer.acknowledgement == .all ? "all" : "\(producer.acknowledgement.rawValue)"),
                ("in-flight", "\(producer.inFlightPerBroker)"), ("rate", rate.map { "\($0)" } ?? "unlimited"),
            ]
        }
        if kind.reads { list.append(("consumers", "\(consumerCount)")) }
        return list
    }
}
