public import KafkaProtocol

/// Who asks a group coordinator.
public struct GroupCaller: Hashable, Sendable {
    public let clientID: String
    /// The address, as it is shown of members: "/10.0.0.1".
    public let clientHost: String
    /// Of the request.
    public let version: Int16

    public init(clientID: String, clientHost: String, version: Int16) {
        self.clientID = clientID
        self.clientHost = clientHost
        self.version = version
    }
}

/// What the coordinator of one partition of `__consumer_offsets` is asked. Requests about several groups are
/// taken apart before.
public enum GroupRequest: CoordinatorRequest {
    case join(JoinGroupRequest, GroupCaller)
    case sync(SyncGroupRequest)
    case heartbeat(HeartbeatRequest)
    case leave(LeaveGroupRequest, GroupCaller)
    case commit(OffsetCommitRequest, GroupCaller)
    case fetch(OffsetFetchRequest.OffsetFetchRequestGroup, requireStable: Bool)
    /// Offsets that count once the transaction is committed.
    case transactionalCommit(TxnOffsetCommitRequest)
    case endTransaction(TransactionEnd)
    case deleteOffsets(OffsetDeleteRequest)
    case describe(group: String, GroupCaller)
    /// Filters that are empty let all pass.
    case list(states: [String], types: [String])
    case delete(group: String)
    case consumerHeartbeat(ConsumerGroupHeartbeatRequest, GroupCaller)
    case describeConsumer(group: String)

    public func refusal(_ code: ErrorCode) -> GroupResponse {
        switch self {
        case .join(let request, _):
            .join(JoinGroupResponse(errorCode: code, memberID: request.memberID))
        case .sync: .sync(SyncGroupResponse(errorCode: Self.membershipCode(code)))
        case .heartbeat: .heartbeat(HeartbeatResponse(errorCode: code))
        case .leave: .leave(LeaveGroupResponse(errorCode: code))
        case .commit(let request, _): .commit(request.refused(Self.commitCode(code)))
        case .fetch(let group, _):
            .fetch(OffsetFetchResponse.OffsetFetchResponseGroup(groupID: group.groupID, errorCode: code))
        case .transactionalCommit(let request):
            .transactionalCommit(request.refused(Self.commitCode(code)))
        case .endTransaction: .transactionEnded(code)
        case .deleteOffsets: .deleteOffsets(OffsetDeleteResponse(errorCode: code))
        case .describe(let group, _):
            .describe(DescribeGroupsResponse.DescribedGroup(errorCode: code, groupID: group))
        case .list: .list(ListGroupsResponse(errorCode: code))
        case .delete(let group):
            .delete(DeleteGroupsResponse.DeletableGroupResult(groupID: group, errorCode: code))
        case .consumerHeartbeat:
            .consumerHeartbeat(ConsumerGroupHeartbeatResponse(errorCode: Self.membershipCode(code)))
        case .describeConsumer(let group):
            .describeConsumer(
                ConsumerGroupDescribeResponse.DescribedGroup(errorCode: code, groupID: group))
        }
    }

    /// Whether names are made for whoever asks, which takes random bits.
    public var needsName: Bool {
        switch self {
        case .join, .consumerHeartbeat: true
        default: false
        }
    }

    private static func membershipCode(_ code: ErrorCode) -> ErrorCode {
        code == .recordListTooLarge ? .unknownServerError : code
    }

    private static func commitCode(_ code: ErrorCode) -> ErrorCode {
        code == .recordListTooLarge ? .invalidCommitOffsetSize : code
    }
}

/// The answer to a `GroupRequest`, of the case of the same name.
public enum GroupResponse: Sendable {
    case join(JoinGroupResponse)
    case sync(SyncGroupResponse)
    case heartbeat(HeartbeatResponse)
    case leave(LeaveGroupResponse)
    case commit(OffsetCommitResponse)
    case fetch(OffsetFetchResponse.OffsetFetchResponseGroup)
    case transactionalCommit(TxnOffsetCommitResponse)
    case transactionEnded(ErrorCode)
    case deleteOffsets(OffsetDeleteResponse)
    case describe(DescribeGroupsResponse.DescribedGroup)
    case list(ListGroupsResponse)
    case delete(DeleteGroupsResponse.DeletableGroupResult)
    case consumerHeartbeat(ConsumerGroupHeartbeatResponse)
    case describeConsumer(ConsumerGroupDescribeResponse.DescribedGroup)
}

extension OffsetCommitRequest {
    /// The same code for every partition.
    public func refused(_ code: ErrorCode) -> OffsetCommitResponse {
        OffsetCommitResponse(
            topics: topics.map { topic in
                OffsetCommitResponse.OffsetCommitResponseTopic(
                    name: topic.name, topicID: topic.topicID,
                    partitions: topic.partitions.map {
                        OffsetCommitResponse.OffsetCommitResponsePartition(
                            partitionIndex: $0.partitionIndex, errorCode: code)
                    })
            })
    }
}

extension TxnOffsetCommitRequest {
    /// The same code for every partition.
    public func refused(_ code: ErrorCode) -> TxnOffsetCommitResponse {
        TxnOffsetCommitResponse(
            topics: topics.map { topic in
                TxnOffsetCommitResponse.TxnOffsetCommitResponseTopic(
                    name: topic.name,
                    partitions: topic.partitions.map {
                        TxnOffsetCommitResponse.TxnOffsetCommitResponsePartition(
                            partitionIndex: $0.partitionIndex, errorCode: code)
                    })
            })
    }
}
