import ClusterMetadata
import KafkaProtocol
import LogStorage
import RaftController
import RecordFormat

let metadataFuzzers: [Fuzzer] = [
    Fuzzer(
        name: "metadata-record", seeds: { goodRecords.map { recordBytes($0) } },
        run: checkRecord),
    Fuzzer(
        name: "metadata-image",
        seeds: {
            [
                goodRecords.flatMap { record -> [UInt8] in
                    let bytes = recordBytes(record)
                    return [UInt8(bytes.count)] + bytes
                }
            ]
        },
        run: { input in try checkSnapshot(of: imageOfRecords(input)) }),
    Fuzzer(
        name: "metadata-snapshot", seeds: { [snapshotBytes(goodImage)] },
        run: { input in try checkSnapshot(of: readSnapshot(input)) }),
    Fuzzer(
        name: "quorum-state",
        seeds: {
            [
                QuorumStateFile.encode(QuorumState(leaderID: 1, leaderEpoch: LeaderEpoch(3))),
                Array(
                    (#"{"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,"#
                        + #""currentVoters":[{"voterId":1}],"data_version":0}"#).utf8),
            ]
        },
        run: { input in
            var state = try QuorumStateFile.parse(input, path: "quorum-state")
            state.voters = nil
            let again = try QuorumStateFile.parse(QuorumStateFile.encode(state), path: "quorum-state")
            if again != state { throw FuzzFailure("\(state) comes back as \(again)") }
        }),
]

private let goodRecords: [MetadataRecord] = {
    let topic = TopicID(UniqueID(high: 1, low: 2))
    let directory = DirectoryID(UniqueID(high: 3, low: 4))
    let entity = ClientQuotaEntity(user: "u", clientID: nil)
    return [
        .featureLevel(FeatureLevelRecord(name: "metadata.version", featureLevel: 21)),
        .registerBroker(
            RegisterBrokerRecord(
                brokerID: 1, incarnationID: UniqueID(high: 5, low: 6), brokerEpoch: 7,
                endPoints: [.init(name: "PLAINTEXT", host: "h", port: 9092)],
                features: [.init(name: "f", minSupportedVersion: 1, maxSupportedVersion: 2)], rack: "r",
                fenced: false, logDirs: [directory])),
        .topic(TopicRecord(name: "a.b", topicID: topic)),
        .partition(
            PartitionRecord(
                partitionID: 0, topicID: topic, replicas: [1], inSyncReplicas: [1], leader: 1,
                leaderEpoch: LeaderEpoch(0), partitionEpoch: 0, directories: [directory])),
        .partitionChange(
            PartitionChangeRecord(partitionID: 0, topicID: topic, inSyncReplicas: [1, 2], leader: 1)),
        .configuration(ConfigRecord(resourceType: 2, resourceName: "a.b", name: "k", value: "v")),
        .clientQuota(entity.record("producer_byte_rate", 5)),
        .producerIDs(ProducerIDsRecord(brokerID: 1, brokerEpoch: 7, nextProducerID: ProducerID(1000))),
        .brokerRegistrationChange(
            BrokerRegistrationChangeRecord(brokerID: 1, brokerEpoch: 7, fenced: 1)),
        .removeTopic(RemoveTopicRecord(topicID: topic)),
    ]
}()

private let goodImage: MetadataImage = {
    var image = MetadataImage()
    for record in goodRecords.dropLast() { try? image.apply(record) }
    return image
}()

private func recordBytes(_ record: MetadataRecord) -> [UInt8] {
    (try? record.encoded(.standard)) ?? []
}

/// The image of records that each have their length, a byte, before them.
private func imageOfRecords(_ input: [UInt8]) throws -> MetadataImage {
    var image = MetadataImage()
    var rest = input[...]
    while let count = rest.popFirst() {
        let bytes = Array(rest.prefix(Int(count)))
        rest = rest.dropFirst(Int(count))
        let record = try MetadataRecord(decoding: bytes.span.bytes)
        try image.apply(record)
    }
    return image
}

private func snapshotBytes(_ image: MetadataImage) -> [UInt8] {
    var bytes: [UInt8] = []
    let id = MetadataSnapshotID(endOffset: Offset(100), epoch: LeaderEpoch(3))
    MetadataSnapshotWriter.write(image, id, lastTimestamp: Timestamp(1), now: Timestamp(2)) { bytes += $0 }
    return bytes
}

private func readSnapshot(_ bytes: [UInt8]) throws -> MetadataImage {
    var reader = MetadataSnapshotReader()
    var position = 0
    while position < bytes.count {
        let rest = bytes.span.bytes.extracting(position..<bytes.count)
        let header = try RecordBatchHeader(parsing: rest)
        guard header.byteCount <= rest.byteCount else { throw MetadataSnapshotError.missingFooter }
        try reader.take(rest.extracting(0..<header.byteCount), header: header)
        position += header.byteCount
    }
    return try reader.finish().0
}

/// What is decoded comes back when it is encoded in the newest version, which carries whatever an older one
/// does.
private func checkRecord(_ input: [UInt8]) throws {
    let record = try MetadataRecord(decoding: input.span.bytes)
    let bytes = try record.encoded(.newest)
    let again = try MetadataRecord(decoding: bytes.span.bytes)
    // A number that is none is not equal to itself.
    if record == record && again != record { throw FuzzFailure("\(record) comes back as \(again)") }
}

/// Whatever image records can make, its snapshot makes it again.
private func checkSnapshot(of image: MetadataImage) throws {
    let again: MetadataImage
    do {
        again = try readSnapshot(snapshotBytes(image))
    } catch {
        throw FuzzFailure("a snapshot cannot be read back: \(error)")
    }
    if image == image && again != image { throw FuzzFailure("a snapshot gives another image") }
}
