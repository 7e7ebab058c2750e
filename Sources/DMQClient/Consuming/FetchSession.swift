internal import KafkaProtocol
internal import RecordFormat

/// A broker's memory of what a consumer fetches (KIP-227): after the first request only what changed is said.
struct FetchSession {
    /// What the broker was told of a partition.
    struct Entry: Equatable {
        var offset: Offset
        var leaderEpoch: LeaderEpoch
        var topicID: TopicID
    }

    private(set) var id: Int32 = 0
    private var epoch: Int32 = 0
    private var told: [TopicPartition: Entry] = [:]

    /// The request for `wanted`, as short as the session allows.
    mutating func request(
        _ wanted: [TopicPartition: Entry], _ configuration: ConsumerConfiguration
    ) -> FetchRequest {
        let isFull = epoch == 0
        let said = isFull ? wanted : wanted.filter { told[$0.key] != $0.value }
        var topics: [String: FetchRequest.FetchTopic] = [:]
        for (partition, entry) in said.sorted(by: { $0.key.partition < $1.key.partition }) {
            topics[
                partition.topic,
                default: FetchRequest.FetchTopic(topic: partition.topic, topicID: entry.topicID)
            ].partitions.append(
                FetchRequest.FetchPartition(
                    partition: partition.partition, currentLeaderEpoch: entry.leaderEpoch,
                    fetchOffset: entry.offset, lastFetchedEpoch: .none, logStartOffset: Offset(-1),
                    partitionMaxBytes: Int32(clamping: configuration.partitionByteCount)))
        }
        var forgotten: [String: FetchRequest.ForgottenTopic] = [:]
        if !isFull {
            for (partition, entry) in told where wanted[partition] == nil {
                forgotten[
                    partition.topic,
                    default: FetchRequest.ForgottenTopic(topic: partition.topic, topicID: entry.topicID)
                ].partitions.append(partition.partition)
            }
        }
        told = wanted
        return FetchRequest(
            replicaID: -1, maxWaitMilliseconds: Int32(clamping: configuration.waitMilliseconds),
            minBytes: Int32(clamping: configuration.minimumByteCount),
            maxBytes: Int32(clamping: configuration.maximumByteCount),
            isolationLevel: configuration.isolation.rawValue, sessionID: id, sessionEpoch: epoch,
            topics: topics.values.sorted { $0.topic < $1.topic },
            forgottenTopicsData: forgotten.values.sorted { $0.topic < $1.topic }, rackID: "")
    }

    /// The answer to the last request came.
    mutating func answered(sessionID: Int32) {
        if sessionID == 0 { return reset() }
        id = sessionID
        epoch = epoch == .max ? 1 : epoch + 1
    }

    /// The broker has forgotten the session, or the answer did not come: the next request says everything.
    mutating func reset() {
        id = 0
        epoch = 0
        told = [:]
    }
}
