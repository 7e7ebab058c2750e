internal import KafkaProtocol
internal import RecordFormat

/// OffsetCommit, OffsetFetch and OffsetDelete.
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

    private func commitProblem(
        _ request: OffsetCommitRequest, _ caller: GroupCaller, _ now: CoordinatorMoment
    ) -> ErrorCode? {
        let generation = request.generationIDOrMemberEpoch
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

    /// - Parameter requireStable: says which offsets are about to be changed by a transaction; there is none
    ///   before offsets are committed in transactions.
    func fetch(
        _ request: OffsetFetchRequest.OffsetFetchRequestGroup, requireStable: Bool
    ) -> OffsetFetchResponse.OffsetFetchResponseGroup {
        typealias Topics = OffsetFetchResponse.OffsetFetchResponseTopics
        typealias Partitions = OffsetFetchResponse.OffsetFetchResponsePartitions
        func answer(_ partition: Int32, _ committed: CommittedOffset?) -> Partitions {
            guard let committed else {
                return Partitions(partitionIndex: partition, committedOffset: Offset(-1), metadata: "")
            }
            return Partitions(
                partitionIndex: partition, committedOffset: committed.offset,
                committedLeaderEpoch: committed.leaderEpoch, metadata: committed.metadata)
        }
        let id = request.groupID
        guard let asked = request.topics else {
            let all = offsets.topics(of: id).sorted { $0.key < $1.key }
            return OffsetFetchResponse.OffsetFetchResponseGroup(
                groupID: id,
                topics: all.map { name, partitions in
                    Topics(
                        name: name,
                        partitions: partitions.sorted { $0.key < $1.key }.map { answer($0, $1) })
                })
        }
        return OffsetFetchResponse.OffsetFetchResponseGroup(
            groupID: id,
            topics: asked.map { topic in
                Topics(
                    name: topic.name, topicID: topic.topicID,
                    partitions: topic.partitionIndexes.map { answer($0, offsets[id, topic.name, $0]) })
            })
    }

    // MARK: OffsetDelete

    func deleteOffsets(_ request: OffsetDeleteRequest, _ effects: inout Effects) -> OffsetDeleteResponse {
        guard let group = groups[request.groupID] else {
            return OffsetDeleteResponse(errorCode: .groupIDNotFound)
        }
        if group.state != .empty && !group.usesConsumerProtocol {
            return OffsetDeleteResponse(errorCode: .nonEmptyGroup)
        }
        let subscribed = group.subscribedTopics
        return OffsetDeleteResponse(
            topics: request.topics.map { topic in
                let isUsed = subscribed.contains(topic.name)
                return OffsetDeleteResponse.OffsetDeleteResponseTopic(
                    name: topic.name,
                    partitions: topic.partitions.map { partition in
                        let index = partition.partitionIndex
                        if !isUsed && offsets[group.id, topic.name, index] != nil {
                            effects.records.append(
                                .offset(
                                    OffsetKey(group: group.id, topic: topic.name, partition: index), nil))
                        }
                        return OffsetDeleteResponse.OffsetDeleteResponsePartition(
                            partitionIndex: index, errorCode: isUsed ? .groupSubscribedToTopic : .none)
                    })
            })
    }
}
