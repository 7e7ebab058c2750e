internal import Base
internal import KafkaProtocol
internal import LogStorage
internal import RaftController
internal import RecordFormat
internal import SystemIO

/// DescribeLogDirs and AlterReplicaLogDirs: what the log directories hold, how much room they have, and moves
/// between them (KIP-113, KIP-827).
enum LogDirectoryHandlers {
    static let served = [
        ServedAPI(0...4) { (request: DescribeLogDirsRequest, context) in describe(request, context) },
        ServedAPI(0...2) { (request: AlterReplicaLogDirsRequest, context) in alter(request, context) },
    ]

    private typealias DirectoryAnswer = DescribeLogDirsResponse.DescribeLogDirsResult
    private typealias TopicAnswer = DescribeLogDirsResponse.DescribeLogDirsTopic
    private typealias PartitionAnswer = DescribeLogDirsResponse.DescribeLogDirsPartition

    /// A log as its lane sees it.
    private struct FoundReplica: Sendable {
        let partition: TopicPartition
        let directoryPath: String
        let byteCount: Int64
        /// Of a copy the records that it does not have yet.
        let offsetLag: Int64
        let isCopy: Bool
    }

    private static func describe(_ request: DescribeLogDirsRequest, _ context: RequestContext) {
        let wanted = request.topics.map { topics in
            Set(
                topics.flatMap { topic in
                    topic.partitions.map { TopicPartition(topic: topic.topic, partition: $0) }
                })
        }
        context.broker.gatherFromAll { broker in
            replicas(of: broker, wanted)
        } done: { answers in
            let byDirectory = Dictionary(grouping: answers.joined(), by: \.directoryPath)
            context.respond(
                DescribeLogDirsResponse(
                    results: context.node.configuration.directoryPaths.map {
                        describe($0, byDirectory[$0] ?? [], context)
                    }))
        }
    }

    private static func replicas(
        of broker: BrokerLane, _ wanted: Set<TopicPartition>?
    ) -> [FoundReplica] {
        broker.logs.all.flatMap { (log) -> [FoundReplica] in
            // The metadata's own log is no replica of a topic.
            guard log.partition != MetadataLog.partition, wanted?.contains(log.partition) ?? true else {
                return []
            }
            var found = [
                FoundReplica(
                    partition: log.partition, directoryPath: log.directory.path, byteCount: log.byteCount,
                    offsetLag: max(log.highWatermark.rawValue - log.logEndOffset.rawValue, 0), isCopy: false)
            ]
            if let move = broker.logs.move(of: log.partition) {
                found.append(
                    FoundReplica(
                        partition: log.partition, directoryPath: move.targetPath,
                        byteCount: move.future.byteCount, offsetLag: move.lag, isCopy: true))
            }
            return found
        }
    }

    private static func describe(
        _ path: String, _ replicas: [FoundReplica], _ context: RequestContext
    ) -> DirectoryAnswer {
        // One that could not be opened at the start is not in the store.
        guard
            let opened = context.broker.logs.store.directories.first(where: { $0.directory.path == path }),
            opened.directory.failure == nil
        else { return refuse(path, "it is offline", context) }
        let space: VolumeSpace
        do {
            space = try opened.directory.fileSystem.space(at: path)
        } catch {
            return refuse(path, "\(error)", context)
        }
        let byTopic = Dictionary(grouping: replicas, by: \.partition.topic)
        return DirectoryAnswer(
            logDir: path,
            topics: byTopic.sorted { $0.key < $1.key }.map { topic, replicas in
                TopicAnswer(
                    name: topic,
                    partitions: replicas.sorted { $0.partition.partition < $1.partition.partition }.map {
                        PartitionAnswer(
                            partitionIndex: $0.partition.partition, partitionSize: $0.byteCount,
                            offsetLag: $0.offsetLag, isFutureKey: $0.isCopy)
                    })
            }, totalBytes: space.total, usableBytes: space.available)
    }

    // MARK: Moving

    private struct Wish: Sendable {
        let partition: TopicPartition
        let path: String
    }

    private typealias TopicResult = AlterReplicaLogDirsResponse.AlterReplicaLogDirTopicResult
    private typealias PartitionResult = AlterReplicaLogDirsResponse.AlterReplicaLogDirPartitionResult

    private static func alter(_ request: AlterReplicaLogDirsRequest, _ context: RequestContext) {
        // Of several wishes for one partition the last holds, as in Kafka.
        var paths: [TopicPartition: String] = [:]
        for directory in request.dirs {
            for topic in directory.topics {
                for number in topic.partitions {
                    paths[TopicPartition(topic: topic.name, partition: number)] = directory.path
                }
            }
        }
        let wishes = paths.map { Wish(partition: $0.key, path: $0.value) }
            .sorted {
                ($0.partition.topic, $0.partition.partition) < ($1.partition.topic, $1.partition.partition)
            }
        context.broker.gather(wishes, partition: { $0.partition }, lost: ErrorCode.replicaNotAvailable) {
            broker, wish in
            guard wish.partition != MetadataLog.partition else { return .replicaNotAvailable }
            return broker.mover?.move(wish.partition, to: wish.path) ?? .replicaNotAvailable
        } done: { errors in
            answer(wishes, errors, context)
        }
    }

    private static func answer(_ wishes: [Wish], _ errors: [ErrorCode], _ context: RequestContext) {
        var results: [TopicResult] = []
        for (wish, error) in zip(wishes, errors) {
            if error != .none {
                context.logRefusal("replica not moved") {
                    [
                        LogField("partition", wish.partition), LogField("to", wish.path),
                        LogField("error", error), LogField("reason", error.message),
                    ]
                }
            }
            let result = PartitionResult(partitionIndex: wish.partition.partition, errorCode: error)
            if results.last?.topicName == wish.partition.topic {
                results[results.count - 1].partitions.append(result)
            } else {
                results.append(TopicResult(topicName: wish.partition.topic, partitions: [result]))
            }
        }
        context.respond(AlterReplicaLogDirsResponse(results: results))
    }

    private static func refuse(
        _ path: String, _ reason: String, _ context: RequestContext
    ) -> DirectoryAnswer {
        context.logRefusal("log directory not described") {
            [
                LogField("path", path), LogField("error", ErrorCode.kafkaStorageError),
                LogField("reason", reason),
            ]
        }
        return DirectoryAnswer(errorCode: .kafkaStorageError, logDir: path)
    }
}
