internal import KafkaProtocol
internal import RecordFormat

/// How far a member is on the way to what it is to have. The numbers are those of the records.
///
///     from        to          when
///     stable      unrevoked   its target lacks what it has: it is told to give that back
///     stable      unreleased  its target has what somebody else has still
///     unrevoked   any         it has given all of it back
///     unreleased  any         somebody else has given something back, or there is a newer target
enum ConsumerMemberState: Int8, CaseIterable, Sendable {
    case stable = 0
    case unrevoked = 1
    case unreleased = 2
    /// Of a newer release; the member is to give up all it has.
    case unknown = 127
}

/// A member of a consumer group (KIP-848).
struct ConsumerMember: Equatable {
    typealias Classic = ConsumerGroupMemberMetadataValue.ClassicMemberMetadata

    /// The epochs by which a member says that it comes or goes.
    static let joiningEpoch: Int32 = 0
    static let leavingEpoch: Int32 = -1
    /// A static member goes, and will be back.
    static let pausingEpoch: Int32 = -2

    var id: String
    var instanceID: String?
    var rackID: String?
    var clientID = ""
    var clientHost = ""
    /// Milliseconds; -1 where the member has not said.
    var rebalanceTimeout: Int32 = -1
    /// Sorted.
    var topicNames: [String] = []
    /// A regular expression for more of them.
    var pattern: String?
    var assignor: String?
    /// Of a member that uses JoinGroup and SyncGroup.
    var classic: Classic?

    // What follows is in the record of its current assignment.

    private(set) var epoch = joiningEpoch
    private(set) var previousEpoch: Int32 = -1
    var state = ConsumerMemberState.stable
    /// What it may use.
    var assigned = PartitionSet()
    /// What it has to give back, and may have still.
    var revoking = PartitionSet()

    init(id: String) { self.id = id }

    var isClassic: Bool { classic != nil }

    /// Whether it is away for a short time.
    var isPausing: Bool { epoch == Self.pausingEpoch }

    /// Nobody else may have these.
    var held: PartitionSet {
        if revoking.isEmpty { return assigned }
        var result = assigned
        result.formUnion(revoking)
        return result
    }

    func isReconciled(to target: Int32) -> Bool { state == .stable && epoch == target }

    /// One whose answer was lost comes with the epoch before; that one stays known until there is a third.
    mutating func setEpoch(_ next: Int32) {
        if next == epoch { return }
        previousEpoch = epoch
        epoch = next
    }

    /// A static member comes back in the place of the one that went.
    func successor(_ id: String) -> ConsumerMember {
        var result = self
        result.id = id
        result.epoch = Self.joiningEpoch
        result.previousEpoch = -1
        return result
    }

    // MARK: Records

    mutating func take(_ value: ConsumerGroupMemberMetadataValue) {
        instanceID = value.instanceID
        rackID = value.rackID
        clientID = value.clientID
        clientHost = value.clientHost
        rebalanceTimeout = value.rebalanceTimeoutMilliseconds
        topicNames = value.subscribedTopicNames.sorted()
        pattern = value.subscribedTopicRegex.flatMap { $0.isEmpty ? nil : $0 }
        assignor = value.serverAssignor
        classic = value.classicMemberMetadata
    }

    var metadata: ConsumerGroupMemberMetadataValue {
        ConsumerGroupMemberMetadataValue(
            instanceID: instanceID, rackID: rackID, clientID: clientID, clientHost: clientHost,
            subscribedTopicNames: topicNames, subscribedTopicRegex: pattern ?? "",
            rebalanceTimeoutMilliseconds: rebalanceTimeout, serverAssignor: assignor,
            classicMemberMetadata: classic)
    }

    mutating func take(_ value: ConsumerGroupCurrentMemberAssignmentValue?) {
        guard let value else {
            (epoch, previousEpoch, state) = (Self.joiningEpoch, -1, .stable)
            (assigned, revoking) = (PartitionSet(), PartitionSet())
            return
        }
        epoch = value.memberEpoch
        previousEpoch = value.previousMemberEpoch
        state = ConsumerMemberState(rawValue: value.state) ?? .unknown
        assigned = PartitionSet(value.assignedPartitions.map { ($0.topicID, $0.partitions) })
        revoking = PartitionSet(value.partitionsPendingRevocation.map { ($0.topicID, $0.partitions) })
    }

    var current: ConsumerGroupCurrentMemberAssignmentValue {
        typealias Topic = ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions
        return ConsumerGroupCurrentMemberAssignmentValue(
            memberEpoch: epoch, previousMemberEpoch: previousEpoch, state: state.rawValue,
            assignedPartitions: assigned.sorted.map { Topic(topicID: $0.topic, partitions: $0.partitions) },
            partitionsPendingRevocation: revoking.sorted.map {
                Topic(topicID: $0.topic, partitions: $0.partitions)
            })
    }
}
