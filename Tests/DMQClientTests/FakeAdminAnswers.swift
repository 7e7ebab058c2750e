import KafkaProtocol
import RecordFormat

/// What the fake broker answers to admin calls.
struct FakeAdminAnswers {
    private let base: FakeAnswers

    init(_ base: FakeAnswers) { self.base = base }

    func answer(_ api: APIKey) throws -> [UInt8] {
        switch api {
        case .createTopics: return try create(base.decoded(CreateTopicsRequest.self))
        case .deleteTopics: return try delete(base.decoded(DeleteTopicsRequest.self))
        case .createPartitions: return try grow(base.decoded(CreatePartitionsRequest.self))
        case .describeConfigs: return try describe(base.decoded(DescribeConfigsRequest.self))
        case .incrementalAlterConfigs: return try alter(base.decoded(IncrementalAlterConfigsRequest.self))
        case .deleteRecords: return try deleteRecords(base.decoded(DeleteRecordsRequest.self))
        case .describeCluster:
            return try base.encoded(
                DescribeClusterResponse(
                    endpointType: 1, clusterID: "fake", controllerID: 1,
                    brokers: [
                        DescribeClusterResponse.DescribeClusterBroker(
                            brokerID: 1, host: "127.0.0.1", port: Int32(base.broker.port))
                    ]))
        case .describeLogDirs:
            return try base.encoded(
                DescribeLogDirsResponse(results: [
                    DescribeLogDirsResponse.DescribeLogDirsResult(
                        logDir: "/data", totalBytes: 100, usableBytes: 40)
                ]))
        default: throw UnexpectedRequest(api: api)
        }
    }

    private struct UnexpectedRequest: Error { let api: APIKey }

    private func create(_ request: CreateTopicsRequest) throws -> [UInt8] {
        let results = base.broker.state.withLock { state in
            request.topics.map { topic in
                if let refusal = base.refusal {
                    return CreateTopicsResponse.CreatableTopicResult(name: topic.name, errorCode: refusal)
                }
                if state.topics[topic.name] != nil {
                    return CreateTopicsResponse.CreatableTopicResult(
                        name: topic.name, errorCode: .topicAlreadyExists, errorMessage: "It is there.")
                }
                let count = topic.numPartitions < 0 ? 1 : Int(topic.numPartitions)
                state.topics[topic.name] = Array(repeating: FakeBroker.Log(), count: count)
                state.ids[topic.name] = TopicID(UniqueID(high: 7, low: UInt64(state.ids.count + 1)))
                return CreateTopicsResponse.CreatableTopicResult(
                    name: topic.name, topicID: state.ids[topic.name] ?? .none, errorCode: .none,
                    numPartitions: Int32(count), replicationFactor: 1)
            }
        }
        return try base.encoded(CreateTopicsResponse(topics: results))
    }

    private func delete(_ request: DeleteTopicsRequest) throws -> [UInt8] {
        let names = request.topicNames + request.topics.compactMap(\.name)
        let results = base.broker.state.withLock { state in
            names.map { name in
                let isKnown = state.topics.removeValue(forKey: name) != nil
                return DeleteTopicsResponse.DeletableTopicResult(
                    name: name, topicID: state.ids[name] ?? .none,
                    errorCode: isKnown ? .none : .unknownTopicOrPartition)
            }
        }
        return try base.encoded(DeleteTopicsResponse(responses: results))
    }

    private func grow(_ request: CreatePartitionsRequest) throws -> [UInt8] {
        let results = base.broker.state.withLock { state in
            request.topics.map { topic in
                let have = state.topics[topic.name]?.count ?? 0
                if Int(topic.count) <= have {
                    return CreatePartitionsResponse.CreatePartitionsTopicResult(
                        name: topic.name, errorCode: .invalidPartitions)
                }
                while state.topics[topic.name]!.count < Int(topic.count) {
                    state.topics[topic.name]!.append(FakeBroker.Log())
                }
                return CreatePartitionsResponse.CreatePartitionsTopicResult(name: topic.name)
            }
        }
        return try base.encoded(CreatePartitionsResponse(results: results))
    }

    private func describe(_ request: DescribeConfigsRequest) throws -> [UInt8] {
        let results = base.broker.state.withLock { state in
            request.resources.map { resource in
                let known = state.settings[resource.resourceName] ?? [:]
                return DescribeConfigsResponse.DescribeConfigsResult(
                    resourceType: resource.resourceType, resourceName: resource.resourceName,
                    configs: known.sorted { $0.key < $1.key }.map {
                        DescribeConfigsResponse.DescribeConfigsResourceResult(
                            name: $0.key, value: $0.value, configSource: 1)
                    })
            }
        }
        return try base.encoded(DescribeConfigsResponse(results: results))
    }

    private func alter(_ request: IncrementalAlterConfigsRequest) throws -> [UInt8] {
        let results = base.broker.state.withLock { state in
            request.resources.map { resource in
                for config in resource.configs {
                    state.settings[resource.resourceName, default: [:]][config.name] =
                        config.configOperation == 0 ? config.value : nil
                }
                return IncrementalAlterConfigsResponse.AlterConfigsResourceResponse(
                    resourceType: resource.resourceType, resourceName: resource.resourceName)
            }
        }
        return try base.encoded(IncrementalAlterConfigsResponse(responses: results))
    }

    private func deleteRecords(_ request: DeleteRecordsRequest) throws -> [UInt8] {
        try base.encoded(
            DeleteRecordsResponse(
                topics: request.topics.map { topic in
                    DeleteRecordsResponse.DeleteRecordsTopicResult(
                        name: topic.name,
                        partitions: topic.partitions.map {
                            DeleteRecordsResponse.DeleteRecordsPartitionResult(
                                partitionIndex: $0.partitionIndex, lowWatermark: $0.offset.rawValue)
                        })
                }))
    }
}
