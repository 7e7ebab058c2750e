internal import Base
internal import KafkaProtocol
internal import LogStorage
internal import RecordFormat

/// Fetch: records out of partitions.
enum FetchHandler {
    static let served = [
        ServedAPI(4...17) { (request: FetchRequest, context) in handle(request, context) }
    ]

    /// A session begins, or ends.
    private static let initialEpoch: Int32 = 0
    private static let finalEpoch: Int32 = -1
    private static let readCommitted: Int8 = 1

    private static func handle(_ request: FetchRequest, _ context: RequestContext) {
        guard let (session, parts) = open(request, context) else { return }
        var limit = min(max(Int(request.maxBytes), 0), context.node.configuration.fetchByteCount)
        let quotas = context.broker.quotas
        if quotas.isActive,
            let allowed = quotas.fetchAllowance(context.header.clientID, now: context.broker.lane.now)
        {
            limit = min(limit, allowed)
        }
        let terms = FetchTerms(
            isolation: request.isolationLevel == readCommitted ? .lastStableOffset : .highWatermark,
            minimumByteCount: min(Int(request.minBytes), limit), maximumByteCount: limit)
        let operation = FetchOperation(
            context, session, terms, waitMilliseconds: Int64(request.maxWaitMilliseconds),
            parts: parts.map { ($0, $0.topic.isEmpty ? FetchAnswer(.unknownTopicID) : nil) })
        operation.start()
    }

    /// Finds out what is to be fetched. Answers an error of the session itself.
    private static func open(
        _ request: FetchRequest, _ context: RequestContext
    ) -> (FetchSessionContext, [FetchPart])? {
        let broker = context.broker
        let sessions = broker.sessions
        guard context.version >= 7, request.sessionEpoch != finalEpoch else {
            if request.sessionID != 0 { sessions.remove(request.sessionID) }
            return (.none, asked(request, context))
        }
        let usesTopicIDs = context.version >= 13
        if request.sessionEpoch == initialEpoch {
            if request.sessionID != 0 { sessions.remove(request.sessionID) }
            let parts = asked(request, context)
            if parts.isEmpty { return (.none, []) }
            let session = sessions.make(
                partCount: parts.count, usesTopicIDs: usesTopicIDs, isPrivileged: false,
                now: broker.lane.now)
            for part in parts { session?.set(part) }
            return (FetchSessionContext(session, isIncremental: false), parts)
        }
        guard let session = sessions[request.sessionID] else {
            refuse(context, .fetchSessionIDNotFound)
            return nil
        }
        guard session.epoch == request.sessionEpoch else {
            refuse(context, .invalidFetchSessionEpoch)
            return nil
        }
        guard session.usesTopicIDs == usesTopicIDs else {
            refuse(context, .fetchSessionTopicIDError)
            return nil
        }
        return (FetchSessionContext(session, isIncremental: true), update(session, request, context))
    }

    /// Takes over what changed, and gives all that the session wants.
    private static func update(
        _ session: FetchSession, _ request: FetchRequest, _ context: RequestContext
    ) -> [FetchPart] {
        session.epoch = FetchSession.next(session.epoch)
        session.lastUsed = context.broker.lane.now
        for part in asked(request, context) { session.set(part) }
        if !request.forgottenTopicsData.isEmpty {
            session.remove(
                request.forgottenTopicsData.flatMap { topic in
                    topic.partitions.map {
                        FetchSessionKey(topic: topic.topic, topicID: topic.topicID, partition: $0)
                    }
                })
        }
        let topics = context.broker.metadata.topics
        return session.parts.map { known in
            // A topic that nobody knew by its ID may have come about since.
            guard known.part.topic.isEmpty, let topic = topics[known.part.topicID] else { return known.part }
            return known.part.named(topic.name)
        }
    }

    /// The partitions in the request. One whose topic ID is not known has no name.
    private static func asked(_ request: FetchRequest, _ context: RequestContext) -> [FetchPart] {
        let topics = context.broker.metadata.topics
        return request.topics.flatMap { topic in
            let name =
                context.version >= 13 ? topics[topic.topicID]?.name ?? "" : topic.topic
            return topic.partitions.map { FetchPart($0, topic: name, topicID: topic.topicID) }
        }
    }

    private static func refuse(_ context: RequestContext, _ error: ErrorCode) {
        context.logRefusal("fetch session refused") { [LogField("error", error)] }
        context.respond(FetchResponse(errorCode: error))
    }
}
