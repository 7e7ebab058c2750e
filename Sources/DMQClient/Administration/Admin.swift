internal import KafkaProtocol
public import RecordFormat
internal import Transport

/// Looks after topics, settings and brokers.
///
/// Calls about several things answer for each of them by itself; what is thrown concerns the whole call. What
/// may pass is tried again until `ClientConfiguration.apiMilliseconds` are over.
public struct Admin: Sendable {
    let client: Client

    public init(_ client: Client) { self.client = client }

    var milliseconds: Int32 { Int32(clamping: client.configuration.requestMilliseconds) }

    /// Sends a request and turns its answer into what the caller gets.
    func ask<Request: RequestMessage, Value: Sendable>(
        _ request: Request, to choice: BrokerChoice = .controller,
        versions: ClosedRange<Int16> = Request.versions,
        refusal: @escaping @Sendable (Request.Response, String) -> ClientError? = { _, _ in nil },
        _ read: @escaping @Sendable (Request.Response, String) -> Value
    ) async throws(ClientError) -> Value {
        try await client.perform { core, completion in
            core.call(request, to: choice, versions: versions, refusal: refusal) { result in
                switch result {
                case .success(let answer):
                    if let error = refusal(answer.body, answer.broker) {
                        completion(.failure(error))
                    } else {
                        completion(.success(read(answer.body, answer.broker)))
                    }
                case .failure(let error): completion(.failure(error))
                }
            }
        }
    }

    // MARK: Topics

    /// Makes topics.
    /// - Parameter onlyValidates: nothing is made, only checked.
    public func createTopics(
        _ topics: [NewTopic], onlyValidates: Bool = false
    ) async throws(ClientError) -> [String: Result<CreatedTopic, ClientError>] {
        let request = CreateTopicsRequest(
            topics: topics.map { topic in
                CreateTopicsRequest.CreatableTopic(
                    name: topic.name, numPartitions: topic.partitions ?? -1,
                    replicationFactor: topic.replicationFactor ?? -1,
                    configs: topic.settings.map {
                        CreateTopicsRequest.CreatableTopicConfig(name: $0.name, value: $0.value)
                    })
            },
            timeoutMilliseconds: milliseconds, validateOnly: onlyValidates)
        // Before version 4 brokers have no defaults for the number of partitions and replicas.
        let wantsDefaults = topics.contains { $0.partitions == nil || $0.replicationFactor == nil }
        let versions = (wantsDefaults ? 4 : 2)...CreateTopicsRequest.versions.upperBound
        return try await ask(request, versions: versions) { response, broker in
            Dictionary(
                response.topics.map { found in
                    if found.errorCode == .none {
                        return (
                            found.name,
                            .success(
                                CreatedTopic(
                                    name: found.name, id: found.topicID, partitions: found.numPartitions,
                                    replicationFactor: found.replicationFactor))
                        )
                    }
                    return (
                        found.name,
                        .failure(
                            .refused(
                                broker: broker, api: .createTopics, subject: "topic \(found.name)",
                                code: found.errorCode, message: found.errorMessage))
                    )
                }, uniquingKeysWith: { first, _ in first })
        }
    }

    /// Deletes topics with everything in them.
    public func deleteTopics(
        _ names: [String]
    ) async throws(ClientError) -> [String: Result<TopicID, ClientError>] {
        let request = DeleteTopicsRequest(
            topicNames: names, topics: names.map { DeleteTopicsRequest.DeleteTopicState(name: $0) },
            timeoutMilliseconds: milliseconds)
        return try await ask(request) { response, broker in
            Dictionary(
                response.responses.compactMap { found -> (String, Result<TopicID, ClientError>)? in
                    guard let name = found.name else { return nil }
                    if found.errorCode == .none { return (name, .success(found.topicID)) }
                    return (
                        name,
                        .failure(
                            .refused(
                                broker: broker, api: .deleteTopics, subject: "topic \(name)",
                                code: found.errorCode, message: found.errorMessage))
                    )
                }, uniquingKeysWith: { first, _ in first })
        }
    }

    /// Gives topics more partitions. Keys go to other partitions from then on.
    /// - Parameter counts: by topic, how many partitions there are to be.
    public func createPartitions(
        _ counts: [String: Int32], onlyValidates: Bool = false
    ) async throws(ClientError) -> [String: Result<Void, ClientError>] {
        let request = CreatePartitionsRequest(
            topics: counts.sorted { $0.key < $1.key }.map {
                CreatePartitionsRequest.CreatePartitionsTopic(name: $0, count: $1, assignments: nil)
            }, timeoutMilliseconds: milliseconds, validateOnly: onlyValidates)
        return try await ask(request) { response, broker in
            Dictionary(
                response.results.map { found in
                    (
                        found.name,
                        outcome(
                            .createPartitions, broker, "topic \(found.name)", found.errorCode,
                            found.errorMessage)
                    )
                }, uniquingKeysWith: { first, _ in first })
        }
    }

    /// All topics, or the named ones, by name. What a broker does not know is a failure of its own.
    /// - Parameter names: nil for all.
    public func describeTopics(
        _ names: [String]? = nil
    ) async throws(ClientError) -> [String: Result<TopicDescription, ClientError>] {
        let request = MetadataRequest(
            topics: names?.map { MetadataRequest.MetadataRequestTopic(name: $0) },
            allowAutoTopicCreation: false)
        let versions = 4...MetadataRequest.versions.upperBound
        return try await ask(request, to: .any, versions: versions) { response, broker in
            Dictionary(
                response.topics.compactMap {
                    topic -> (String, Result<TopicDescription, ClientError>)? in
                    guard let name = topic.name else { return nil }
                    if topic.errorCode == .none {
                        return (name, .success(TopicDescription(topic, name: name)))
                    }
                    return (
                        name,
                        .failure(
                            .refused(
                                broker: broker, api: .metadata, subject: "topic \(name)",
                                code: topic.errorCode, message: nil))
                    )
                }, uniquingKeysWith: { first, _ in first })
        }
    }

    /// Deletes the records before an offset of each partition.
    /// - Parameter offsets: -1 stands for the end.
    /// - Returns: by partition, the first offset that there is from now on.
    public func deleteRecords(
        _ offsets: [TopicPartition: Offset]
    ) async throws(ClientError) -> [TopicPartition: Result<Offset, ClientError>] {
        // Only leaders can: their brokers are asked one after the other.
        var results: [TopicPartition: Result<Offset, ClientError>] = [:]
        var byLeader: [Int32: [TopicPartition]] = [:]
        for partition in offsets.keys {
            let topic = try await client.topic(partition.topic)
            let described = topic.partitions.first { $0.partition == partition.partition }
            if let leader = described?.leader {
                byLeader[leader, default: []].append(partition)
            } else {
                results[partition] = .failure(
                    .unknownPartition(
                        topic: partition.topic, partition: partition.partition,
                        reason: described == nil
                            ? "it has \(topic.partitions.count) partitions" : "it has no leader"))
            }
        }
        for (leader, partitions) in byLeader {
            let found = try await deleteRecords(partitions, offsets, at: leader)
            results.merge(found) { _, new in new }
        }
        return results
    }

    private func deleteRecords(
        _ partitions: [TopicPartition], _ offsets: [TopicPartition: Offset], at leader: Int32
    ) async throws(ClientError) -> [TopicPartition: Result<Offset, ClientError>] {
        let byTopic = Dictionary(grouping: partitions, by: \.topic)
        let request = DeleteRecordsRequest(
            topics: byTopic.map { name, partitions in
                DeleteRecordsRequest.DeleteRecordsTopic(
                    name: name,
                    partitions: partitions.map {
                        DeleteRecordsRequest.DeleteRecordsPartition(
                            partitionIndex: $0.partition, offset: offsets[$0] ?? Offset(-1))
                    })
            }, timeoutMilliseconds: milliseconds)
        return try await ask(request, to: .node(leader)) { response, broker in
            var results: [TopicPartition: Result<Offset, ClientError>] = [:]
            for topic in response.topics {
                for found in topic.partitions {
                    let partition = TopicPartition(topic: topic.name, partition: found.partitionIndex)
                    results[partition] = outcome(
                        .deleteRecords, broker, "\(partition)", found.errorCode, nil
                    ).map { Offset(found.lowWatermark) }
                }
            }
            return results
        }
    }
}

/// What became of one thing.
func outcome(
    _ api: APIKey, _ broker: String, _ subject: String, _ code: ErrorCode, _ message: String?
) -> Result<Void, ClientError> {
    if code == .none { return .success(()) }
    return .failure(.refused(broker: broker, api: api, subject: subject, code: code, message: message))
}
