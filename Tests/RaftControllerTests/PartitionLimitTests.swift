import ClusterMetadata
import KafkaProtocol
import Testing

@testable import RaftController

@Suite("How many partitions a broker takes")
struct PartitionLimitTests {
    @Test("a quarter of the open files is kept, and one partition more than the rest is refused by name")
    func limit() throws {
        let limit = PartitionLimit(openFileLimit: 20_000)
        #expect(limit.count == 15_000)
        try limit.check(5_000, besides: 10_000)
        let refusal = #expect(throws: CommandRefusal.self) { try limit.check(5_001, besides: 10_000) }
        #expect(refusal?.code == .policyViolation)
        let message = refusal?.message ?? ""
        #expect(message.contains("20000") && message.contains("15000") && message.contains("ulimit -n"))
    }

    @Test("topics and further partitions of one request are counted together with those that are there")
    func commands() throws {
        var policy = CommandPolicy(rules: .permissive)
        policy.partitionLimit = PartitionLimit(openFileLimit: 16)
        var image = try brokersImage(1)
        let made = try image.run(
            CreateTopics(topics: [
                .init(name: "a", partitionCount: 8), .init(name: "b", partitionCount: 5),
                .init(name: "c", partitionCount: 3),
            ]), policy: policy)
        let codes = made.map { outcome -> ErrorCode? in
            if case .failure(let refusal) = outcome.result { refusal.code } else { nil }
        }
        #expect(codes == [nil, .policyViolation, nil])
        let grown = try image.run(
            CreatePartitions(topics: [
                .init(name: "a", partitionCount: 9), .init(name: "c", partitionCount: 4),
            ]), policy: policy)
        #expect(grown.map(\.refusal?.code) == [nil, .policyViolation])
        #expect(image.topics.partitionCount == 12)
    }
}
