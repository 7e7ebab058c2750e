internal import KafkaProtocol
public import RecordFormat

/// A group as it is listed.
public struct GroupListing: Hashable, Sendable {
    public let id: String
    /// `Stable`, `Empty`, ...; empty where the broker does not tell it. So the next one.
    public let state: String
    /// `classic` or `consumer`.
    public let type: String
    /// `consumer` for groups of consumers; empty where only offsets are stored.
    public let protocolType: String
    /// The broker that keeps it.
    public let coordinator: Int32
}

/// A group with its members.
public struct GroupDescription: Sendable {
    /// One that takes part in a group.
    public struct Member: Hashable, Sendable {
        public let id: String
        /// Of a static member.
        public let instanceID: String?
        public let clientID: String
        public let host: String
        /// What it reads; nil where it is not told in the way of consumers.
        public let partitions: [TopicPartition]?
        /// Of a member of a consumer group (KIP-848): the epoch of the assignment that it has come to.
        public var epoch: Int32?
        /// What it is to read in the end; nil for members of classic groups.
        public var target: [TopicPartition]?
    }

    /// How far a group has come whose coordinator divides the partitions (KIP-848).
    public struct Epochs: Hashable, Sendable {
        /// Grows with every change.
        public let group: Int32
        /// The change that the assignment was made for.
        public let assignment: Int32
    }

    public let id: String
    /// `Dead` where there is no such group.
    public let state: String
    public let protocolType: String
    /// How the members divide the partitions: `range`, ...
    public let assignor: String
    public let members: [Member]
    public let coordinator: Int32
    /// Nil for a classic group.
    public var epochs: Epochs?
}

/// How far a group has come in a partition.
public struct GroupOffset: Hashable, Sendable {
    public var offset: Offset
    /// Of the record before it.
    public var leaderEpoch: LeaderEpoch
    public var metadata: String

    public init(offset: Offset, leaderEpoch: LeaderEpoch = .none, metadata: String = "") {
        self.offset = offset
        self.leaderEpoch = leaderEpoch
        self.metadata = metadata
    }
}

extension Admin {
    // MARK: Coordinators

    /// The broker that keeps a group.
    func coordinator(of group: String) async throws(ClientError) -> Int32 {
        // The older form is all that brokers before Kafka 2.8 know, and says the same.
        try await ask(
            FindCoordinatorRequest(key: group), to: .any, versions: 1...3,
            refusal: { response, broker in
                response.errorCode == .none
                    ? nil
                    : .refused(
                        broker: broker, api: .findCoordinator, subject: "group \(group)",
                        code: response.errorCode, message: response.errorMessage)
            }, { response, _ in response.nodeID })
    }

    /// Asks the broker that keeps a group, and the next one where it keeps it no longer.
    private func askCoordinator<Request: RequestMessage, Value: Sendable>(
        of group: String, _ request: Request,
        versions: ClosedRange<Int16> = Request.versions,
        code: @escaping @Sendable (Request.Response) -> ErrorCode,
        _ read: @escaping @Sendable (Request.Response, String) -> Value
    ) async throws(ClientError) -> Value {
        var attempt = 0
        while true {
            let node = try await coordinator(of: group)
            attempt += 1
            let moved: Result<Value, ClientError> = try await ask(
                request, to: .node(node), versions: versions,
                refusal: { response, broker in
                    let code = code(response)
                    // Another broker is not found by asking this one again.
                    if code == .none || code == .notCoordinator { return nil }
                    return Self.refusal(Request.apiKey, broker, group, code)
                },
                { response, broker in
                    let code = code(response)
                    return code == .notCoordinator
                        ? .failure(Self.refusal(Request.apiKey, broker, group, code))
                        : .success(read(response, broker))
                })
            if case .failure = moved, attempt < Self.coordinatorAttempts { continue }
            return try moved.get()
        }
    }

    /// A group moves when brokers come and go, not all the time.
    private static let coordinatorAttempts = 5

    private static func refusal(
        _ api: APIKey, _ broker: String, _ group: String, _ code: ErrorCode
    ) -> ClientError {
        .refused(broker: broker, api: api, subject: "group \(group)", code: code, message: nil)
    }

    // MARK: Groups

    /// All groups of the cluster, by ID.
    /// - Parameter states: only groups in one of these states; empty for all.
    public func listGroups(states: [String] = []) async throws(ClientError) -> [GroupListing] {
        let cluster = try await describeCluster()
        let oldest: Int16 = states.isEmpty ? 0 : 4
        var groups: [GroupListing] = []
        for broker in cluster.brokers where !broker.isFenced {
            groups += try await ask(
                ListGroupsRequest(statesFilter: states), to: .node(broker.id),
                versions: oldest...ListGroupsRequest.versions.upperBound,
                refusal: { response, name in
                    response.errorCode == .none
                        ? nil
                        : .refused(
                            broker: name, api: .listGroups, subject: "groups", code: response.errorCode,
                            message: nil)
                },
                { response, _ in
                    response.groups.map {
                        GroupListing(
                            id: $0.groupID, state: $0.groupState, type: $0.groupType,
                            protocolType: $0.protocolType, coordinator: broker.id)
                    }
                })
        }
        return groups.sorted { $0.id < $1.id }
    }

    /// A group and its members, of either protocol.
    public func describeGroup(_ id: String) async throws(ClientError) -> GroupDescription {
        let node = try await coordinator(of: id)
        let classic = try await describeClassicGroup(id, node)
        guard classic.state == Self.deadState else { return classic }
        do {
            return try await describeConsumerGroup(id, node) ?? classic
        } catch .unsupportedAPI {
            return classic
        }
    }

    private static let deadState = "Dead"

    /// Nil where there is none of that protocol.
    private func describeConsumerGroup(
        _ id: String, _ node: Int32
    ) async throws(ClientError) -> GroupDescription? {
        try await askCoordinator(
            of: id, ConsumerGroupDescribeRequest(groupIDs: [id]),
            code: { response in
                let code = response.groups.first?.errorCode ?? .unknownServerError
                return code == .groupIDNotFound ? .none : code
            },
            { response, _ in
                guard let group = response.groups.first, group.errorCode == .none else { return nil }
                return GroupDescription(
                    id: id, state: group.groupState, protocolType: "consumer", assignor: group.assignorName,
                    members: group.members.map { GroupDescription.Member($0) }, coordinator: node,
                    epochs: GroupDescription.Epochs(
                        group: group.groupEpoch, assignment: group.assignmentEpoch))
            })
    }

    private func describeClassicGroup(
        _ id: String, _ node: Int32
    ) async throws(ClientError) -> GroupDescription {
        try await askCoordinator(
            of: id, DescribeGroupsRequest(groups: [id]),
            code: { response in
                // That there is none is what its state says.
                let code = response.groups.first?.errorCode ?? .unknownServerError
                return code == .groupIDNotFound ? .none : code
            },
            { response, _ in
                let group = response.groups.first
                return GroupDescription(
                    id: id, state: group?.groupState ?? "", protocolType: group?.protocolType ?? "",
                    assignor: group?.protocolData ?? "",
                    members: (group?.members ?? []).map { GroupDescription.Member($0) }, coordinator: node)
            })
    }

    /// Deletes a group that has no members, with its offsets.
    public func deleteGroup(_ id: String) async throws(ClientError) {
        let _: Bool = try await askCoordinator(
            of: id, DeleteGroupsRequest(groupsNames: [id]),
            code: { $0.results.first?.errorCode ?? .unknownServerError }, { _, _ in true })
    }

    // MARK: Offsets

    /// How far a group has come: every partition that it has stored an offset for.
    public func groupOffsets(
        of group: String
    ) async throws(ClientError) -> [TopicPartition: GroupOffset] {
        // Up to version 7 a request is about one group, which is all that is asked for.
        try await askCoordinator(
            of: group, OffsetFetchRequest(groupID: group, topics: nil), versions: 2...7,
            code: { $0.errorCode },
            { response, _ in
                var offsets: [TopicPartition: GroupOffset] = [:]
                for topic in response.topics {
                    for found in topic.partitions where found.errorCode == .none {
                        let partition = TopicPartition(topic: topic.name, partition: found.partitionIndex)
                        offsets[partition] = GroupOffset(
                            offset: found.committedOffset, leaderEpoch: found.committedLeaderEpoch,
                            metadata: found.metadata ?? "")
                    }
                }
                return offsets
            })
    }

    /// Stores offsets for a group that has no members.
    public func setGroupOffsets(
        of group: String, _ offsets: [TopicPartition: GroupOffset]
    ) async throws(ClientError) -> [TopicPartition: Result<Void, ClientError>] {
        typealias Partition = OffsetCommitRequest.OffsetCommitRequestPartition
        let byTopic = Dictionary(grouping: offsets, by: \.key.topic).sorted { $0.key < $1.key }
        let request = OffsetCommitRequest(
            groupID: group,
            topics: byTopic.map { topic, offsets in
                OffsetCommitRequest.OffsetCommitRequestTopic(
                    name: topic,
                    partitions: offsets.sorted { $0.key.partition < $1.key.partition }.map {
                        Partition(
                            partitionIndex: $0.key.partition, committedOffset: $0.value.offset,
                            committedLeaderEpoch: $0.value.leaderEpoch,
                            committedMetadata: $0.value.metadata)
                    })
            })
        return try await askCoordinator(
            of: group, request, versions: 2...9,
            code: { response in
                let code = response.topics.first?.partitions.first?.errorCode ?? .none
                return code == .notCoordinator || code == .coordinatorLoadInProgress ? code : .none
            },
            { response, broker in
                Self.results(
                    response.topics.flatMap { topic in
                        topic.partitions.map { (topic.name, $0.partitionIndex, $0.errorCode) }
                    }, .offsetCommit, broker)
            })
    }

    /// Deletes what a group has stored for partitions of topics that no member reads.
    public func deleteGroupOffsets(
        of group: String, _ partitions: [TopicPartition]
    ) async throws(ClientError) -> [TopicPartition: Result<Void, ClientError>] {
        let byTopic = Dictionary(grouping: partitions, by: \.topic).sorted { $0.key < $1.key }
        let request = OffsetDeleteRequest(
            groupID: group,
            topics: byTopic.map { topic, partitions in
                OffsetDeleteRequest.OffsetDeleteRequestTopic(
                    name: topic,
                    partitions: partitions.map {
                        OffsetDeleteRequest.OffsetDeleteRequestPartition(partitionIndex: $0.partition)
                    })
            })
        return try await askCoordinator(
            of: group, request, code: { $0.errorCode },
            { response, broker in
                Self.results(
                    response.topics.flatMap { topic in
                        topic.partitions.map { (topic.name, $0.partitionIndex, $0.errorCode) }
                    }, .offsetDelete, broker)
            })
    }

    private static func results(
        _ codes: [(topic: String, partition: Int32, code: ErrorCode)], _ api: APIKey, _ broker: String
    ) -> [TopicPartition: Result<Void, ClientError>] {
        var results: [TopicPartition: Result<Void, ClientError>] = [:]
        for one in codes {
            let partition = TopicPartition(topic: one.topic, partition: one.partition)
            results[partition] = outcome(api, broker, "\(partition)", one.code, nil)
        }
        return results
    }
}

extension GroupDescription.Member {
    init(_ member: ConsumerGroupDescribeResponse.Member) {
        func flat(_ assignment: ConsumerGroupDescribeResponse.Assignment) -> [TopicPartition] {
            assignment.topicPartitions.sorted { $0.topicName < $1.topicName }.flatMap { topic in
                topic.partitions.map { TopicPartition(topic: topic.topicName, partition: $0) }
            }
        }
        self.init(
            id: member.memberID, instanceID: member.instanceID, clientID: member.clientID,
            host: member.clientHost, partitions: flat(member.assignment), epoch: member.memberEpoch,
            target: flat(member.targetAssignment))
    }

    init(_ member: DescribeGroupsResponse.DescribedGroupMember) {
        let assignment = try? ConsumerProtocolAssignment(
            decodingVersioned: member.memberAssignment.span.bytes)
        self.init(
            id: member.memberID, instanceID: member.groupInstanceID, clientID: member.clientID,
            host: member.clientHost,
            partitions: assignment?.assignedPartitions.flatMap { topic in
                topic.partitions.map { TopicPartition(topic: topic.topic, partition: $0) }
            })
    }
}
