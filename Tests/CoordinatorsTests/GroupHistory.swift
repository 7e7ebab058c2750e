import KafkaProtocol
import RecordFormat
import Testing

@testable import Coordinators

/// What clients were told, against what the log has.
struct GroupHistory {
    private struct Commit: Hashable {
        let key: OffsetKey
        let offset: Int64
    }

    private struct Generation: Hashable {
        let group: String
        let number: Int32
    }

    /// Where in the log an offset was committed: more than once where the network doubled the request.
    private var places: [Commit: [Int]] = [:]
    /// The last place that anyone was told of.
    private var acknowledged: [OffsetKey: Int] = [:]
    /// When it was asked, how far it was known.
    private var known: [Int: [OffsetKey: Int]] = [:]
    private var work: [Generation: [UInt8]] = [:]
    private var owners: [Generation: [Int32: [UInt8]]] = [:]
    private(set) var commitCount = 0
    private(set) var fetchCount = 0
    private(set) var assignmentCount = 0
    private var lastGenerations: [String: Int32] = [:]
    private var recordGenerations: [(group: String, generation: Int32)?] = []

    mutating func appended(_ log: MemoryLog, from first: Int) {
        for place in first..<log.records.count {
            let bytes = log.records[place]
            recordGenerations.append(nil)
            guard let value = bytes.value,
                let record = try? GroupRecord(key: bytes.key.span.bytes, value: value.span.bytes)
            else { continue }
            switch record {
            case .offset(let key, let committed?):
                places[Commit(key: key, offset: committed.offset.rawValue), default: []].append(place)
            case .classicGroup(let id, let value?):
                #expect(value.generation >= lastGenerations[id] ?? 0, "generations of \(id) go back")
                lastGenerations[id] = value.generation
                recordGenerations[place] = (id, value.generation)
            default: break
            }
        }
    }

    mutating func truncated(to count: Int) {
        places = places.mapValues { $0.filter { $0 < count } }
        recordGenerations.removeLast(recordGenerations.count - count)
        lastGenerations = [:]
        for case (let id, let generation)? in recordGenerations { lastGenerations[id] = generation }
        for (key, place) in acknowledged { #expect(place < count, "an acknowledged \(key) is lost") }
    }

    mutating func sent(_ id: Int, _ request: GroupRequest) {
        if case .fetch = request { known[id] = acknowledged }
    }

    mutating func answered(
        _ id: Int, _ request: GroupRequest, _ response: GroupResponse, _ log: MemoryLog
    ) {
        switch (request, response) {
        case (.commit(let request, _), .commit(let answer)):
            for (topic, told) in zip(request.topics, answer.topics)
            where told.partitions[0].errorCode == .none {
                let partition = topic.partitions[0]
                let key = OffsetKey(
                    group: request.groupID, topic: topic.name, partition: partition.partitionIndex)
                let place = places[Commit(key: key, offset: partition.committedOffset.rawValue)]?.first
                #expect(place.map { $0 < log.committedCount } == true, "acknowledged, and not committed")
                acknowledged[key] = max(acknowledged[key] ?? -1, place ?? -1)
                commitCount += 1
            }
        case (.fetch(let request, _), .fetch(let answer)) where answer.errorCode == .none:
            for partition in answer.topics.flatMap(\.partitions) {
                let key = OffsetKey(
                    group: request.groupID, topic: "topic", partition: partition.partitionIndex)
                let offset = partition.committedOffset.rawValue
                let place =
                    offset < 0
                    ? -1
                    : places[Commit(key: key, offset: offset)]?.last { $0 < log.committedCount }
                #expect(place.map { $0 < log.committedCount } == true, "shown, and not committed")
                #expect(place ?? -1 >= known[id]?[key] ?? -1, "older than what was acknowledged before")
                fetchCount += 1
            }
        case (.sync(let request), .sync(let answer)) where answer.errorCode == .none:
            take(request, answer)
        default: break
        }
    }

    /// All members of a generation go by the work of one leader, through crashes too, and no two of them have
    /// the same partition.
    private mutating func take(_ request: SyncGroupRequest, _ answer: SyncGroupResponse) {
        guard let (nonce, partitions) = SimulatedMember.read(answer.assignment) else {
            Issue.record("a member without an assignment")
            return
        }
        let generation = Generation(group: request.groupID, number: request.generationID)
        #expect(work[generation] ?? nonce == nonce, "two leaders in \(generation)")
        work[generation] = nonce
        let identity = Array((request.groupInstanceID ?? request.memberID).utf8)
        for partition in partitions {
            let owner = owners[generation]?[partition] ?? identity
            #expect(owner == identity, "two owners of \(partition) in \(generation)")
            owners[generation, default: [:]][partition] = identity
        }
        assignmentCount += 1
    }
}
