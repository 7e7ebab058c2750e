internal import KafkaProtocol
internal import RecordFormat

/// OffsetCommit, TxnOffsetCommit, OffsetFetch and OffsetDelete.
extension GroupMachine {
    // MARK: OffsetCommit

    func commit(
        _ request: OffsetCommitRequest, _ caller: GroupCaller, _ now: CoordinatorMoment,
        _ effects: inout Effects
    ) -> OffsetCommitResponse {
        if let problem = commitProblem(request, caller, now) { return request.refused(problem) }
        let timestamp = now.wallClockMilliseconds
        let retention = request.retentionTimeMilliseconds
        // -1: as long as the broker keeps it; a time of its own is an old client's.
        let expires = retention >= 0 ? timestamp &+ retention : nil
        return OffsetCommitResponse(
            topics: request.topics.map { topic in
                OffsetCommitResponse.OffsetCommitResponseTopic(
                    name: topic.name, topicID: topic.topicID,
                    partitions: topic.partitions.map { partition in
                        let metadata = partition.committedMetadata ?? ""
                        let isTooLong = metadata.utf8.count > settings.offsetMetadataByteCount
                        if !isTooLong {
                            let key = OffsetKey(
                                group: request.groupID, topic: topic.name,
                                partition: partition.partitionIndex)
                            let committed = CommittedOffset(
                                offset: partition.committedOffset,
                                leaderEpoch: expires == nil ? partition.committedLeaderEpoch : .none,
                                metadata: metadata,
                                commitTimestamp: partition.commitTimestamp >= 0
                                    ? partition.commitTimestamp : timestamp, expireTimestamp: expires)
                            effects.records.append(.offset(key, committed))
                        }
                        return OffsetCommitResponse.OffsetCommitResponsePartition(
                            partitionIndex: partition.partitionIndex,
                            errorCode: isTooLong ? .offsetMetadataTooLarge : .none)
                    })
            })
    }

    // MARK: TxnOffsetCommit

    /// Offsets of a transaction are held until its marker comes.
    func commit(
        _ request: TxnOffsetCommitRequest, _ caller: GroupCaller, _ now: CoordinatorMoment,
        _ effects: inout Effects
    ) -> TxnOffsetCommitResponse {
        if let problem = commitProblem(request, now) { return request.refused(problem) }
        let producer = CoordinatorProducer(id: request.producerID, epoch: request.producerEpoch)
        return TxnOffsetCommitResponse(
            topics: request.topics.map { topic in
                TxnOffsetCommitResponse.TxnOffsetCommitResponseTopic(
                    name: topic.name,
                    partitions: topic.partitions.map { partition in
                        let metadata = partition.committedMetadata ?? ""
                        let isTooLong = metadata.utf8.count > settings.offsetMetadataByteCount
                        if !isTooLong {
                            let key = OffsetKey(
                                group: request.groupID, topic: topic.name,
                                partition: partition.partitionIndex)
                            let committed = CommittedOffset(
                                offset: partition.committedOffset,
                                leaderEpoch: partition.committedLeaderEpoch, metadata: metadata,
                                commitTimestamp: now.wallClockMilliseconds)
                            effects.records.append(.pendingOffset(key, committed, by: producer))
                        }
                        return TxnOffsetCommitResponse.TxnOffsetCommitResponsePartition(
                            partitionIndex: partition.partitionIndex,
                            errorCode: isTooLong ? .offsetMetadataTooLarge : .none)
                    })
            })
    }

    private func commitProblem(_ request: TxnOffsetCommitRequest, _ now: CoordinatorMoment) -> ErrorCode? {
        let count = request.topics.reduce(0) { $0 + $1.partitions.count }
        // They go when transactions end, so that another attempt may do.
        if offsets.pendingCount + count > settings.maximumPendingOffsets { return .coordinatorNotAvailable }
        if let group = consumerGroups[request.groupID] {
            return commitProblem(
                group, member: request.memberID, instance: request.groupInstanceID,
                epoch: request.generationID, version: nil, now)
        }
        guard let group = groups[request.groupID] else {
            return request.generationID < 0 ? nil : .illegalGeneration
        }
        if request.generationID < 0 && group.state == .empty { return nil }
        // Clients before version 3 do not say who they are, and are believed.
        guard request.generationID >= 0 || !request.memberID.isEmpty || request.groupInstanceID != nil else {
            return nil
        }
        if let problem = group.problem(request.memberID, request.groupInstanceID) { return problem }
        if request.generationID != group.generation { return .illegalGeneration }
        if let place = group.members.place(of: request.memberID) {
            touch(group, place, group.members[place].sessionTimeout, now)
        }
        return nil
    }

    // MARK: Who commits

    private func commitProblem(
        _ request: OffsetCommitRequest, _ caller: GroupCaller, _ now: CoordinatorMoment
    ) -> ErrorCode? {
        let generation = request.generationIDOrMemberEpoch
        if let group = consumerGroups[request.groupID] {
            return commitProblem(
                group, member: request.memberID, instance: request.groupInstanceID, epoch: generation,
                version: caller.version, now)
        }
        guard let group = groups[request.groupID] else {
            if generation < 0 { return nil }
            return caller.version >= 9 ? .groupIDNotFound : .illegalGeneration
        }
        // Consumers that divide partitions by themselves, and administrators.
        if generation < 0 && group.state == .empty { return nil }
        guard generation >= 0 || !request.memberID.isEmpty || request.groupInstanceID != nil else {
            return .unknownMemberID
        }
        if let problem = group.problem(request.memberID, request.groupInstanceID) { return problem }
        if generation != group.generation { return .illegalGeneration }
        // What the member has is of the generation before; it will hear of the new one.
        if group.state == .completingRebalance { return .rebalanceInProgress }
        if let place = group.members.place(of: request.memberID) {
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
