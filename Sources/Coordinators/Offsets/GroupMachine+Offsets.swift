internal import KafkaProtocol
internal import RecordFormat

/// Who commits offsets, in the words of either request.
struct Committer {
    let group: String
    let member: String
    let instance: String?
    /// The generation of a classic group, the epoch of a member of a consumer group; negative: none.
    let epoch: Int32
    /// Of OffsetCommit; nil for commits in transactions.
    let version: Int16?

    init(_ request: OffsetCommitRequest, _ caller: GroupCaller) {
        group = request.groupID
        member = request.memberID
        instance = request.groupInstanceID
        epoch = request.generationIDOrMemberEpoch
        version = caller.version
    }

    init(_ request: TxnOffsetCommitRequest) {
        group = request.groupID
        member = request.memberID
        instance = request.groupInstanceID
        epoch = request.generationID
        version = nil
    }

    var isInTransaction: Bool { version == nil }

    /// Whether it says who it is.
    var isNamed: Bool { epoch >= 0 || !member.isEmpty || instance != nil }
}

/// OffsetCommit, TxnOffsetCommit, OffsetFetch and OffsetDelete.
extension GroupMachine {
    // MARK: OffsetCommit

    func commit(
        _ request: OffsetCommitRequest, _ caller: GroupCaller, _ now: CoordinatorMoment,
        _ effects: inout Effects
    ) -> OffsetCommitResponse {
        if let problem = commitProblem(Committer(request, caller), now) { return request.refused(problem) }
        let timestamp = now.wallClockMilliseconds
        let retention = request.retentionTimeMilliseconds
        // -1: as long as the broker keeps it; a time of its own is an old client's.
        let expires = retention >= 0 ? timestamp &+ retention : nil
        return OffsetCommitResponse(
            topics: request.topics.map { topic in
                OffsetCommitResponse.OffsetCommitResponseTopic(
                    name: topic.name, topicID: topic.topicID,
                    partitions: topic.partitions.map { partition in
                        let index = partition.partitionIndex
                        let committed = CommittedOffset(
                            offset: partition.committedOffset,
                            leaderEpoch: expires == nil ? partition.committedLeaderEpoch : .none,
                            metadata: partition.committedMetadata ?? "",
                            commitTimestamp: partition.commitTimestamp >= 0
                                ? partition.commitTimestamp : timestamp, expireTimestamp: expires)
                        let key = OffsetKey(group: request.groupID, topic: topic.name, partition: index)
                        return OffsetCommitResponse.OffsetCommitResponsePartition(
                            partitionIndex: index, errorCode: take(committed, key, by: nil, &effects))
                    })
            })
    }

    // MARK: TxnOffsetCommit

    /// Offsets of a transaction are held until its marker comes.
    func commit(
        _ request: TxnOffsetCommitRequest, _ now: CoordinatorMoment, _ effects: inout Effects
    ) -> TxnOffsetCommitResponse {
        let count = request.topics.reduce(0) { $0 + $1.partitions.count }
        // They go when transactions end, so that another attempt may do.
        if offsets.pendingCount + count > settings.maximumPendingOffsets {
            return request.refused(.coordinatorNotAvailable)
        }
        if let problem = commitProblem(Committer(request), now) { return request.refused(problem) }
        let producer = CoordinatorProducer(id: request.producerID, epoch: request.producerEpoch)
        return TxnOffsetCommitResponse(
            topics: request.topics.map { topic in
                TxnOffsetCommitResponse.TxnOffsetCommitResponseTopic(
                    name: topic.name,
                    partitions: topic.partitions.map { partition in
                        let index = partition.partitionIndex
                        let committed = CommittedOffset(
                            offset: partition.committedOffset, leaderEpoch: partition.committedLeaderEpoch,
                            metadata: partition.committedMetadata ?? "",
                            commitTimestamp: now.wallClockMilliseconds)
                        let key = OffsetKey(group: request.groupID, topic: topic.name, partition: index)
                        return TxnOffsetCommitResponse.TxnOffsetCommitResponsePartition(
                            partitionIndex: index, errorCode: take(committed, key, by: producer, &effects))
                    })
            })
    }

    // MARK: What is committed, and by whom

    /// - Parameter producer: whose transaction decides; nil where it counts at once.
    private func take(
        _ committed: CommittedOffset, _ key: OffsetKey, by producer: CoordinatorProducer?,
        _ effects: inout Effects
    ) -> ErrorCode {
        if committed.metadata.utf8.count > settings.offsetMetadataByteCount { return .offsetMetadataTooLarge }
        effects.records.append(
            producer.map { .pendingOffset(key, committed, by: $0) } ?? .offset(key, committed))
        return .none
    }

    /// What speaks against a commit.
    private func commitProblem(_ one: Committer, _ now: CoordinatorMoment) -> ErrorCode? {
        if let group = consumerGroups[one.group] { return commitProblem(group, one) }
        guard let group = groups[one.group] else {
            if one.epoch < 0 { return nil }
            return one.version ?? 0 >= 9 ? .groupIDNotFound : .illegalGeneration
        }
        // Consumers that divide partitions by themselves, and administrators.
        if one.epoch < 0 && group.state == .empty { return nil }
        // In transactions clients before version 3 do not say who they are, and are believed.
        if !one.isNamed { return one.isInTransaction ? nil : .unknownMemberID }
        if let problem = group.problem(one.member, one.instance) { return problem }
        if one.epoch != group.generation { return .illegalGeneration }
        // What the member has is of the generation before; it will hear of the new one.
        if !one.isInTransaction && group.state == .completingRebalance { return .rebalanceInProgress }
        if let place = group.members.place(of: one.member) {
            touch(group, place, group.members[place].sessionTimeout, now)
        }
        return nil
    }

    // MARK: OffsetFetch

    /// - Parameter requireStable: says which offsets are about to be changed by a transaction, instead of
    ///   what they are before it (KIP-447).
    func fetch(
        _ request: OffsetFetchRequest.OffsetFetchRequestGroup, requireStable: Bool
    ) -> OffsetFetchResponse.OffsetFetchResponseGroup {
        typealias Topics = OffsetFetchResponse.OffsetFetchResponseTopics
        typealias Partitions = OffsetFetchResponse.OffsetFetchResponsePartitions
        let id = request.groupID
        func answer(_ topic: String, _ partition: Int32, _ committed: CommittedOffset?) -> Partitions {
            if requireStable,
                offsets.hasPending(OffsetKey(group: id, topic: topic, partition: partition))
            {
                return Partitions(
                    partitionIndex: partition, committedOffset: Offset(-1), metadata: "",
                    errorCode: .unstableOffsetCommit)
            }
            guard let committed else {
                return Partitions(partitionIndex: partition, committedOffset: Offset(-1), metadata: "")
            }
            return Partitions(
                partitionIndex: partition, committedOffset: committed.offset,
                committedLeaderEpoch: committed.leaderEpoch, metadata: committed.metadata)
        }
        if let problem = fetchProblem(request) {
            return OffsetFetchResponse.OffsetFetchResponseGroup(groupID: id, errorCode: problem)
        }
        guard let asked = request.topics else {
            let all = offsets.topics(of: id).sorted { $0.key < $1.key }
            return OffsetFetchResponse.OffsetFetchResponseGroup(
                groupID: id,
                topics: all.map { name, partitions in
                    Topics(
                        name: name,
                        partitions: partitions.sorted { $0.key < $1.key }.map { answer(name, $0, $1) })
                })
        }
        return OffsetFetchResponse.OffsetFetchResponseGroup(
            groupID: id,
            topics: asked.map { topic in
                Topics(
                    name: topic.name, topicID: topic.topicID,
                    partitions: topic.partitionIndexes.map {
                        answer(topic.name, $0, offsets[id, topic.name, $0])
                    })
            })
    }

    // MARK: OffsetDelete

    func deleteOffsets(_ request: OffsetDeleteRequest, _ effects: inout Effects) -> OffsetDeleteResponse {
        let isSubscribed: (String) -> Bool
        if let group = consumerGroups[request.groupID] {
            isSubscribed = group.isSubscribed
        } else if let group = groups[request.groupID] {
            if group.state != .empty && !group.usesConsumerProtocol {
                return OffsetDeleteResponse(errorCode: .nonEmptyGroup)
            }
            isSubscribed = group.subscribedTopics.contains
        } else {
            return OffsetDeleteResponse(errorCode: .groupIDNotFound)
        }
        return OffsetDeleteResponse(
            topics: request.topics.map { topic in
                let isUsed = isSubscribed(topic.name)
                return OffsetDeleteResponse.OffsetDeleteResponseTopic(
                    name: topic.name,
                    partitions: topic.partitions.map { partition in
                        let index = partition.partitionIndex
                        let key = OffsetKey(group: request.groupID, topic: topic.name, partition: index)
                        let isKnown =
                            offsets[request.groupID, topic.name, index] != nil || offsets.hasPending(key)
                        if !isUsed && isKnown { effects.records.append(.offset(key, nil)) }
                        return OffsetDeleteResponse.OffsetDeleteResponsePartition(
                            partitionIndex: index, errorCode: isUsed ? .groupSubscribedToTopic : .none)
                    })
            })
    }
}
