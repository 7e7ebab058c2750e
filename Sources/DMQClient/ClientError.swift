public import KafkaProtocol
public import RecordFormat

/// Why something that was asked of a cluster did not come about. Every case says what, where, and in `remedy`
/// what to do about it.
public enum ClientError: Error, Sendable, CustomStringConvertible {
    /// A setting of the client cannot be as it is; `reason` is half a sentence.
    case configuration(setting: String, value: String, reason: String)
    /// `text` is not `host:port`.
    case badAddress(String)
    /// No broker could be reached. `attempts` says of each address what happened, the last attempt last.
    case unreachable(attempts: [String])
    /// The connection ended before the answer came: whether the broker has done what was asked is not known.
    case disconnected(broker: String, api: APIKey, reason: String)
    /// No answer in time: whether the broker has done what was asked is not known.
    case timedOut(broker: String, api: APIKey, milliseconds: Int64)
    /// The broker has no version of the API that this client speaks.
    case unsupportedAPI(broker: String, api: APIKey, ours: ClosedRange<Int16>, theirs: ClosedRange<Int16>?)
    /// The broker's answer, or what was to be sent, is not what the protocol allows.
    case malformed(broker: String, api: APIKey, reason: String)
    /// The broker refused. `subject` is what it was about: a topic, a partition, a resource.
    case refused(broker: String, api: APIKey, subject: String, code: ErrorCode, message: String?)
    /// Nothing is known of the topic, or of that partition of it.
    case unknownPartition(topic: String, partition: Int32?, reason: String)
    /// A record was not acknowledged within the delivery time-out. With `mayBeWritten` it may be in the log.
    case deliveryTimedOut(TopicPartition, milliseconds: Int64, mayBeWritten: Bool, lastError: String?)
    /// The answer to a record was lost, and the broker has forgotten the producer: whether the record is in
    /// the log cannot be found out, and to send it again could double it.
    case uncertain(TopicPartition, lastError: String?)
    /// A record is larger than the producer may send at once.
    case recordTooLarge(topic: String, byteCount: Int, limit: Int)
    /// The records of a batch could not be compressed.
    case compression(TopicPartition, CompressionError)
    /// What a partition holds at an offset cannot be read.
    case corrupt(TopicPartition, Offset, RecordBatchError)
    /// The partition has no record at the position, and the consumer was told not to go elsewhere.
    case positionOutOfRange(TopicPartition, Offset)
    /// The client was closed.
    case closed
    /// The machine refused something: descriptors, threads, memory for a ring.
    case system(String)

    public var description: String {
        let remedy = remedy
        return remedy.isEmpty ? fact : "\(fact); \(remedy)"
    }

    /// The code of the broker's refusal.
    public var code: ErrorCode? {
        if case .refused(_, _, _, let code, _) = self { return code }
        return nil
    }

    /// What went wrong, without what to do about it.
    public var fact: String {
        switch self {
        case .configuration(let setting, let value, let reason): "\(setting) cannot be \(value): \(reason)"
        case .badAddress(let text): "\"\(text)\" is not the address of a broker"
        case .unreachable(let attempts):
            "no broker could be reached: "
                + (attempts.isEmpty ? "none is known" : attempts.joined(separator: ", "))
        case .disconnected(let broker, let api, let reason):
            "broker \(broker) was lost while \(api.name) was under way: \(reason)"
        case .timedOut(let broker, let api, let milliseconds):
            "broker \(broker) did not answer \(api.name) within \(milliseconds) ms"
        case .unsupportedAPI(let broker, let api, let ours, let theirs):
            "broker \(broker) serves "
                + (theirs.map { "\(api.name) in versions \($0.lowerBound) to \($0.upperBound)" }
                    ?? "no \(api.name)")
                + ", this client speaks \(ours.lowerBound) to \(ours.upperBound)"
        case .malformed(let broker, let api, let reason): "\(api.name) with broker \(broker): \(reason)"
        case .refused(let broker, let api, let subject, let code, let message):
            "\(api.name) of \(subject) at broker \(broker) failed with \(code.name): "
                + Self.trimmed(message ?? code.message)
        case .unknownPartition(let topic, let partition, let reason):
            "there is no " + (partition.map { "partition \($0) of " } ?? "") + "topic \(topic): \(reason)"
        case .deliveryTimedOut(let partition, let milliseconds, let mayBeWritten, let last):
            "records to \(partition) were not acknowledged within \(milliseconds) ms"
                + (last.map { " (last: \($0))" } ?? "")
                + (mayBeWritten ? ", they may have been written all the same" : "")
        case .uncertain(let partition, let last):
            "records to \(partition) may or may not have been written: the broker has forgotten the producer"
                + (last.map { " (last: \($0))" } ?? "")
        case .recordTooLarge(let topic, let byteCount, let limit):
            "a record of \(byteCount) bytes for \(topic) is larger than a request may be (\(limit) bytes)"
        case .compression(let partition, let error): "a batch for \(partition) cannot be compressed: \(error)"
        case .corrupt(let partition, let offset, let error):
            "the batch at offset \(offset) of \(partition) cannot be read: \(error)"
        case .positionOutOfRange(let partition, let offset):
            "offset \(offset) is not in the log of \(partition)"
        case .closed: "the client was closed"
        case .system(let reason): reason
        }
    }

    private static func trimmed(_ text: String) -> String {
        text.hasSuffix(".") ? String(text.dropLast()) : text
    }

    /// What to do about it, as half a sentence; empty where there is nothing to say.
    public var remedy: String {
        switch self {
        case .badAddress: "write host:port, as in 127.0.0.1:9092 or [::1]:9092"
        case .unreachable: "check that a broker runs there and that the address is right"
        case .disconnected: "see the broker's log for why"
        case .timedOut: "the broker is overloaded, stuck or unreachable: see its log, or allow more time"
        case .unsupportedAPI: "use a broker that serves it"
        case .unknownPartition: "create the topic, or check its name"
        case .deliveryTimedOut(_, _, let mayBeWritten, _):
            mayBeWritten
                ? "look into the topic before sending them again"
                : "check that the partition's leader is up, or allow more time"
        case .uncertain: "look into the topic before sending them again"
        case .recordTooLarge: "raise the producer's request size and the topic's max.message.bytes"
        case .corrupt: "check the broker's disk with dmq-dump-log --verify, or go on behind the batch"
        case .positionOutOfRange: "begin at the earliest or the latest offset"
        case .refused(_, _, _, let code, _): ErrorRemedy.text(code)
        case .malformed: "check that it is a Kafka listener, and not one for TLS or HTTP"
        case .configuration, .compression, .closed, .system: ""
        }
    }

    /// Whether the same may succeed a little later.
    var isRetriable: Bool {
        switch self {
        case .disconnected, .timedOut, .unreachable: true
        case .refused(_, _, _, let code, _): code.isRetriable
        default: false
        }
    }
}

/// What to do about a broker's refusal.
enum ErrorRemedy {
    static func text(_ code: ErrorCode) -> String {
        switch code {
        case .unknownTopicOrPartition, .unknownTopicID: "create the topic, or check its name"
        case .topicAlreadyExists: "use another name, or delete the topic first"
        case .invalidTopicException:
            "use letters, digits, dots, dashes and underscores, at most 249 of them"
        case .messageTooLarge, .recordListTooLarge:
            "make batches smaller, or raise the topic's max.message.bytes"
        case .invalidReplicationFactor: "there must be as many brokers as replicas"
        case .invalidPartitions: "the number of partitions can only grow, from 1"
        case .invalidConfig: "list the settings and what they may be with dmq config list"
        case .notEnoughReplicas, .notEnoughReplicasAfterAppend:
            "wait for replicas to catch up, or lower min.insync.replicas"
        case .topicAuthorizationFailed, .clusterAuthorizationFailed, .groupAuthorizationFailed:
            "ask for the permission"
        case .nonEmptyGroup: "stop its members first"
        case .groupSubscribedToTopic: "stop the members that read it first"
        case .groupIDNotFound: "list the groups that there are with dmq group list"
        case .offsetOutOfRange: "begin at the earliest or the latest offset"
        case .policyViolation: "see the broker's policy"
        case .unsupportedVersion: "use a newer broker"
        case .leaderNotAvailable, .notLeaderOrFollower: "try again when the partition has a leader"
        default: code.isRetriable ? "try again" : ""
        }
    }
}
