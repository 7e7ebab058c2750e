internal import KafkaProtocol
internal import LogStorage
internal import RecordFormat
internal import Replication

/// The one place where operating errors become codes of the protocol.
enum ErrorMapping {
    static func code(_ error: ReplicaError) -> ErrorCode {
        switch error {
        case .unknownPartition: .unknownTopicOrPartition
        case .offline: .kafkaStorageError
        case .fencedLeaderEpoch: .fencedLeaderEpoch
        case .unknownLeaderEpoch: .unknownLeaderEpoch
        case .notEnoughReplicas: .notEnoughReplicas
        case .notLeader: .notLeaderOrFollower
        case .log(_, let error): code(error)
        }
    }

    static func code(_ error: LogError) -> ErrorCode {
        switch error {
        case .io, .directoryOffline, .noSpace, .tooManyOpenFiles, .stateFile: .kafkaStorageError
        case .offsetOutOfRange: .offsetOutOfRange
        case .batch(let error, _): code(error)
        case .batchTooLarge: .messageTooLarge
        case .appendTooLarge: .recordListTooLarge
        case .emptyAppend, .moreThanOneBatch, .controlBatchFromClient: .invalidRecord
        case .timestampOutOfRange: .invalidTimestamp
        case .producer(let error): code(error)
        case .unexpectedOffset: .unknownServerError
        case .corrupt: .corruptMessage
        case .closed: .notLeaderOrFollower
        }
    }

    static func code(_ error: RecordBatchError) -> ErrorCode {
        switch error {
        case .truncated, .invalidLength, .trailingBytes, .checksumMismatch, .decompressionFailed:
            .corruptMessage
        case .unsupportedMagic: .unsupportedForMessageFormat
        case .unknownCodec: .unsupportedCompressionType
        case .decompressedTooLarge: .messageTooLarge
        case .invalidBaseOffset, .negativeRecordCount, .negativeLastOffsetDelta, .recordCountMismatch,
            .refusedFromProducer, .malformedRecord, .bytesAfterRecords:
            .invalidRecord
        }
    }

    static func code(_ error: ProducerStateError) -> ErrorCode {
        switch error {
        case .outOfOrderSequence: .outOfOrderSequenceNumber
        case .missingSequence: .invalidRecord
        case .fencedEpoch: .invalidProducerEpoch
        case .staleCoordinatorEpoch: .transactionCoordinatorFenced
        case .invalidTransactionState, .unverifiedTransaction: .invalidTxnState
        }
    }

    /// The record within its batch that is to blame (KIP-467), and why.
    static func recordError(_ error: ReplicaError) -> (index: Int32, message: String)? {
        guard case .log(_, .batch(.malformedRecord(let index, let reason), _)) = error else { return nil }
        return (Int32(clamping: index), "\(reason)")
    }

    /// Whether the broker is to blame rather than the client: worth a line in the log at a higher level.
    static func isBrokersFault(_ code: ErrorCode) -> Bool {
        code == .kafkaStorageError || code == .unknownServerError
    }
}
