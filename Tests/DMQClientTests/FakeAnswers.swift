import Base
import KafkaProtocol
import RecordFormat
import SystemIO

/// What the fake broker answers to one request.
struct FakeAnswers {
    let broker: FakeBroker
    let frame: RequestFrame
    let slice: BufferSlice
    var refusal: ErrorCode?
    /// Whether the broker leads the partitions.
    var leads = true
    /// Whether it was a fetch, and there is nothing to read.
    private(set) var hasNothing = false

    init(_ broker: FakeBroker, _ frame: RequestFrame, _ slice: BufferSlice) {
        self.broker = broker
        self.frame = frame
        self.slice = slice
    }

    private func decode<Body: RequestMessage>(_ type: Body.Type) throws -> Body {
        try frame.decode(type, from: slice.bytes)
    }

    private func encode<Body: ResponseMessage>(_ body: Body, version: Int16? = nil) throws -> [UInt8] {
        var writer = MessageWriter()
        try writer.writeResponse(
            body, version: version ?? frame.header.apiVersion, correlationID: frame.header.correlationID)
        return writer.bytes
    }

    /// The frame of the answer with its length; nil where there is none.
    mutating func answer(_ api: APIKey) throws -> [UInt8]? {
        switch api {
        case .apiVersions: return try versions()
        case .metadata: return try metadata(decode(MetadataRequest.self))
        case .initProducerID: return try identity()
        case .produce: return try produce(decode(ProduceRequest.self))
        case .fetch: return try fetch(decode(FetchRequest.self))
        case .listOffsets: return try offsets(decode(ListOffsetsRequest.self))
        default: return try FakeAdminAnswers(self).answer(api)
        }
    }

    func encoded<Body: ResponseMessage>(_ body: Body) throws -> [UInt8] { try encode(body) }
    func decoded<Body: RequestMessage>(_ type: Body.Type) throws -> Body { try decode(type) }

    private func versions() throws -> [UInt8] {
        let limits = broker.state.withLock { $0.maximumVersions }
        let list = FakeBroker.served.compactMap { api -> APIVersionsResponse.APIVersion? in
            let all = MessageVersions.of(api)
            let last = min(all.upperBound, limits[api] ?? .max)
            if last < all.lowerBound { return nil }
            return APIVersionsResponse.APIVersion(
                apiKey: api.rawValue, minVersion: all.lowerBound, maxVersion: last)
        }
        let newest = min(APIVersionsRequest.versions.upperBound, limits[.apiVersions] ?? .max)
        if frame.header.apiVersion > newest {
            return try encode(
                APIVersionsResponse(errorCode: .unsupportedVersion, apiKeys: list), version: 0)
        }
        return try encode(APIVersionsResponse(apiKeys: list))
    }

    private func metadata(_ request: MetadataRequest) throws -> [UInt8] {
        let response = broker.state.withLock { state in
            let names = request.topics.map { $0.compactMap(\.name) } ?? state.topics.keys.sorted()
            let topics = names.map { name in
                guard refusal == nil, let logs = state.topics[name] else {
                    return MetadataResponse.MetadataResponseTopic(
                        errorCode: refusal ?? .unknownTopicOrPartition, name: name)
                }
                return MetadataResponse.MetadataResponseTopic(
                    name: name, topicID: state.ids[name] ?? .none,
                    partitions: logs.indices.map {
                        MetadataResponse.MetadataResponsePartition(
                            partitionIndex: Int32($0), leaderID: state.staleLeader?.leader ?? state.leader,
                            leaderEpoch: LeaderEpoch(state.staleLeader?.epoch ?? state.leaderEpoch),
                            replicaNodes: state.brokers.keys.sorted(),
                            inSyncReplicasNodes: state.brokers.keys.sorted())
                    })
            }
            return MetadataResponse(
                brokers: state.brokers.sorted { $0.key < $1.key }.map {
                    MetadataResponse.MetadataResponseBroker(
                        nodeID: $0.key, host: "127.0.0.1", port: Int32($0.value))
                }, clusterID: "fake", controllerID: 1, topics: topics)
        }
        return try encode(response)
    }

    private func identity() throws -> [UInt8] {
        let id = broker.state.withLock { state in
            defer { state.nextProducerID += 1 }
            return state.nextProducerID
        }
        return try encode(
            InitProducerIDResponse(
                errorCode: refusal ?? .none, producerID: ProducerID(id), producerEpoch: ProducerEpoch(0)))
    }

    private var hint: (leader: Int32, epoch: Int32)? { broker.state.withLock(\.hint) }
    private var throttle: Int32 { broker.state.withLock(\.throttleMilliseconds) }

    private func produce(_ request: ProduceRequest) throws -> [UInt8]? {
        let bytes = slice.bytes
        var responses: [ProduceResponse.TopicProduceResponse] = []
        for topic in request.topicData {
            var partitions: [ProduceResponse.PartitionProduceResponse] = []
            for data in topic.partitionData {
                let batch = data.records?.range.map { [UInt8](copying: bytes.extracting($0)) } ?? []
                let (code, offset) = broker.state.withLock { state -> (ErrorCode, Int64) in
                    if let refusal { return (refusal, -1) }
                    if !leads { return (.notLeaderOrFollower, -1) }
                    let name = state.ids.first { $0.value == topic.topicID }?.key ?? topic.name
                    guard state.topics[name]?.indices.contains(Int(data.index)) == true else {
                        return (.unknownTopicOrPartition, -1)
                    }
                    var counts = (outOfOrder: 0, duplicates: 0)
                    let result = FakeBroker.append(
                        batch, &state.topics[name]![Int(data.index)], &counts)
                    state.outOfOrder += counts.outOfOrder
                    state.duplicates += counts.duplicates
                    return result
                }
                var answer = ProduceResponse.PartitionProduceResponse(
                    index: data.index, errorCode: code, baseOffset: Offset(offset),
                    logAppendTimeMilliseconds: -1, logStartOffset: .zero)
                if !leads, let hint, frame.header.apiVersion >= 10 {
                    answer.currentLeader = ProduceResponse.LeaderIDAndEpoch(
                        leaderID: hint.leader, leaderEpoch: LeaderEpoch(hint.epoch))
                }
                partitions.append(answer)
            }
            responses.append(
                ProduceResponse.TopicProduceResponse(
                    name: topic.name, topicID: topic.topicID, partitionResponses: partitions))
        }
        if request.acks == 0 { return nil }
        var response = ProduceResponse(responses: responses, throttleTimeMilliseconds: throttle)
        if !leads, hint != nil, frame.header.apiVersion >= 10 {
            response.nodeEndpoints = broker.state.withLock(\.brokers).map {
                ProduceResponse.NodeEndpoint(nodeID: $0, host: "127.0.0.1", port: Int32($1))
            }
        }
        return try encode(response)
    }

    private func offsets(_ request: ListOffsetsRequest) throws -> [UInt8] {
        let topics = broker.state.withLock { state in
            request.topics.map { topic in
                ListOffsetsResponse.ListOffsetsTopicResponse(
                    name: topic.name,
                    partitions: topic.partitions.map { asked in
                        let log = state.topics[topic.name]?[Int(asked.partitionIndex)] ?? FakeBroker.Log()
                        let found = Self.find(asked.timestamp, log)
                        return ListOffsetsResponse.ListOffsetsPartitionResponse(
                            partitionIndex: asked.partitionIndex,
                            errorCode: refusal ?? (leads ? .none : .notLeaderOrFollower),
                            timestamp: found.1, offset: Offset(found.0), leaderEpoch: LeaderEpoch(0))
                    })
            }
        }
        return try encode(ListOffsetsResponse(topics: topics))
    }

    private static func find(_ timestamp: Int64, _ log: FakeBroker.Log) -> (Int64, Int64) {
        if timestamp == -2 { return (0, -1) }
        if timestamp == -1 { return (log.nextOffset, -1) }
        let decompressor = Decompressor()
        for batch in log.batches {
            guard let header = try? RecordBatchHeader(parsing: batch.span.bytes),
                let records = try? RecordBatch.records(
                    of: batch.span.bytes, header: header, decompressor: decompressor)
            else { continue }
            if let found = records.first(where: { $0.timestamp.rawValue >= timestamp }) {
                return (found.offset.rawValue, found.timestamp.rawValue)
            }
        }
        return (-1, -1)
    }

    private mutating func fetch(_ request: FetchRequest) throws -> [UInt8] {
        let version = frame.header.apiVersion
        let (refusal, leads) = (refusal, leads)
        let response: FetchResponse = broker.state.withLock { state in
            state.fetchVersions.insert(version)
            if let refusal { return FetchResponse(errorCode: refusal) }
            var session = request.sessionID
            if version < 7 {
                // Before there were sessions every request said everything.
                session = 0
                state.sessionPartitions[session] = [:]
            } else if request.sessionEpoch > 0 {
                guard state.sessions[session] == request.sessionEpoch else {
                    return FetchResponse(errorCode: .invalidFetchSessionEpoch)
                }
                state.incrementalFetches += 1
            } else {
                session = state.nextSession
                state.nextSession += 1
                state.sessionPartitions[session] = [:]
            }
            if session > 0 { state.sessions[session] = request.sessionEpoch + 1 }
            var wanted = state.sessionPartitions[session] ?? [:]
            for topic in request.topics {
                let name = version >= 13 ? state.ids.first { $0.value == topic.topicID }?.key : topic.topic
                for partition in topic.partitions {
                    wanted[TopicPartition(topic: name ?? "", partition: partition.partition)] =
                        partition.fetchOffset.rawValue
                }
            }
            for topic in request.forgottenTopicsData {
                let name = version >= 13 ? state.ids.first { $0.value == topic.topicID }?.key : topic.topic
                for partition in topic.partitions {
                    wanted[TopicPartition(topic: name ?? "", partition: partition)] = nil
                }
            }
            state.sessionPartitions[session] = wanted
            return FetchResponse(sessionID: session, responses: Self.read(wanted, state, leads))
        }
        hasNothing = response.errorCode == .none && response.responses.isEmpty
        return try encode(hinted(response))
    }

    /// The answer with what it says of the quota, and of the leader where the broker does not lead.
    private func hinted(_ response: FetchResponse) -> FetchResponse {
        var response = response
        response.throttleTimeMilliseconds = throttle
        guard !leads, let hint, frame.header.apiVersion >= 16 else { return response }
        response.nodeEndpoints = broker.state.withLock(\.brokers).map {
            FetchResponse.NodeEndpoint(nodeID: $0, host: "127.0.0.1", port: Int32($1))
        }
        for topic in response.responses.indices {
            for place in response.responses[topic].partitions.indices {
                response.responses[topic].partitions[place].currentLeader = FetchResponse.LeaderIDAndEpoch(
                    leaderID: hint.leader, leaderEpoch: LeaderEpoch(hint.epoch))
            }
        }
        return response
    }

    /// One batch of each partition, so that reading takes several fetches.
    private static func read(
        _ wanted: [TopicPartition: Int64], _ state: FakeBroker.State, _ leads: Bool
    ) -> [FetchResponse.FetchableTopicResponse] {
        wanted.sorted { $0.key.partition < $1.key.partition }.compactMap { place, offset in
            guard let log = state.topics[place.topic]?[Int(place.partition)] else { return nil }
            let isOutside = offset > log.nextOffset || offset < 0
            let found = log.batches.first { batch in
                ((try? RecordBatchHeader(parsing: batch.span.bytes))?.nextOffset.rawValue ?? 0) > offset
            }
            if !leads {
                return FetchResponse.FetchableTopicResponse(
                    topic: place.topic, topicID: state.ids[place.topic] ?? .none,
                    partitions: [
                        FetchResponse.PartitionData(
                            partitionIndex: place.partition, errorCode: .notLeaderOrFollower,
                            highWatermark: Offset(-1), lastStableOffset: Offset(-1),
                            logStartOffset: Offset(-1), records: .inline([]))
                    ])
            }
            if found == nil && !isOutside { return nil }
            return FetchResponse.FetchableTopicResponse(
                topic: place.topic, topicID: state.ids[place.topic] ?? .none,
                partitions: [
                    FetchResponse.PartitionData(
                        partitionIndex: place.partition, errorCode: isOutside ? .offsetOutOfRange : .none,
                        highWatermark: Offset(log.nextOffset), lastStableOffset: Offset(log.nextOffset),
                        logStartOffset: .zero, records: .inline(isOutside ? [] : found ?? []))
                ])
        }
    }
}

/// The versions that are generated for an API.
enum MessageVersions {
    static func of(_ api: APIKey) -> ClosedRange<Int16> {
        switch api {
        case .produce: 3...ProduceRequest.versions.upperBound
        case .fetch: 4...FetchRequest.versions.upperBound
        case .listOffsets: 1...ListOffsetsRequest.versions.upperBound
        case .metadata: MetadataRequest.versions
        case .apiVersions: APIVersionsRequest.versions
        case .createTopics: 2...CreateTopicsRequest.versions.upperBound
        case .deleteTopics: 1...DeleteTopicsRequest.versions.upperBound
        case .deleteRecords: DeleteRecordsRequest.versions
        case .initProducerID: InitProducerIDRequest.versions
        case .describeConfigs: 1...DescribeConfigsRequest.versions.upperBound
        case .incrementalAlterConfigs: IncrementalAlterConfigsRequest.versions
        case .createPartitions: CreatePartitionsRequest.versions
        case .describeCluster: DescribeClusterRequest.versions
        case .describeLogDirs: 1...DescribeLogDirsRequest.versions.upperBound
        default: 0...0
        }
    }
}
