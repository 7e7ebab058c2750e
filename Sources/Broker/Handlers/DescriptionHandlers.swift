internal import Base
internal import ClusterMetadata
internal import KafkaProtocol
internal import LogStorage
internal import RecordFormat
internal import Replication

/// DescribeTopicPartitions and DescribeProducers: partitions page by page, and who writes to them.
enum DescriptionHandlers {
    static let served = [
        ServedAPI(0...0) { (request: DescribeTopicPartitionsRequest, context) in
            describePartitions(request, context)
        },
        ServedAPI(0...0) { (request: DescribeProducersRequest, context) in
            describeProducers(request, context)
        },
    ]

    // MARK: DescribeTopicPartitions

    /// Of one response, as in Kafka (`max.request.partition.size.limit`).
    private static let maximumPartitionCount = 2_000

    private typealias DescribedTopic = DescribeTopicPartitionsResponse.DescribeTopicPartitionsResponseTopic
    private typealias DescribedPartition =
        DescribeTopicPartitionsResponse.DescribeTopicPartitionsResponsePartition

    private static func describePartitions(
        _ request: DescribeTopicPartitionsRequest, _ context: RequestContext
    ) {
        if let cursor = request.cursor, cursor.partitionIndex < 0 {
            context.logRefusal("partitions not described") {
                [LogField("reason", "the cursor's partition is \(cursor.partitionIndex)")]
            }
            return context.respond(
                DescribeTopicPartitionsResponse(
                    topics: request.topics.map { DescribedTopic(errorCode: .invalidRequest, name: $0.name) }))
        }
        let topics = context.broker.metadata.topics
        var names = Set(request.topics.map(\.name)).sorted()
        if request.topics.isEmpty { names = topics.sortedByName.map(\.name) }
        if let cursor = request.cursor { names.removeAll { $0 < cursor.topicName } }
        var left = min(max(Int(request.responsePartitionLimit), 1), maximumPartitionCount)
        var response = DescribeTopicPartitionsResponse()
        for name in names {
            guard let topic = topics[name] else {
                // Listed whole, a topic that went between two pages is of no interest.
                if !request.topics.isEmpty {
                    response.topics.append(unknown(name))
                }
                continue
            }
            var first = 0
            if let cursor = request.cursor, cursor.topicName == name { first = Int(cursor.partitionIndex) }
            guard left > 0 else {
                response.nextCursor = .init(topicName: name, partitionIndex: Int32(clamping: first))
                break
            }
            let numbers = min(first, topic.partitions.count)..<min(first + left, topic.partitions.count)
            left -= numbers.count
            response.topics.append(describe(topic, numbers, context))
            if numbers.upperBound < topic.partitions.count {
                response.nextCursor = .init(
                    topicName: name, partitionIndex: Int32(numbers.upperBound))
                break
            }
        }
        context.respond(response)
    }

    private static func unknown(_ name: String) -> DescribedTopic {
        DescribedTopic(
            errorCode: LogLayout.isValidTopic(name) ? .unknownTopicOrPartition : .invalidTopicException,
            name: name)
    }

    private static func describe(
        _ topic: TopicImage, _ numbers: Range<Int>, _ context: RequestContext
    ) -> DescribedTopic {
        let brokers = context.broker.metadata.brokers
        return DescribedTopic(
            name: topic.name, topicID: topic.id, isInternal: InternalTopics.contains(topic.name),
            partitions: numbers.map { number in
                let partition = topic.partitions[number]
                return DescribedPartition(
                    errorCode: partition.leader < 0 ? .leaderNotAvailable : .none,
                    partitionIndex: Int32(number), leaderID: partition.leader,
                    leaderEpoch: partition.leaderEpoch, replicaNodes: partition.replicas,
                    inSyncReplicasNodes: partition.inSyncReplicas,
                    eligibleLeaderReplicas: partition.eligibleLeaders,
                    lastKnownEligibleLeaderReplicas: partition.lastKnownLeaders,
                    offlineReplicas: partition.replicas.filter { brokers[$0]?.isFenced ?? true })
            },
            topicAuthorizedOperations: MetadataHandler.Operations.onTopics)
    }

    // MARK: DescribeProducers

    private typealias DescribedProducers = DescribeProducersResponse.PartitionResponse

    private static func describeProducers(_ request: DescribeProducersRequest, _ context: RequestContext) {
        let partitions = request.topics.flatMap { topic in
            topic.partitionIndexes.map { TopicPartition(topic: topic.name, partition: $0) }
        }
        // Naming one a million times must not have its producers told a million times.
        var known: Set<TopicPartition> = []
        let questions = partitions.map { (partition: $0, isFirst: known.insert($0).inserted) }
        context.broker.gather(
            questions, partition: { $0.partition },
            lost: DescribedProducers(errorCode: .notLeaderOrFollower)
        ) { broker, question in
            question.isFirst
                ? producers(of: question.partition, broker)
                : DescribedProducers(
                    errorCode: .invalidRequest, errorMessage: "the partition is named more than once")
        } done: { answers in
            if let failed = answers.first(where: { $0.errorCode != .none }) {
                context.logRefusal("producers not described") { [LogField("error", failed.errorCode)] }
            }
            var rest = answers[...]
            context.respond(
                DescribeProducersResponse(
                    topics: request.topics.map { topic in
                        DescribeProducersResponse.TopicResponse(
                            name: topic.name,
                            partitions: topic.partitionIndexes.map { number in
                                var answer = rest.removeFirst()
                                answer.partitionIndex = number
                                return answer
                            })
                    }))
        }
    }

    private static func producers(of partition: TopicPartition, _ broker: BrokerLane) -> DescribedProducers {
        guard LogLayout.isValidTopic(partition.topic) else {
            return DescribedProducers(errorCode: .invalidTopicException)
        }
        do throws(ReplicaError) {
            let leader = try broker.replicas.leader(of: partition)
            return DescribedProducers(
                activeProducers: leader.log.producerEntries.map {
                    DescribeProducersResponse.ProducerState(
                        producerID: $0.producerID, producerEpoch: Int32($0.producerEpoch.rawValue),
                        lastSequence: $0.lastSequence.rawValue, lastTimestamp: $0.lastTimestamp.rawValue,
                        coordinatorEpoch: $0.coordinatorEpoch,
                        currentTxnStartOffset: $0.currentTransactionFirstOffset ?? Offset(-1))
                })
        } catch {
            let code = ErrorMapping.code(error)
            return DescribedProducers(errorCode: code, errorMessage: code.message)
        }
    }
}
