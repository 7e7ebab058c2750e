internal import Base
internal import KafkaProtocol
public import RecordFormat
internal import Transport

/// An offset by what it is.
public enum OffsetQuery: Hashable, Sendable {
    case earliest
    /// Behind the last record; with `readCommitted` before the first open transaction.
    case latest
    /// The first record with this time or a later one.
    case timestamp(Timestamp)
    /// The record with the largest timestamp (KIP-734).
    case largestTimestamp

    init(_ start: StartPosition) {
        switch start {
        case .earliest, .offset: self = .earliest
        case .latest, .last: self = .latest
        case .timestamp(let time): self = .timestamp(time)
        }
    }

    var wireTimestamp: Int64 {
        switch self {
        case .earliest: -2
        case .latest: -1
        case .largestTimestamp: -3
        case .timestamp(let time): time.rawValue
        }
    }
}

/// What a leader says of an offset.
public struct FoundOffset: Hashable, Sendable {
    /// -1 where no record fits.
    public let offset: Offset
    public let timestamp: Timestamp
    public let leaderEpoch: LeaderEpoch
}

/// Asks leaders for offsets.
enum OffsetLookup {
    typealias Results = [TopicPartition: Result<FoundOffset, ClientError>]

    /// Asks one broker, once.
    static func ask(
        _ core: ClientCore, _ partitions: [TopicPartition], _ query: OffsetQuery, isolation: IsolationLevel,
        at node: Int32, milliseconds: Int64, _ completion: @escaping (Results) -> Void
    ) {
        guard let connection = core.connection(node) else {
            let error = ClientError.unreachable(attempts: ["broker \(node) is not part of the cluster"])
            return completion(every(partitions, error))
        }
        var topics: [String: [ListOffsetsRequest.ListOffsetsPartition]] = [:]
        for partition in partitions {
            topics[partition.topic, default: []].append(
                ListOffsetsRequest.ListOffsetsPartition(
                    partitionIndex: partition.partition, currentLeaderEpoch: .none,
                    timestamp: query.wireTimestamp))
        }
        let request = ListOffsetsRequest(
            replicaID: -1, isolationLevel: isolation.rawValue,
            topics: topics.map { ListOffsetsRequest.ListOffsetsTopic(name: $0, partitions: $1) },
            timeoutMilliseconds: Int32(clamping: milliseconds))
        let oldest: Int16 = query == .largestTimestamp ? 7 : isolation == .readCommitted ? 2 : 1
        let versions = oldest...ListOffsetsRequest.versions.upperBound
        core.send(request, to: connection, versions: versions, milliseconds: milliseconds) { result in
            switch result {
            case .failure(let error): completion(every(partitions, error))
            case .success(let answer): completion(read(answer, partitions))
            }
        }
    }

    private static func every(_ partitions: [TopicPartition], _ error: ClientError) -> Results {
        Dictionary(partitions.map { ($0, .failure(error)) }, uniquingKeysWith: { first, _ in first })
    }

    private static func read(_ answer: Answer<ListOffsetsResponse>, _ partitions: [TopicPartition]) -> Results
    {
        var results = every(
            partitions,
            .malformed(
                broker: answer.broker, api: .listOffsets, reason: "nothing is said about the partition"))
        for topic in answer.body.topics {
            for found in topic.partitions {
                let partition = TopicPartition(topic: topic.name, partition: found.partitionIndex)
                if found.errorCode == .none {
                    results[partition] = .success(
                        FoundOffset(
                            offset: found.offset, timestamp: Timestamp(found.timestamp),
                            leaderEpoch: found.leaderEpoch))
                } else {
                    results[partition] = .failure(
                        .refused(
                            broker: answer.broker, api: .listOffsets, subject: "\(partition)",
                            code: found.errorCode, message: nil))
                }
            }
        }
        return results
    }
}

/// Asks for the offsets of partitions wherever they are led, again after failures that may pass.
final class OffsetSearch {
    private let core: ClientCore
    private let query: OffsetQuery
    private let isolation: IsolationLevel
    private let deadline: UInt64
    private let completion: (Result<[TopicPartition: FoundOffset], ClientError>) -> Void
    private var left: Set<TopicPartition>
    private var found: [TopicPartition: FoundOffset] = [:]
    private var open = 0
    private var lastError: ClientError?
    private var backoff: Backoff

    init(
        _ core: ClientCore, _ partitions: [TopicPartition], _ query: OffsetQuery, _ isolation: IsolationLevel,
        _ completion: @escaping (Result<[TopicPartition: FoundOffset], ClientError>) -> Void
    ) {
        self.core = core
        self.query = query
        self.isolation = isolation
        self.completion = completion
        left = Set(partitions)
        deadline = core.lane.moment(afterMilliseconds: core.configuration.apiMilliseconds)
        backoff = core.makeBackoff()
    }

    /// Begins, or goes on with what is left.
    func run() {
        if left.isEmpty { return completion(.success(found)) }
        let topics = Set(left.map(\.topic))
        open = topics.count
        lastError = nil
        for topic in topics {
            core.metadata.topic(topic, milliseconds: 5_000, mayCreate: false) { [self] result in
                if case .failure(let error) = result { lastError = error }
                open -= 1
                if open > 0 { return }
                if let lastError { return completion(.failure(lastError)) }
                ask()
            }
        }
    }

    private func ask() {
        var byNode: [Int32: [TopicPartition]] = [:]
        for partition in left {
            guard let described = core.metadata.leader(of: partition) else {
                let count = core.metadata.topics[partition.topic]?.partitions.count ?? 0
                return completion(
                    .failure(
                        .unknownPartition(
                            topic: partition.topic, partition: partition.partition,
                            reason: "it has \(count) partitions")))
            }
            if let leader = described.leader { byNode[leader, default: []].append(partition) }
        }
        if byNode.isEmpty { return again() }
        open = byNode.count
        for (node, partitions) in byNode {
            OffsetLookup.ask(
                core, partitions, query, isolation: isolation, at: node,
                milliseconds: core.configuration.requestMilliseconds
            ) { [self] results in
                for (partition, result) in results {
                    switch result {
                    case .success(let offset):
                        found[partition] = offset
                        left.remove(partition)
                    case .failure(let error): lastError = error
                    }
                }
                open -= 1
                if open == 0 { again() }
            }
        }
    }

    private func again() {
        if left.isEmpty { return completion(.success(found)) }
        if core.isClosed { return completion(.failure(.closed)) }
        let pause = core.pause(&backoff)
        let error = lastError ?? .unreachable(attempts: ["partitions have no leader"])
        if !error.isRetriable || core.lane.moment(afterMilliseconds: pause) >= deadline {
            return completion(.failure(error))
        }
        core.metadata.markStale()
        core.lane.schedule(afterMilliseconds: pause) { [self] in run() }
    }
}
