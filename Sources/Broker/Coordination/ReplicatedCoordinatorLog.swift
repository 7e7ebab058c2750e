internal import Base
internal import Coordinators
internal import LogStorage
internal import RecordFormat
internal import Replication
internal import SystemIO

/// What a coordinator writes to: the replica of its partition that this broker leads. On the lane that
/// owns the partition.
final class ReplicatedCoordinatorLog: CoordinatorLog, ProduceWaiter {
    let partition: TopicPartition
    private unowned let broker: BrokerLane
    private let codec: CompressionCodec
    private let compressor = Compressor()
    /// What was appended is committed, or lost.
    var finished: (ReplicaError?) -> Void = { _ in }
    /// How the transactions are confirmed that the next appends open.
    var verification = TransactionVerification.Requirement.none

    init(_ partition: TopicPartition, codec: CompressionCodec, broker: BrokerLane) {
        self.partition = partition
        self.codec = codec
        self.broker = broker
    }

    var highWatermark: Offset {
        do {
            return try broker.replicas.leader(of: partition).log.highWatermark
        } catch {
            return Offset(-1)
        }
    }

    func append(
        _ records: [CoordinatorRecordBytes], _ kind: CoordinatorBatchKind, at timestamp: Timestamp
    ) throws(CoordinatorLogError) -> Offset {
        var builder = RecordBatchBuilder(codec: codec)
        var markerVersion: Int16 = 0
        switch kind {
        case .plain: break
        case .transactional(let producer):
            builder.isTransactional = true
            builder.producerID = producer.id
            builder.producerEpoch = producer.epoch
        case .marker(let producer, let version):
            builder = RecordBatchBuilder(
                isTransactional: true, isControl: true, producerID: producer.id,
                producerEpoch: producer.epoch)
            markerVersion = version
        }
        for record in records {
            if let value = record.value {
                builder.append(timestamp: timestamp, key: record.key.span.bytes, value: value.span.bytes)
            } else {
                builder.append(timestamp: timestamp, key: record.key.span.bytes, value: nil)
            }
        }
        let batch: [UInt8]
        do {
            batch = try builder.finish(compressor: compressor)
        } catch {
            throw .tooLarge
        }
        do {
            let leader = try broker.replicas.leader(of: partition)
            let appended = try leader.append(
                BufferSlice(IOBuffer(copying: batch)), acks: .all, origin: .coordinator,
                terms: AppendTerms(verification: verification, markerVersion: markerVersion), waiter: self,
                part: 0)
            return appended.result.lastOffset + 1
        } catch {
            let mapped = ErrorMapping.coordinatorError(error)
            broker.logger.log(
                .warn, "records of a coordinator not appended",
                [LogField("partition", partition), LogField("reason", error)])
            throw mapped
        }
    }

    func appendFinished(part: Int, error: ReplicaError?) { finished(error) }
}

extension ErrorMapping {
    /// What a coordinator makes of a log that does not take its records.
    static func coordinatorError(_ error: ReplicaError) -> CoordinatorLogError {
        switch error {
        case .notEnoughReplicas, .log(_, .noSpace), .log(_, .tooManyOpenFiles): .unavailable
        case .log(_, .batchTooLarge), .log(_, .appendTooLarge): .tooLarge
        case .log(_, .producer(let error)): .refused(code(error))
        default: .notLeader
        }
    }
}
