internal import Base
internal import KafkaProtocol
internal import LogStorage
internal import RaftController
internal import RecordFormat
internal import SystemIO

/// DescribeLogDirs: what the log directories hold, and how much room they have (KIP-113, KIP-827).
enum LogDirectoryHandlers {
    static let served = [
        ServedAPI(0...4) { (request: DescribeLogDirsRequest, context) in describe(request, context) }
    ]

    private typealias DirectoryAnswer = DescribeLogDirsResponse.DescribeLogDirsResult
    private typealias TopicAnswer = DescribeLogDirsResponse.DescribeLogDirsTopic
    private typealias PartitionAnswer = DescribeLogDirsResponse.DescribeLogDirsPartition

    /// A log as its lane sees it.
    private struct FoundReplica: Sendable {
        let partition: TopicPartition
        let directoryPath: String
        let byteCount: Int64
        /// Records that readers may not see yet.
        let offsetLag: Int64
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
        broker.logs.all.compactMap { log in
            // The metadata's own log is no replica of a topic.
            guard log.partition != MetadataLog.partition, wanted?.contains(log.partition) ?? true else {
                return nil
            }
            return FoundReplica(
                partition: log.partition, directoryPath: log.directory.path, byteCount: log.byteCount,
                offsetLag: max(log.highWatermark.rawValue - log.logEndOffset.rawValue, 0))
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
                            offsetLag: $0.offsetLag)
                    })
            }, totalBytes: space.total, usableBytes: space.available)
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
