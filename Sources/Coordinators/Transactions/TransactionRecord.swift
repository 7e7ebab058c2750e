// Records of `__transaction_state`, as Kafka writes them: key version 0, value version 1 (0 is read too). A
// key without a value is a tombstone.

public import KafkaProtocol
internal import RecordFormat

/// A record of `__transaction_state`.
public enum TransactionRecord: CoordinatorRecord, Equatable {
    case state(Transaction)
    /// The transactional ID is forgotten.
    case forgotten(String)

    private static let keyVersion: Int16 = 0
    private static let valueVersion: Int16 = 1

    public func encoded() throws(ProtocolError) -> CoordinatorRecordBytes {
        switch self {
        case .forgotten(let id):
            return CoordinatorRecordBytes(
                key: try TransactionLogKey(transactionalID: id).encodedVersioned(Self.keyVersion), value: nil)
        case .state(let transaction):
            let value = TransactionLogValue(
                producerID: transaction.producerID, previousProducerID: transaction.previousProducerID,
                nextProducerID: transaction.nextProducerID, producerEpoch: transaction.producerEpoch,
                transactionTimeoutMilliseconds: transaction.timeoutMilliseconds,
                transactionStatus: transaction.state.rawValue,
                transactionPartitions: transaction.state == .empty
                    ? nil
                    : transaction.partitionsByTopic.map {
                        TransactionLogValue.PartitionsSchema(topic: $0.topic, partitionIDs: $0.partitions)
                    },
                transactionLastUpdateTimestampMilliseconds: transaction.updateTimestamp,
                transactionStartTimestampMilliseconds: transaction.startTimestamp,
                clientTransactionVersion: transaction.clientVersion)
            return CoordinatorRecordBytes(
                key: try TransactionLogKey(transactionalID: transaction.id).encodedVersioned(
                    Self.keyVersion), value: try value.encodedVersioned(Self.valueVersion))
        }
    }

    /// Reads a record of the log; nil for a kind or a state that is not served.
    ///
    /// - Throws: when a key of a kind that is known, or its value, cannot be read.
    public init?(key: RawSpan, value: RawSpan?) throws(ProtocolError) {
        guard try MessageReader.leadingVersion(of: key) == Self.keyVersion else { return nil }
        let id = try TransactionLogKey(decodingVersioned: key).transactionalID
        guard let value else {
            self = .forgotten(id)
            return
        }
        guard let transaction = Transaction(id, try TransactionLogValue(decodingVersioned: value)) else {
            return nil
        }
        self = .state(transaction)
    }
}
