internal import Base
internal import KafkaProtocol
internal import LogStorage
internal import RecordFormat
internal import Replication

/// ListOffsets, OffsetForLeaderEpoch and DeleteRecords: where logs begin, end and change.
enum OffsetHandlers {
    static let served = [
        ServedAPI(1...10) { (request: ListOffsetsRequest, context) in listOffsets(request, context) },
        ServedAPI(2...4) { (request: OffsetForLeaderEpochRequest, context) in
            endOfEpoch(request, context)
        },
        ServedAPI(0...2) { (request: DeleteRecordsRequest, context) in deleteRecords(request, context) },
    ]

    // MARK: ListOffsets

    /// Times that stand for a place in the log.
    private enum Special {
        static let latest: Int64 = -1
        static let earliest: Int64 = -2
        static let largestTimestamp: Int64 = -3
        static let earliestLocal: Int64 = -4
        static let latestTiered: Int64 = -5
    }

    private struct Question: Sendable {
        let partition: TopicPartition
        let epoch: LeaderEpoch
        let timestamp: Int64
        let isCommitted: Bool
        /// The partition is named before, which Kafka refuses: each look-up may read from the disk.
        let isTwin: Bool
    }

    private typealias ListAnswer = ListOffsetsResponse.ListOffsetsPartitionResponse

    private static func listOffsets(_ request: ListOffsetsRequest, _ context: RequestContext) {
        var known: Set<TopicPartition> = []
        let questions = request.topics.flatMap { (topic) -> [Question] in
            topic.partitions.map {
                let partition = TopicPartition(topic: topic.name, partition: $0.partitionIndex)
                return Question(
                    partition: partition, epoch: $0.currentLeaderEpoch, timestamp: $0.timestamp,
                    isCommitted: request.isolationLevel == 1, isTwin: !known.insert(partition).inserted)
            }
        }
        context.broker.gather(
            questions, partition: { $0.partition }, lost: ListAnswer(errorCode: .notLeaderOrFollower)
        ) { broker, question in
            offset(question, broker)
        } done: { answers in
            note(answers.map(\.errorCode), "offsets not listed", context)
            var rest = answers[...]
            context.respond(
                ListOffsetsResponse(
                    topics: request.topics.map { topic in
                        ListOffsetsResponse.ListOffsetsTopicResponse(
                            name: topic.name,
                            partitions: topic.partitions.map { asked in
                                var answer = rest.removeFirst()
                                answer.partitionIndex = asked.partitionIndex
                                // Clients of these versions know no leader epochs.
                                if context.version < 4 { answer.leaderEpoch = .none }
                                return answer
                            })
                    }))
        }
    }

    private static func offset(_ question: Question, _ broker: BrokerLane) -> ListAnswer {
        if question.isTwin { return ListAnswer(errorCode: .invalidRequest) }
        do throws(ReplicaError) {
            let leader = try broker.replicas.leader(of: question.partition, leaderEpoch: question.epoch)
            do throws(LogError) {
                return try offset(question, leader)
            } catch {
                throw .log(question.partition, error)
            }
        } catch {
            return ListAnswer(errorCode: ErrorMapping.code(error))
        }
    }

    private static func offset(
        _ question: Question, _ leader: LeaderReplica
    ) throws(LogError) -> ListAnswer {
        let log = leader.log
        switch question.timestamp {
        case Special.latest:
            return ListAnswer(
                offset: question.isCommitted ? log.lastStableOffset : log.highWatermark,
                leaderEpoch: leader.leaderEpoch)
        case Special.earliest, Special.earliestLocal:
            return ListAnswer(
                offset: log.logStartOffset, leaderEpoch: log.leaderEpoch(at: log.logStartOffset) ?? .none)
        case Special.latestTiered: return ListAnswer()
        case Special.largestTimestamp: return answer(try log.offsetOfMaximumTimestamp(), log)
        case 0...:
            let limit: ReadLimit = question.isCommitted ? .lastStableOffset : .highWatermark
            return answer(
                try log.offset(forTimestamp: Timestamp(question.timestamp), limit: limit), log)
        default: return ListAnswer(errorCode: .invalidRequest)
        }
    }

    private static func answer(_ found: TimestampOffset?, _ log: PartitionLog) -> ListAnswer {
        guard let found else { return ListAnswer() }
        return ListAnswer(
            timestamp: found.timestamp.rawValue, offset: found.offset,
            leaderEpoch: log.leaderEpoch(at: found.offset) ?? .none)
    }

    // MARK: OffsetForLeaderEpoch

    private struct EpochQuestion: Sendable {
        let partition: TopicPartition
        let current: LeaderEpoch
        let asked: LeaderEpoch
    }

    private typealias EpochAnswer = OffsetForLeaderEpochResponse.EpochEndOffset

    private static func endOfEpoch(_ request: OffsetForLeaderEpochRequest, _ context: RequestContext) {
        let questions = request.topics.flatMap { (topic) -> [EpochQuestion] in
            topic.partitions.map {
                EpochQuestion(
                    partition: TopicPartition(topic: topic.topic, partition: $0.partition),
                    current: $0.currentLeaderEpoch, asked: $0.leaderEpoch)
            }
        }
        context.broker.gather(
            questions, partition: { $0.partition }, lost: EpochAnswer(errorCode: .notLeaderOrFollower)
        ) { broker, question in
            do throws(ReplicaError) {
                let leader = try broker.replicas.leader(
                    of: question.partition, leaderEpoch: question.current)
                guard let end = leader.log.endOffset(forLeaderEpoch: question.asked) else {
                    return EpochAnswer()
                }
                return EpochAnswer(leaderEpoch: end.epoch, endOffset: end.endOffset)
            } catch {
                return EpochAnswer(errorCode: ErrorMapping.code(error))
            }
        } done: { answers in
            note(answers.map(\.errorCode), "end of epoch not told", context)
            var rest = answers[...]
            context.respond(
                OffsetForLeaderEpochResponse(
                    topics: request.topics.map { topic in
                        OffsetForLeaderEpochResponse.OffsetForLeaderTopicResult(
                            topic: topic.topic,
                            partitions: topic.partitions.map { asked in
                                var answer = rest.removeFirst()
                                answer.partition = asked.partition
                                return answer
                            })
                    }))
        }
    }

    // MARK: DeleteRecords

    private struct Deletion: Sendable {
        let partition: TopicPartition
        let offset: Offset
    }

    private typealias DeletionAnswer = DeleteRecordsResponse.DeleteRecordsPartitionResult

    private static func deleteRecords(_ request: DeleteRecordsRequest, _ context: RequestContext) {
        let deletions = request.topics.flatMap { (topic) -> [Deletion] in
            topic.partitions.map {
                Deletion(
                    partition: TopicPartition(topic: topic.name, partition: $0.partitionIndex),
                    offset: $0.offset)
            }
        }
        context.broker.gather(
            deletions, partition: { $0.partition },
            lost: DeletionAnswer(lowWatermark: -1, errorCode: .notLeaderOrFollower)
        ) { broker, deletion in
            delete(deletion, broker)
        } done: { answers in
            note(answers.map(\.errorCode), "records not deleted", context)
            var rest = answers[...]
            context.respond(
                DeleteRecordsResponse(
                    topics: request.topics.map { topic in
                        DeleteRecordsResponse.DeleteRecordsTopicResult(
                            name: topic.name,
                            partitions: topic.partitions.map { asked in
                                var answer = rest.removeFirst()
                                answer.partitionIndex = asked.partitionIndex
                                return answer
                            })
                    }))
        }
    }

    private static func delete(_ deletion: Deletion, _ broker: BrokerLane) -> DeletionAnswer {
        do throws(ReplicaError) {
            let leader = try broker.replicas.leader(of: deletion.partition)
            // What compaction keeps is not the clients' to delete.
            guard leader.log.configuration.cleanupPolicy.contains(.delete) else {
                return DeletionAnswer(lowWatermark: -1, errorCode: .policyViolation)
            }
            // -1 stands for the high watermark.
            guard deletion.offset >= Offset(-1) else {
                return DeletionAnswer(lowWatermark: -1, errorCode: .offsetOutOfRange)
            }
            let start = try leader.deleteRecords(
                before: deletion.offset == Offset(-1) ? nil : deletion.offset)
            return DeletionAnswer(lowWatermark: start.rawValue)
        } catch {
            return DeletionAnswer(lowWatermark: -1, errorCode: ErrorMapping.code(error))
        }
    }

    // MARK: The log

    private static func note(_ errors: [ErrorCode], _ event: StaticString, _ context: RequestContext) {
        guard let error = errors.first(where: { $0 != .none }) else { return }
        context.logRefusal(event) {
            [LogField("error", error), LogField("reason", error.message)]
        }
    }
}
