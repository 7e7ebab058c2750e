// This file is long because it is the table of all result codes.

/// Names and meanings of the result codes, by rising code without gaps.
enum ErrorCodeTable {
    /// A code with all that is known of it.
    struct Entry: Sendable {
        let code: ErrorCode
        let name: String
        let isRetriable: Bool
        let message: String
    }

    private static let firstCode: Int16 = -1

    static func entry(_ code: ErrorCode) -> Entry? {
        let index = Int(code.rawValue) - Int(firstCode)
        return entries.indices.contains(index) ? entries[index] : nil
    }

    private static func entry(_ code: ErrorCode, _ name: String, _ message: String) -> Entry {
        Entry(code: code, name: name, isRetriable: false, message: message)
    }

    private static func retriable(_ code: ErrorCode, _ name: String, _ message: String) -> Entry {
        Entry(code: code, name: name, isRetriable: true, message: message)
    }

    static let entries: [Entry] = [
        entry(.unknownServerError, "UNKNOWN_SERVER_ERROR", "The broker met an error that it did not expect."),
        entry(.none, "NONE", "No error."),
        entry(
            .offsetOutOfRange, "OFFSET_OUT_OF_RANGE",
            "The offset lies outside the offsets that the partition's log holds."),
        retriable(
            .corruptMessage, "CORRUPT_MESSAGE",
            "A batch is damaged: its checksum, its size or its form is wrong, or a compacted "
                + "topic got a record without a key."),
        retriable(
            .unknownTopicOrPartition, "UNKNOWN_TOPIC_OR_PARTITION",
            "This broker has no such topic or partition."),
        entry(.invalidFetchSize, "INVALID_FETCH_SIZE", "The number of bytes to fetch is not possible."),
        retriable(
            .leaderNotAvailable, "LEADER_NOT_AVAILABLE",
            "The partition has no leader at the moment: one is being elected."),
        retriable(
            .notLeaderOrFollower, "NOT_LEADER_OR_FOLLOWER",
            "This broker is not the partition's leader, or not one of its replicas where any "
                + "replica would do."),
        retriable(.requestTimedOut, "REQUEST_TIMED_OUT", "The time allowed for the request is over."),
        entry(.brokerNotAvailable, "BROKER_NOT_AVAILABLE", "The broker is not available."),
        retriable(
            .replicaNotAvailable, "REPLICA_NOT_AVAILABLE",
            "The replica is not available on this broker."),
        entry(
            .messageTooLarge, "MESSAGE_TOO_LARGE",
            "A batch is larger than the broker or the topic allows."),
        entry(
            .staleControllerEpoch, "STALE_CONTROLLER_EPOCH",
            "The controller's epoch is older than one seen before: another controller has taken over."),
        entry(
            .offsetMetadataTooLarge, "OFFSET_METADATA_TOO_LARGE",
            "The metadata that goes with a committed offset is longer than allowed."),
        retriable(
            .networkException, "NETWORK_EXCEPTION",
            "The connection was lost before the response came."),
        retriable(
            .coordinatorLoadInProgress, "COORDINATOR_LOAD_IN_PROGRESS",
            "The coordinator is still loading the state of its groups or transactions."),
        retriable(.coordinatorNotAvailable, "COORDINATOR_NOT_AVAILABLE", "The coordinator is not available."),
        retriable(
            .notCoordinator, "NOT_COORDINATOR",
            "This broker is not the coordinator of that group or transactional ID."),
        entry(
            .invalidTopicException, "INVALID_TOPIC_EXCEPTION",
            "The topic's name is not valid, or the operation is not allowed on such a topic."),
        entry(
            .recordListTooLarge, "RECORD_LIST_TOO_LARGE",
            "The batches of one partition together are larger than a segment may be."),
        retriable(
            .notEnoughReplicas, "NOT_ENOUGH_REPLICAS",
            "Fewer replicas are in sync than min.insync.replicas demands; nothing was written."),
        retriable(
            .notEnoughReplicasAfterAppend, "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
            "The records were written, but to fewer in-sync replicas than min.insync.replicas demands."),
        entry(.invalidRequiredAcks, "INVALID_REQUIRED_ACKS", "acks must be 0, 1 or -1 (all)."),
        entry(.illegalGeneration, "ILLEGAL_GENERATION", "The generation is not the group's present one."),
        entry(
            .inconsistentGroupProtocol, "INCONSISTENT_GROUP_PROTOCOL",
            "The member supports no protocol that the other members support, or another type of protocol."),
        entry(.invalidGroupID, "INVALID_GROUP_ID", "The group's ID is not valid."),
        entry(.unknownMemberID, "UNKNOWN_MEMBER_ID", "The group has no such member."),
        entry(
            .invalidSessionTimeout, "INVALID_SESSION_TIMEOUT",
            "The session time-out lies outside what the broker allows."),
        entry(
            .rebalanceInProgress, "REBALANCE_IN_PROGRESS",
            "The group is rebalancing; the member has to join again."),
        entry(
            .invalidCommitOffsetSize, "INVALID_COMMIT_OFFSET_SIZE",
            "The committed offset with its metadata is larger than allowed."),
        entry(
            .topicAuthorizationFailed, "TOPIC_AUTHORIZATION_FAILED",
            "The principal may not do this with the topic."),
        entry(
            .groupAuthorizationFailed, "GROUP_AUTHORIZATION_FAILED",
            "The principal may not do this with the group."),
        entry(
            .clusterAuthorizationFailed, "CLUSTER_AUTHORIZATION_FAILED",
            "The principal may not do this with the cluster."),
        entry(
            .invalidTimestamp, "INVALID_TIMESTAMP",
            "A record's timestamp is further from the broker's clock than the topic allows."),
        entry(
            .unsupportedSaslMechanism, "UNSUPPORTED_SASL_MECHANISM",
            "The broker does not offer this SASL mechanism."),
        entry(
            .illegalSaslState, "ILLEGAL_SASL_STATE",
            "The request does not fit the state of the SASL exchange."),
        entry(
            .unsupportedVersion, "UNSUPPORTED_VERSION",
            "The broker does not support this version of the API."),
        entry(.topicAlreadyExists, "TOPIC_ALREADY_EXISTS", "There is a topic of this name already."),
        entry(.invalidPartitions, "INVALID_PARTITIONS", "The number of partitions is not valid."),
        entry(
            .invalidReplicationFactor, "INVALID_REPLICATION_FACTOR",
            "The replication factor is below 1 or above the number of brokers."),
        entry(
            .invalidReplicaAssignment, "INVALID_REPLICA_ASSIGNMENT",
            "The assignment of replicas is not valid."),
        entry(.invalidConfig, "INVALID_CONFIG", "A configuration setting or its value is not valid."),
        retriable(.notController, "NOT_CONTROLLER", "This node is not the active controller."),
        entry(
            .invalidRequest, "INVALID_REQUEST",
            "The request contradicts itself or lacks something; the broker's log says what."),
        entry(
            .unsupportedForMessageFormat, "UNSUPPORTED_FOR_MESSAGE_FORMAT",
            "The log's message format does not support the operation."),
        entry(.policyViolation, "POLICY_VIOLATION", "A policy of the cluster does not allow it."),
        entry(
            .outOfOrderSequenceNumber, "OUT_OF_ORDER_SEQUENCE_NUMBER",
            "The batch's sequence number does not follow the producer's last one."),
        entry(
            .duplicateSequenceNumber, "DUPLICATE_SEQUENCE_NUMBER",
            "The batch is one that the producer sent before."),
        entry(
            .invalidProducerEpoch, "INVALID_PRODUCER_EPOCH",
            "The producer's epoch is older than the one that the coordinator or the log knows."),
        entry(.invalidTxnState, "INVALID_TXN_STATE", "The transaction is in a state that does not allow it."),
        entry(
            .invalidProducerIDMapping, "INVALID_PRODUCER_ID_MAPPING",
            "The producer ID is not the one of that transactional ID."),
        entry(
            .invalidTransactionTimeout, "INVALID_TRANSACTION_TIMEOUT",
            "The transaction time-out is longer than the broker allows."),
        retriable(
            .concurrentTransactions, "CONCURRENT_TRANSACTIONS",
            "Another change of the same transaction is still being made."),
        entry(
            .transactionCoordinatorFenced, "TRANSACTION_COORDINATOR_FENCED",
            "The transaction coordinator that sent the marker has been replaced."),
        entry(
            .transactionalIDAuthorizationFailed, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
            "The principal may not use the transactional ID."),
        entry(.securityDisabled, "SECURITY_DISABLED", "Security features are not in use on this broker."),
        entry(
            .operationNotAttempted, "OPERATION_NOT_ATTEMPTED",
            "The operation was not tried because another in the same request failed."),
        retriable(
            .kafkaStorageError, "KAFKA_STORAGE_ERROR",
            "The log directory has failed; the broker cannot reach its files."),
        entry(.logDirNotFound, "LOG_DIR_NOT_FOUND", "The broker has no such log directory."),
        entry(.saslAuthenticationFailed, "SASL_AUTHENTICATION_FAILED", "Authentication failed."),
        entry(.unknownProducerID, "UNKNOWN_PRODUCER_ID", "The log knows nothing of this producer ID."),
        entry(
            .reassignmentInProgress, "REASSIGNMENT_IN_PROGRESS",
            "The partition is already being reassigned."),
        entry(
            .delegationTokenAuthDisabled, "DELEGATION_TOKEN_AUTH_DISABLED",
            "Delegation tokens are not in use."),
        entry(.delegationTokenNotFound, "DELEGATION_TOKEN_NOT_FOUND", "There is no such delegation token."),
        entry(
            .delegationTokenOwnerMismatch, "DELEGATION_TOKEN_OWNER_MISMATCH",
            "The principal is not the token's owner."),
        entry(
            .delegationTokenRequestNotAllowed, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED",
            "Delegation tokens cannot be had on this connection: it needs TLS or SASL, and "
                + "no token of its own."),
        entry(
            .delegationTokenAuthorizationFailed, "DELEGATION_TOKEN_AUTHORIZATION_FAILED",
            "The principal may not do this with the delegation token."),
        entry(.delegationTokenExpired, "DELEGATION_TOKEN_EXPIRED", "The delegation token has expired."),
        entry(
            .invalidPrincipalType, "INVALID_PRINCIPAL_TYPE",
            "A principal of this type cannot be used here."),
        entry(.nonEmptyGroup, "NON_EMPTY_GROUP", "The group is not empty."),
        entry(.groupIDNotFound, "GROUP_ID_NOT_FOUND", "There is no such group."),
        retriable(.fetchSessionIDNotFound, "FETCH_SESSION_ID_NOT_FOUND", "There is no such fetch session."),
        retriable(
            .invalidFetchSessionEpoch, "INVALID_FETCH_SESSION_EPOCH",
            "The epoch of the fetch session is not the expected one."),
        retriable(
            .listenerNotFound, "LISTENER_NOT_FOUND",
            "The leader has no listener of the name that this connection came in by."),
        entry(
            .topicDeletionDisabled, "TOPIC_DELETION_DISABLED",
            "Topics may not be deleted on this cluster."),
        retriable(.fencedLeaderEpoch, "FENCED_LEADER_EPOCH", "The leader epoch is older than the broker's."),
        retriable(
            .unknownLeaderEpoch, "UNKNOWN_LEADER_EPOCH",
            "The leader epoch is newer than the broker's."),
        entry(
            .unsupportedCompressionType, "UNSUPPORTED_COMPRESSION_TYPE",
            "The broker or the client does not support this compression."),
        entry(.staleBrokerEpoch, "STALE_BROKER_EPOCH", "The broker's epoch is not its present one."),
        retriable(
            .offsetNotAvailable, "OFFSET_NOT_AVAILABLE",
            "The leader's high watermark has not caught up with its election, so the offset "
                + "is not known yet."),
        entry(
            .memberIDRequired, "MEMBER_ID_REQUIRED",
            "The member has to join again with the member ID that comes with this error."),
        retriable(
            .preferredLeaderNotAvailable, "PREFERRED_LEADER_NOT_AVAILABLE",
            "The preferred leader cannot lead now."),
        entry(
            .groupMaxSizeReached, "GROUP_MAX_SIZE_REACHED",
            "The group has as many members as it may have."),
        entry(
            .fencedInstanceID, "FENCED_INSTANCE_ID",
            "Another member with the same group.instance.id has taken this one's place."),
        retriable(
            .eligibleLeadersNotAvailable, "ELIGIBLE_LEADERS_NOT_AVAILABLE",
            "No replica that may lead is available."),
        retriable(
            .electionNotNeeded, "ELECTION_NOT_NEEDED",
            "The partition already has the leader that an election would give it."),
        entry(
            .noReassignmentInProgress, "NO_REASSIGNMENT_IN_PROGRESS",
            "The partition is not being reassigned."),
        entry(
            .groupSubscribedToTopic, "GROUP_SUBSCRIBED_TO_TOPIC",
            "A member of the group is subscribed to the topic."),
        entry(.invalidRecord, "INVALID_RECORD", "A record does not pass the broker's validation."),
        retriable(
            .unstableOffsetCommit, "UNSTABLE_OFFSET_COMMIT",
            "Offsets wait for the end of a transaction."),
        retriable(
            .throttlingQuotaExceeded, "THROTTLING_QUOTA_EXCEEDED",
            "The quota is used up for now; the request can be sent again later."),
        entry(
            .producerFenced, "PRODUCER_FENCED",
            "A newer producer with the same transactional ID has taken this one's place."),
        entry(.resourceNotFound, "RESOURCE_NOT_FOUND", "There is nothing of that name."),
        entry(.duplicateResource, "DUPLICATE_RESOURCE", "It is there already, or named twice."),
        entry(
            .unacceptableCredential, "UNACCEPTABLE_CREDENTIAL",
            "The credential does not meet the requirements."),
        entry(.inconsistentVoterSet, "INCONSISTENT_VOTER_SET", "Not all voters agree on who the voters are."),
        entry(
            .invalidUpdateVersion, "INVALID_UPDATE_VERSION",
            "The feature cannot be brought to this version."),
        entry(.featureUpdateFailed, "FEATURE_UPDATE_FAILED", "A feature could not be updated."),
        entry(
            .principalDeserializationFailure, "PRINCIPAL_DESERIALIZATION_FAILURE",
            "The principal that was forwarded cannot be read."),
        entry(.snapshotNotFound, "SNAPSHOT_NOT_FOUND", "There is no such snapshot."),
        entry(.positionOutOfRange, "POSITION_OUT_OF_RANGE", "The position lies outside the snapshot."),
        retriable(.unknownTopicID, "UNKNOWN_TOPIC_ID", "No topic has this ID."),
        entry(
            .duplicateBrokerRegistration, "DUPLICATE_BROKER_REGISTRATION",
            "The broker ID belongs to another broker that is registered and alive."),
        entry(.brokerIDNotRegistered, "BROKER_ID_NOT_REGISTERED", "No broker with this ID is registered."),
        retriable(
            .inconsistentTopicID, "INCONSISTENT_TOPIC_ID",
            "The topic's ID is not the one that the broker's log has."),
        entry(.inconsistentClusterID, "INCONSISTENT_CLUSTER_ID", "The cluster ID is not this cluster's."),
        entry(.transactionalIDNotFound, "TRANSACTIONAL_ID_NOT_FOUND", "There is no such transactional ID."),
        retriable(
            .fetchSessionTopicIDError, "FETCH_SESSION_TOPIC_ID_ERROR",
            "The fetch session has a topic whose ID or name does not fit its other requests."),
        entry(
            .ineligibleReplica, "INELIGIBLE_REPLICA",
            "The replica cannot be added to the in-sync replicas now."),
        entry(
            .newLeaderElected, "NEW_LEADER_ELECTED",
            "The change was made, and it made another replica the leader."),
        entry(
            .offsetMovedToTieredStorage, "OFFSET_MOVED_TO_TIERED_STORAGE",
            "The offset is only in tiered storage."),
        entry(
            .fencedMemberEpoch, "FENCED_MEMBER_EPOCH",
            "The member's epoch is older than the coordinator's: it has to join again."),
        entry(
            .unreleasedInstanceID, "UNRELEASED_INSTANCE_ID",
            "Another member still uses the same group.instance.id."),
        entry(
            .unsupportedAssignor, "UNSUPPORTED_ASSIGNOR",
            "The broker does not offer this assignor, or not to such a group."),
        entry(
            .staleMemberEpoch, "STALE_MEMBER_EPOCH",
            "The member's epoch is out of date: it can try again with the new one."),
        entry(
            .mismatchedEndpointType, "MISMATCHED_ENDPOINT_TYPE",
            "The request went to a broker's endpoint instead of a controller's, or the reverse."),
        entry(
            .unsupportedEndpointType, "UNSUPPORTED_ENDPOINT_TYPE",
            "Endpoints of this type are not known to this API."),
        entry(.unknownControllerID, "UNKNOWN_CONTROLLER_ID", "No controller has this ID."),
        entry(
            .unknownSubscriptionID, "UNKNOWN_SUBSCRIPTION_ID",
            "The client's telemetry subscription is not its present one."),
        entry(.telemetryTooLarge, "TELEMETRY_TOO_LARGE", "The telemetry is larger than the broker accepts."),
        entry(.invalidRegistration, "INVALID_REGISTRATION", "The controller refuses the registration."),
        entry(
            .transactionAbortable, "TRANSACTION_ABORTABLE",
            "The transaction cannot go on: the client has to abort it."),
        entry(
            .invalidRecordState, "INVALID_RECORD_STATE",
            "The record's state does not allow it, for example because its delivery was not to this member."),
        retriable(.shareSessionNotFound, "SHARE_SESSION_NOT_FOUND", "There is no such share session."),
        retriable(
            .invalidShareSessionEpoch, "INVALID_SHARE_SESSION_EPOCH",
            "The epoch of the share session is not the expected one."),
        entry(
            .fencedStateEpoch, "FENCED_STATE_EPOCH",
            "The state epoch is older than the share coordinator's."),
        entry(.invalidVoterKey, "INVALID_VOTER_KEY", "The voter's key is not the one in the set of voters."),
        entry(.duplicateVoter, "DUPLICATE_VOTER", "The voter is in the set of voters already."),
        entry(.voterNotFound, "VOTER_NOT_FOUND", "The voter is not in the set of voters."),
        entry(
            .invalidRegularExpression, "INVALID_REGULAR_EXPRESSION",
            "The regular expression is not valid."),
        entry(
            .rebootstrapRequired, "REBOOTSTRAP_REQUIRED",
            "The client's metadata is out of date: it has to bootstrap again."),
        entry(
            .streamsInvalidTopology, "STREAMS_INVALID_TOPOLOGY",
            "The topology of the streams application is not valid."),
        entry(
            .streamsInvalidTopologyEpoch, "STREAMS_INVALID_TOPOLOGY_EPOCH",
            "The epoch of the streams topology is not valid."),
        entry(
            .streamsTopologyFenced, "STREAMS_TOPOLOGY_FENCED",
            "The streams topology is older than the group's."),
        retriable(
            .shareSessionLimitReached, "SHARE_SESSION_LIMIT_REACHED",
            "The broker has as many share sessions as it may have."),
    ]
}
