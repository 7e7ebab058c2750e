internal import Coordinators
internal import KafkaProtocol
internal import LogStorage
internal import RecordFormat
internal import Replication
internal import SystemIO

extension BrokerLane {
    /// Writes the marker that ends a transaction to a partition of this lane.
    ///
    /// - Parameter reply: called once, on this lane, when all in-sync replicas have it.
    func writeMarker(
        _ end: TransactionEnd, to partition: TopicPartition, reply: @escaping (ErrorCode) -> Void
    ) {
        switch partition.topic {
        case GroupPartition.transactionsTopic: return reply(.invalidTopicException)
        case GroupPartition.offsetsTopic:
            // Whoever keeps the groups has to know what their offsets are from here on.
            groups.shards.submit(.endTransaction(end), partition: partition.partition) { response in
                if case .transactionEnded(let code) = response { reply(Self.markerCode(code)) }
            }
        default: MarkerAppend(reply).run(end, partition, self)
        }
    }

    /// The coordinator of groups is not what was asked for.
    private static func markerCode(_ code: ErrorCode) -> ErrorCode {
        code == .notCoordinator ? .notLeaderOrFollower : code
    }
}

/// The append of one marker.
private final class MarkerAppend: ProduceWaiter {
    private let reply: (ErrorCode) -> Void

    init(_ reply: @escaping (ErrorCode) -> Void) { self.reply = reply }

    func run(_ end: TransactionEnd, _ partition: TopicPartition, _ broker: BrokerLane) {
        let record = end.record
        var builder = RecordBatchBuilder(
            isTransactional: true, isControl: true, producerID: end.producer.id,
            producerEpoch: end.producer.epoch)
        let value = record.value ?? []
        builder.append(
            timestamp: Timestamp(broker.lane.timeSource.wallClockMilliseconds()),
            key: record.key.span.bytes, value: value.span.bytes)
        guard let batch = try? builder.finish(compressor: Compressor()) else {
            return reply(.unknownServerError)
        }
        do throws(ReplicaError) {
            let leader = try broker.replicas.leader(of: partition)
            let appended = try leader.append(
                BufferSlice(IOBuffer(copying: batch)), acks: .all, origin: .coordinator,
                terms: AppendTerms(markerVersion: end.transactionVersion), waiter: self, part: 0)
            if appended.isAcknowledged { reply(.none) }
        } catch {
            reply(ErrorMapping.code(error))
        }
    }

    func appendFinished(part: Int, error: ReplicaError?) { reply(error.map(ErrorMapping.code) ?? .none) }
}
