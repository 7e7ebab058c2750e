import Coordinators
import LogStorage
import RecordFormat
import Replication
import Testing

@testable import Broker

@Suite struct CoordinatorErrorTests {
    private static let partition = TopicPartition(topic: "__consumer_offsets", partition: 3)

    @Test(
        "what passes has clients ask the same coordinator again, what does not has them look for another",
        arguments: [
            (.notEnoughReplicas(partition, inSync: 1, needed: 2), .unavailable),
            (.log(partition, .noSpace(path: "/d")), .unavailable),
            (.log(partition, .tooManyOpenFiles(path: "/d")), .unavailable),
            (.log(partition, .batchTooLarge(byteCount: 2, limit: 1)), .tooLarge),
            (.log(partition, .appendTooLarge(byteCount: 2, segmentByteCount: 1)), .tooLarge),
            (.log(partition, .directoryOffline(path: "/d", reason: "EIO")), .notLeader),
            (.unknownPartition(partition), .notLeader),
        ] as [(ReplicaError, CoordinatorLogError)])
    func mapping(error: ReplicaError, expected: CoordinatorLogError) {
        #expect(ErrorMapping.coordinatorError(error) == expected)
    }
}
