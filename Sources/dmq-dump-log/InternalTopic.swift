import LogStorage
import RecordFormat

// What brokers write to their own topics. Keys begin with a version, which for consumer offsets also says
// what the record is about; values begin with a version of their own. Numbers are big endian, strings and
// arrays begin with their length, in flexible versions as an unsigned varint of the length plus one, and
// end structures with tagged fields.
//
//   __consumer_offsets   key 0, 1  string group, string topic, int32 partition
//                        value     int64 offset, [3+] int32 leader epoch, string metadata,
//                                  int64 commit timestamp, [1] int64 expire timestamp; flexible from 4 on
//                        key 2     string group
//                        value     string protocol type, int32 generation, string? protocol, string? leader,
//                                  [2+] int64 timestamp of the state, members; flexible from 4 on
//                        key 3...8, 16: consumer groups, see ConsumerGroupText
//   __transaction_state  key 0     string transactional ID
//                        value     int64 producer ID, int16 epoch, int32 timeout, int8 status, partitions,
//                                  int64 last update, int64 start; flexible from 1 on, with tags 0 int64
//                                  previous producer ID, 1 int64 next producer ID, 2 int16 client version

/// A topic in which brokers keep their own state.
enum InternalTopic: String {
    case consumerOffsets = "__consumer_offsets"
    case transactionState = "__transaction_state"
    case clusterMetadata = "__cluster_metadata"

    /// Nil when the log at `logPath` is of no such topic, by its directory's name.
    init?(logPath: String) {
        // A snapshot of the metadata log, wherever it lies.
        if logPath.hasSuffix(".checkpoint") {
            self = .clusterMetadata
            return
        }
        let directory = LogLayout.parent(of: logPath)
        let name = directory.split(separator: "/").last.map(String.init) ?? directory
        guard let parsed = LogLayout.parse(directoryName: name) else { return nil }
        self.init(rawValue: parsed.partition.topic)
    }

    /// What a record says, nil where it is not understood: then its bytes are shown.
    func fields(of record: Record) -> [DumpField]? {
        if self == .clusterMetadata { return Self.metadataFields(of: record) }
        guard let keyBytes = record.key else { return nil }
        var key = MessageReader(keyBytes)
        guard let version: Int16 = key.integer() else { return nil }
        let name: [DumpField]
        let isGroup: Bool
        switch (self, version) {
        case (.consumerOffsets, 0...1):
            guard let group = key.string(), let topic = key.string(), let partition: Int32 = key.integer()
            else {
                return nil
            }
            name = [
                DumpField("group", group), DumpField("topic", topic), DumpField("partition", partition),
            ]
            isGroup = false
        case (.consumerOffsets, 2):
            guard let group = key.string() else { return nil }
            name = [DumpField("group", group)]
            isGroup = true
        case (.consumerOffsets, 3...8), (.consumerOffsets, 16):
            return Self.consumerGroupFields(of: record, version)
        case (.transactionState, 0):
            guard let id = key.string() else { return nil }
            name = [DumpField("transactionalId", id)]
            isGroup = false
        default: return nil
        }
        guard let valueBytes = record.value else { return decoded(name, .null) }
        var value = MessageReader(valueBytes)
        guard let valueVersion: Int16 = value.integer() else { return nil }
        let content: [DumpField]?
        switch self {
        case .consumerOffsets where isGroup: content = value.group(valueVersion)
        case .consumerOffsets: content = value.committedOffset(valueVersion)
        case .transactionState: content = value.transaction(valueVersion)
        case .clusterMetadata: content = nil
        }
        return content.map { decoded(name, .object([DumpField("version", valueVersion)] + $0)) }
    }

    private func decoded(_ name: [DumpField], _ value: DumpValue) -> [DumpField] {
        [DumpField("key", .object(name)), DumpField("value", value)]
    }
}

/// Reads the fields of a message from its bytes. Nil stands for bytes that end early or break a rule.
private struct MessageReader {
    private let bytes: [UInt8]
    private var position = 0
    private var isFlexible = false

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func integer<Value: FixedWidthInteger>() -> Value? {
        let byteCount = Value.bitWidth / 8
        guard bytes.count - position >= byteCount else { return nil }
        var value: Value = 0
        // Shifting left by 8 would overshift an Int8, which is one byte anyway.
        for byte in bytes[position..<position + byteCount] {
            value =
                byteCount == 1
                ? Value(truncatingIfNeeded: byte) : value << 8 | Value(truncatingIfNeeded: byte)
        }
        position += byteCount
        return value
    }

    private mutating func unsignedVarint() -> UInt32? {
        var value: UInt32 = 0
        for shift in stride(from: UInt32(0), to: 35, by: 7) {
            guard position < bytes.count else { return nil }
            let byte = bytes[position]
            position += 1
            value |= UInt32(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        return nil
    }

    /// The length of a string (`wide` false), bytes or an array; -1 for null.
    private mutating func length(wide: Bool) -> Int? {
        if isFlexible { return unsignedVarint().map { Int($0) - 1 } }
        if wide {
            guard let length: Int32 = integer() else { return nil }
            return Int(length)
        }
        guard let length: Int16 = integer() else { return nil }
        return Int(length)
    }

    /// A string, `.null` for null.
    private mutating func nullableString() -> DumpValue? {
        guard let length = length(wide: false) else { return nil }
        if length == -1 { return .null }
        guard length >= 0, length <= bytes.count - position else { return nil }
        let text = String(decoding: bytes[position..<position + length], as: UTF8.self)
        position += length
        return .text(text)
    }

    mutating func string() -> String? {
        guard case .text(let text) = nullableString() else { return nil }
        return text
    }

    /// The number of bytes, which are passed over.
    private mutating func skippedBytes() -> Int? {
        guard let length = length(wide: true), length >= 0, length <= bytes.count - position else {
            return nil
        }
        position += length
        return length
    }

    /// Passes over the tagged fields that end a structure of a flexible version.
    private mutating func skipTags() -> Bool {
        guard isFlexible else { return true }
        guard let count = unsignedVarint() else { return false }
        for _ in 0..<count {
            guard unsignedVarint() != nil, let length = unsignedVarint(),
                Int(length) <= bytes.count - position
            else { return false }
            position += Int(length)
        }
        return true
    }

    private mutating func array(_ element: (inout MessageReader) -> DumpValue?) -> DumpValue? {
        guard let count = length(wide: true) else { return nil }
        if count == -1 { return .null }
        guard count >= 0, count <= bytes.count - position else { return nil }
        var values: [DumpValue] = []
        for _ in 0..<count {
            guard let value = element(&self) else { return nil }
            values.append(value)
        }
        return .list(values)
    }

    private mutating func isComplete() -> Bool { skipTags() && position == bytes.count }

    mutating func committedOffset(_ version: Int16) -> [DumpField]? {
        guard (0...4).contains(version) else { return nil }
        isFlexible = version >= 4
        guard let offset: Int64 = integer() else { return nil }
        var fields = [DumpField("offset", offset)]
        if version >= 3 {
            guard let epoch: Int32 = integer() else { return nil }
            fields.append(DumpField("leaderEpoch", epoch))
        }
        guard let metadata = string(), let committed: Int64 = integer() else { return nil }
        fields += [DumpField("metadata", metadata), DumpField("commitTimestamp", Timestamp(committed))]
        if version == 1 {
            guard let expires: Int64 = integer() else { return nil }
            fields.append(DumpField("expireTimestamp", Timestamp(expires)))
        }
        return isComplete() ? fields : nil
    }

    mutating func group(_ version: Int16) -> [DumpField]? {
        guard (0...4).contains(version) else { return nil }
        isFlexible = version >= 4
        guard let type = string(), let generation: Int32 = integer(), let name = nullableString(),
            let leader = nullableString()
        else { return nil }
        var fields = [
            DumpField("protocolType", type), DumpField("generation", generation), DumpField("protocol", name),
            DumpField("leader", leader),
        ]
        if version >= 2 {
            guard let timestamp: Int64 = integer() else { return nil }
            fields.append(DumpField("currentStateTimestamp", Timestamp(timestamp)))
        }
        guard let members = array({ $0.member(version) }) else { return nil }
        fields.append(DumpField("members", members))
        return isComplete() ? fields : nil
    }

    private mutating func member(_ version: Int16) -> DumpValue? {
        guard let id = string() else { return nil }
        var fields = [DumpField("memberId", id)]
        if version >= 3 {
            guard let instance = nullableString() else { return nil }
            fields.append(DumpField("groupInstanceId", instance))
        }
        guard let client = string(), let host = string() else { return nil }
        fields += [DumpField("clientId", client), DumpField("clientHost", host)]
        if version >= 1 {
            guard let timeout: Int32 = integer() else { return nil }
            fields.append(DumpField("rebalanceTimeout", timeout))
        }
        guard let timeout: Int32 = integer(), let subscription = skippedBytes(),
            let assignment = skippedBytes(),
            skipTags()
        else { return nil }
        fields += [
            DumpField("sessionTimeout", timeout), DumpField("subscriptionByteCount", subscription),
            DumpField("assignmentByteCount", assignment),
        ]
        return .object(fields)
    }

    private static let transactionStates = [
        "Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead",
        "PrepareEpochFence",
    ]

    mutating func transaction(_ version: Int16) -> [DumpField]? {
        guard (0...1).contains(version) else { return nil }
        isFlexible = version >= 1
        guard let producerID: Int64 = integer(), let epoch: Int16 = integer(), let timeout: Int32 = integer(),
            let status: Int8 = integer(), let partitions = array({ $0.partitions() }),
            let updated: Int64 = integer(), let started: Int64 = integer()
        else { return nil }
        let state =
            Self.transactionStates.indices.contains(Int(status))
            ? Self.transactionStates[Int(status)] : String(status)
        var fields = [
            DumpField("producerId", producerID), DumpField("producerEpoch", epoch),
            DumpField("timeoutMs", timeout), DumpField("state", state), DumpField("partitions", partitions),
            DumpField("lastUpdateTimestamp", Timestamp(updated)),
            DumpField("startTimestamp", Timestamp(started)),
        ]
        if isFlexible {
            guard let tagged = transactionTags() else { return nil }
            fields += tagged
        }
        return position == bytes.count ? fields : nil
    }

    /// The tagged fields of a transaction; those that are not known are passed over.
    private mutating func transactionTags() -> [DumpField]? {
        guard let count = unsignedVarint() else { return nil }
        var fields: [DumpField] = []
        for _ in 0..<count {
            guard let tag = unsignedVarint(), let length = unsignedVarint(),
                Int(length) <= bytes.count - position
            else { return nil }
            let end = position + Int(length)
            switch tag {
            case 0, 1:
                guard let id: Int64 = integer() else { return nil }
                fields.append(DumpField(tag == 0 ? "previousProducerId" : "nextProducerId", id))
            case 2:
                guard let version: Int16 = integer() else { return nil }
                fields.append(DumpField("clientTransactionVersion", version))
            default: position = end
            }
            guard position == end else { return nil }
        }
        return fields
    }

    private mutating func partitions() -> DumpValue? {
        guard let topic = string(),
            let numbers = array({ reader in
                guard let number: Int32 = reader.integer() else { return nil }
                return .integer(Int64(number))
            }), skipTags()
        else { return nil }
        return .object([DumpField("topic", topic), DumpField("partitions", numbers)])
    }
}
