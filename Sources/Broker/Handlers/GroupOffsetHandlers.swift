internal import ClusterMetadata
internal import Coordinators
internal import KafkaProtocol
internal import RecordFormat

/// What groups have committed: OffsetCommit, OffsetFetch and OffsetDelete.
enum GroupOffsetHandlers {
    static let served = [
        ServedAPI(0...10) { (request: OffsetCommitRequest, context) in commit(request, context) },
        ServedAPI(0...10) { (request: OffsetFetchRequest, context) in fetch(request, context) },
        ServedAPI(0...0) { (request: OffsetDeleteRequest, context) in delete(request, context) },
    ]

    private static func exists(_ topic: String, _ partition: Int32, _ context: RequestContext) -> Bool {
        guard let known = context.broker.metadata.topics[topic] else { return false }
        return partition >= 0 && Int(partition) < known.partitions.count
    }

    // MARK: OffsetCommit

    /// Since version 10 topics go by their IDs (KIP-848); an ID that nobody has gets no name.
    private static func name(_ id: TopicID, _ context: RequestContext) -> String {
        context.broker.metadata.topics[id]?.name ?? ""
    }

    private static func commit(_ asked: OffsetCommitRequest, _ context: RequestContext) {
        var request = asked
        if context.version >= 10 {
            for place in request.topics.indices {
                request.topics[place].name = name(request.topics[place].topicID, context)
            }
        }
        // What nobody knows is refused here; the coordinator hears of the rest.
        let isKnown = request.topics.map { topic in
            topic.partitions.map { exists(topic.name, $0.partitionIndex, context) }
        }
        var known = request
        known.topics = zip(request.topics, isKnown).compactMap { topic, isKnown in
            var part = topic
            part.partitions = zip(topic.partitions, isKnown).filter(\.1).map(\.0)
            return part.partitions.isEmpty ? nil : part
        }
        var refused = request.refused(.unknownTopicOrPartition)
        for (place, topic) in request.topics.enumerated() where context.version >= 10 && topic.name.isEmpty {
            for number in topic.partitions.indices {
                refused.topics[place].partitions[number].errorCode = .unknownTopicID
            }
        }
        if known.topics.isEmpty && !request.topics.isEmpty { return context.respond(refused) }
        context.broker.askGroup(request.groupID, .commit(known, context.groupCaller)) { [refused] answer in
            guard case .commit(let response) = answer else { return }
            var codes = response.topics.flatMap(\.partitions).map(\.errorCode).makeIterator()
            var whole = refused
            for (place, topic) in isKnown.enumerated() {
                for number in topic.indices where topic[number] {
                    whole.topics[place].partitions[number].errorCode = codes.next() ?? .unknownServerError
                }
            }
            context.respond(whole)
        }
    }

    // MARK: OffsetFetch

    private static func fetch(_ request: OffsetFetchRequest, _ context: RequestContext) {
        if context.version < 8 { return fetchOne(request, context) }
        let questions = request.groups.map { asked in
            var group = asked
            if context.version >= 10 {
                for place in (group.topics ?? []).indices {
                    group.topics?[place].name = name(asked.topics?[place].topicID ?? .none, context)
                }
            }
            return (
                group: group.groupID, request: GroupRequest.fetch(group, requireStable: request.requireStable)
            )
        }
        context.broker.askGroups(questions) { answers in
            context.respond(
                OffsetFetchResponse(
                    groups: answers.compactMap {
                        guard case .fetch(let group) = $0 else { return nil }
                        return context.version >= 10 ? withIDs(group, context) : group
                    }))
        }
    }

    /// Topics that are gone have no ID to be told by; those that were asked for by one that nobody has are
    /// told so.
    private static func withIDs(
        _ group: OffsetFetchResponse.OffsetFetchResponseGroup, _ context: RequestContext
    ) -> OffsetFetchResponse.OffsetFetchResponseGroup {
        var result = group
        result.topics = group.topics.compactMap { topic in
            var known = topic
            if topic.name.isEmpty {
                for place in topic.partitions.indices { known.partitions[place].errorCode = .unknownTopicID }
                return known
            }
            guard let id = context.broker.metadata.topics.id(named: topic.name) else { return nil }
            known.topicID = id
            return known
        }
        return result
    }

    /// Before version 8 a request was about one group; null for all of its topics came with version 2.
    private static func fetchOne(_ request: OffsetFetchRequest, _ context: RequestContext) {
        let group = OffsetFetchRequest.OffsetFetchRequestGroup(
            groupID: request.groupID,
            topics: request.topics.map { topics in
                topics.map {
                    OffsetFetchRequest.OffsetFetchRequestTopics(
                        name: $0.name, partitionIndexes: $0.partitionIndexes)
                }
            })
        let question = GroupRequest.fetch(group, requireStable: request.requireStable)
        context.broker.askGroup(request.groupID, question) { answer in
            guard case .fetch(let response) = answer else { return }
            let error = response.errorCode
            if error != .none && context.version < 2 {
                return context.respond(refused(request, error))
            }
            context.respond(
                OffsetFetchResponse(
                    topics: response.topics.map { topic in
                        OffsetFetchResponse.OffsetFetchResponseTopic(
                            name: topic.name,
                            partitions: topic.partitions.map {
                                OffsetFetchResponse.OffsetFetchResponsePartition(
                                    partitionIndex: $0.partitionIndex, committedOffset: $0.committedOffset,
                                    committedLeaderEpoch: $0.committedLeaderEpoch, metadata: $0.metadata,
                                    errorCode: $0.errorCode)
                            })
                    }, errorCode: error))
        }
    }

    private static func refused(_ request: OffsetFetchRequest, _ code: ErrorCode) -> OffsetFetchResponse {
        OffsetFetchResponse(
            topics: (request.topics ?? []).map { topic in
                OffsetFetchResponse.OffsetFetchResponseTopic(
                    name: topic.name,
                    partitions: topic.partitionIndexes.map {
                        OffsetFetchResponse.OffsetFetchResponsePartition(
                            partitionIndex: $0, committedOffset: Offset(-1), metadata: "", errorCode: code)
                    })
            })
    }

    // MARK: OffsetDelete

    private static func delete(_ request: OffsetDeleteRequest, _ context: RequestContext) {
        context.broker.askGroup(request.groupID, .deleteOffsets(request)) { answer in
            guard case .deleteOffsets(var response) = answer else { return }
            for topic in response.topics.indices {
                let name = response.topics[topic].name
                for place in response.topics[topic].partitions.indices {
                    let partition = response.topics[topic].partitions[place]
                    // Its offset is gone as well, if there was one.
                    if partition.errorCode == .none && !exists(name, partition.partitionIndex, context) {
                        response.topics[topic].partitions[place].errorCode = .unknownTopicOrPartition
                    }
                }
            }
            context.respond(response)
        }
    }
}
