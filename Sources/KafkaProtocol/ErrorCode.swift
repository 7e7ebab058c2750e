/// A result code of the protocol. Codes that this code does not know are kept as they are.
public struct ErrorCode: RawRepresentable, Hashable, Sendable {
    public let rawValue: Int16

    @inlinable public init(rawValue: Int16) { self.rawValue = rawValue }
    @inlinable public init(_ value: Int16) { rawValue = value }
}

extension ErrorCode: CustomStringConvertible {
    /// Kafka's name for it, such as "NOT_LEADER_OR_FOLLOWER"; the number for codes that are not known.
    public var name: String { ErrorCodeTable.entry(self)?.name ?? String(rawValue) }

    /// What it means, in a sentence.
    public var message: String { ErrorCodeTable.entry(self)?.message ?? "An error that is not known here." }

    /// Whether the same request may succeed later, perhaps after fresh metadata.
    public var isRetriable: Bool { ErrorCodeTable.entry(self)?.isRetriable ?? false }

    /// All codes that have a name.
    public static var known: [ErrorCode] { ErrorCodeTable.entries.map(\.code) }

    public var description: String { name }
}

extension ErrorCode {
    @inlinable public static var unknownServerError: ErrorCode { ErrorCode(-1) }
    @inlinable public static var none: ErrorCode { ErrorCode(0) }
    @inlinable public static var offsetOutOfRange: ErrorCode { ErrorCode(1) }
    @inlinable public static var corruptMessage: ErrorCode { ErrorCode(2) }
    @inlinable public static var unknownTopicOrPartition: ErrorCode { ErrorCode(3) }
    @inlinable public static var invalidFetchSize: ErrorCode { ErrorCode(4) }
    @inlinable public static var leaderNotAvailable: ErrorCode { ErrorCode(5) }
    @inlinable public static var notLeaderOrFollower: ErrorCode { ErrorCode(6) }
    @inlinable public static var requestTimedOut: ErrorCode { ErrorCode(7) }
    @inlinable public static var brokerNotAvailable: ErrorCode { ErrorCode(8) }
    @inlinable public static var replicaNotAvailable: ErrorCode { ErrorCode(9) }
    @inlinable public static var messageTooLarge: ErrorCode { ErrorCode(10) }
    @inlinable public static var staleControllerEpoch: ErrorCode { ErrorCode(11) }
    @inlinable public static var offsetMetadataTooLarge: ErrorCode { ErrorCode(12) }
    @inlinable public static var networkException: ErrorCode { ErrorCode(13) }
    @inlinable public static var coordinatorLoadInProgress: ErrorCode { ErrorCode(14) }
    @inlinable public static var coordinatorNotAvailable: ErrorCode { ErrorCode(15) }
    @inlinable public static var notCoordinator: ErrorCode { ErrorCode(16) }
    @inlinable public static var invalidTopicException: ErrorCode { ErrorCode(17) }
    @inlinable public static var recordListTooLarge: ErrorCode { ErrorCode(18) }
    @inlinable public static var notEnoughReplicas: ErrorCode { ErrorCode(19) }
    @inlinable public static var notEnoughReplicasAfterAppend: ErrorCode { ErrorCode(20) }
    @inlinable public static var invalidRequiredAcks: ErrorCode { ErrorCode(21) }
    @inlinable public static var illegalGeneration: ErrorCode { ErrorCode(22) }
    @inlinable public static var inconsistentGroupProtocol: ErrorCode { ErrorCode(23) }
    @inlinable public static var invalidGroupID: ErrorCode { ErrorCode(24) }
    @inlinable public static var unknownMemberID: ErrorCode { ErrorCode(25) }
    @inlinable public static var invalidSessionTimeout: ErrorCode { ErrorCode(26) }
    @inlinable public static var rebalanceInProgress: ErrorCode { ErrorCode(27) }
    @inlinable public static var invalidCommitOffsetSize: ErrorCode { ErrorCode(28) }
    @inlinable public static var topicAuthorizationFailed: ErrorCode { ErrorCode(29) }
    @inlinable public static var groupAuthorizationFailed: ErrorCode { ErrorCode(30) }
    @inlinable public static var clusterAuthorizationFailed: ErrorCode { ErrorCode(31) }
    @inlinable public static var invalidTimestamp: ErrorCode { ErrorCode(32) }
    @inlinable public static var unsupportedSaslMechanism: ErrorCode { ErrorCode(33) }
    @inlinable public static var illegalSaslState: ErrorCode { ErrorCode(34) }
    @inlinable public static var unsupportedVersion: ErrorCode { ErrorCode(35) }
    @inlinable public static var topicAlreadyExists: ErrorCode { ErrorCode(36) }
    @inlinable public static var invalidPartitions: ErrorCode { ErrorCode(37) }
    @inlinable public static var invalidReplicationFactor: ErrorCode { ErrorCode(38) }
    @inlinable public static var invalidReplicaAssignment: ErrorCode { ErrorCode(39) }
    @inlinable public static var invalidConfig: ErrorCode { ErrorCode(40) }
    @inlinable public static var notController: ErrorCode { ErrorCode(41) }
    @inlinable public static var invalidRequest: ErrorCode { ErrorCode(42) }
    @inlinable public static var unsupportedForMessageFormat: ErrorCode { ErrorCode(43) }
    @inlinable public static var policyViolation: ErrorCode { ErrorCode(44) }
    @inlinable public static var outOfOrderSequenceNumber: ErrorCode { ErrorCode(45) }
    @inlinable public static var duplicateSequenceNumber: ErrorCode { ErrorCode(46) }
    @inlinable public static var invalidProducerEpoch: ErrorCode { ErrorCode(47) }
    @inlinable public static var invalidTxnState: ErrorCode { ErrorCode(48) }
    @inlinable public static var invalidProducerIDMapping: ErrorCode { ErrorCode(49) }
    @inlinable public static var invalidTransactionTimeout: ErrorCode { ErrorCode(50) }
    @inlinable public static var concurrentTransactions: ErrorCode { ErrorCode(51) }
    @inlinable public static var transactionCoordinatorFenced: ErrorCode { ErrorCode(52) }
    @inlinable public static var transactionalIDAuthorizationFailed: ErrorCode { ErrorCode(53) }
    @inlinable public static var securityDisabled: ErrorCode { ErrorCode(54) }
    @inlinable public static var operationNotAttempted: ErrorCode { ErrorCode(55) }
    @inlinable public static var kafkaStorageError: ErrorCode { ErrorCode(56) }
    @inlinable public static var logDirNotFound: ErrorCode { ErrorCode(57) }
    @inlinable public static var saslAuthenticationFailed: ErrorCode { ErrorCode(58) }
    @inlinable public static var unknownProducerID: ErrorCode { ErrorCode(59) }
    @inlinable public static var reassignmentInProgress: ErrorCode { ErrorCode(60) }
    @inlinable public static var delegationTokenAuthDisabled: ErrorCode { ErrorCode(61) }
    @inlinable public static var delegationTokenNotFound: ErrorCode { ErrorCode(62) }
    @inlinable public static var delegationTokenOwnerMismatch: ErrorCode { ErrorCode(63) }
    @inlinable public static var delegationTokenRequestNotAllowed: ErrorCode { ErrorCode(64) }
    @inlinable public static var delegationTokenAuthorizationFailed: ErrorCode { ErrorCode(65) }
    @inlinable public static var delegationTokenExpired: ErrorCode { ErrorCode(66) }
    @inlinable public static var invalidPrincipalType: ErrorCode { ErrorCode(67) }
    @inlinable public static var nonEmptyGroup: ErrorCode { ErrorCode(68) }
    @inlinable public static var groupIDNotFound: ErrorCode { ErrorCode(69) }
    @inlinable public static var fetchSessionIDNotFound: ErrorCode { ErrorCode(70) }
    @inlinable public static var invalidFetchSessionEpoch: ErrorCode { ErrorCode(71) }
    @inlinable public static var listenerNotFound: ErrorCode { ErrorCode(72) }
    @inlinable public static var topicDeletionDisabled: ErrorCode { ErrorCode(73) }
    @inlinable public static var fencedLeaderEpoch: ErrorCode { ErrorCode(74) }
    @inlinable public static var unknownLeaderEpoch: ErrorCode { ErrorCode(75) }
    @inlinable public static var unsupportedCompressionType: ErrorCode { ErrorCode(76) }
    @inlinable public static var staleBrokerEpoch: ErrorCode { ErrorCode(77) }
    @inlinable public static var offsetNotAvailable: ErrorCode { ErrorCode(78) }
    @inlinable public static var memberIDRequired: ErrorCode { ErrorCode(79) }
    @inlinable public static var preferredLeaderNotAvailable: ErrorCode { ErrorCode(80) }
    @inlinable public static var groupMaxSizeReached: ErrorCode { ErrorCode(81) }
    @inlinable public static var fencedInstanceID: ErrorCode { ErrorCode(82) }
    @inlinable public static var eligibleLeadersNotAvailable: ErrorCode { ErrorCode(83) }
    @inlinable public static var electionNotNeeded: ErrorCode { ErrorCode(84) }
    @inlinable public static var noReassignmentInProgress: ErrorCode { ErrorCode(85) }
    @inlinable public static var groupSubscribedToTopic: ErrorCode { ErrorCode(86) }
    @inlinable public static var invalidRecord: ErrorCode { ErrorCode(87) }
    @inlinable public static var unstableOffsetCommit: ErrorCode { ErrorCode(88) }
    @inlinable public static var throttlingQuotaExceeded: ErrorCode { ErrorCode(89) }
    @inlinable public static var producerFenced: ErrorCode { ErrorCode(90) }
    @inlinable public static var resourceNotFound: ErrorCode { ErrorCode(91) }
    @inlinable public static var duplicateResource: ErrorCode { ErrorCode(92) }
    @inlinable public static var unacceptableCredential: ErrorCode { ErrorCode(93) }
    @inlinable public static var inconsistentVoterSet: ErrorCode { ErrorCode(94) }
    @inlinable public static var invalidUpdateVersion: ErrorCode { ErrorCode(95) }
    @inlinable public static var featureUpdateFailed: ErrorCode { ErrorCode(96) }
    @inlinable public static var principalDeserializationFailure: ErrorCode { ErrorCode(97) }
    @inlinable public static var snapshotNotFound: ErrorCode { ErrorCode(98) }
    @inlinable public static var positionOutOfRange: ErrorCode { ErrorCode(99) }
    @inlinable public static var unknownTopicID: ErrorCode { ErrorCode(100) }
    @inlinable public static var duplicateBrokerRegistration: ErrorCode { ErrorCode(101) }
    @inlinable public static var brokerIDNotRegistered: ErrorCode { ErrorCode(102) }
    @inlinable public static var inconsistentTopicID: ErrorCode { ErrorCode(103) }
    @inlinable public static var inconsistentClusterID: ErrorCode { ErrorCode(104) }
    @inlinable public static var transactionalIDNotFound: ErrorCode { ErrorCode(105) }
    @inlinable public static var fetchSessionTopicIDError: ErrorCode { ErrorCode(106) }
    @inlinable public static var ineligibleReplica: ErrorCode { ErrorCode(107) }
    @inlinable public static var newLeaderElected: ErrorCode { ErrorCode(108) }
    @inlinable public static var offsetMovedToTieredStorage: ErrorCode { ErrorCode(109) }
    @inlinable public static var fencedMemberEpoch: ErrorCode { ErrorCode(110) }
    @inlinable public static var unreleasedInstanceID: ErrorCode { ErrorCode(111) }
    @inlinable public static var unsupportedAssignor: ErrorCode { ErrorCode(112) }
    @inlinable public static var staleMemberEpoch: ErrorCode { ErrorCode(113) }
    @inlinable public static var mismatchedEndpointType: ErrorCode { ErrorCode(114) }
    @inlinable public static var unsupportedEndpointType: ErrorCode { ErrorCode(115) }
    @inlinable public static var unknownControllerID: ErrorCode { ErrorCode(116) }
    @inlinable public static var unknownSubscriptionID: ErrorCode { ErrorCode(117) }
    @inlinable public static var telemetryTooLarge: ErrorCode { ErrorCode(118) }
    @inlinable public static var invalidRegistration: ErrorCode { ErrorCode(119) }
    @inlinable public static var transactionAbortable: ErrorCode { ErrorCode(120) }
    @inlinable public static var invalidRecordState: ErrorCode { ErrorCode(121) }
    @inlinable public static var shareSessionNotFound: ErrorCode { ErrorCode(122) }
    @inlinable public static var invalidShareSessionEpoch: ErrorCode { ErrorCode(123) }
    @inlinable public static var fencedStateEpoch: ErrorCode { ErrorCode(124) }
    @inlinable public static var invalidVoterKey: ErrorCode { ErrorCode(125) }
    @inlinable public static var duplicateVoter: ErrorCode { ErrorCode(126) }
    @inlinable public static var voterNotFound: ErrorCode { ErrorCode(127) }
    @inlinable public static var invalidRegularExpression: ErrorCode { ErrorCode(128) }
    @inlinable public static var rebootstrapRequired: ErrorCode { ErrorCode(129) }
    @inlinable public static var streamsInvalidTopology: ErrorCode { ErrorCode(130) }
    @inlinable public static var streamsInvalidTopologyEpoch: ErrorCode { ErrorCode(131) }
    @inlinable public static var streamsTopologyFenced: ErrorCode { ErrorCode(132) }
    @inlinable public static var shareSessionLimitReached: ErrorCode { ErrorCode(133) }
}
