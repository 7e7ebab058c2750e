import Base
import ClusterMetadata
import KafkaProtocol
import RecordFormat
import Testing

@testable import RaftController

@Suite("Commands about brokers, leaders and the rest")
struct BrokerCommandTests {
    private func register(_ id: Int32, incarnation: UInt64, isAlive: Bool = false) -> RegisterBroker {
        RegisterBroker(
            brokerID: id, incarnationID: UniqueID(high: 7, low: incarnation),
            endpoints: [NodeEndpoint(name: "PLAINTEXT", host: "h", port: 1)],
            directories: [DirectoryID(UniqueID(high: 90, low: UInt64(id)))], isAlive: isAlive,
            wasShutDownCleanly: false)
    }

    private func code<Outcome>(_ body: () throws -> Outcome) -> ErrorCode? {
        do {
            _ = try body()
            return nil
        } catch let error as CommandRefusal {
            return error.code
        } catch {
            return .unknownServerError
        }
    }

    @Test("a broker registers fenced, and is counted on when it calls")
    func registration() throws {
        var image = MetadataImage()
        let epoch = try image.run(register(1, incarnation: 1)).epoch
        #expect(epoch == 100)
        #expect(image.brokers[1]?.isFenced == true)
        // Asked again.
        #expect(try image.run(register(1, incarnation: 1)).epoch == epoch)
        let heartbeat = BrokerHeartbeat(brokerID: 1, brokerEpoch: epoch)
        #expect(try image.run(heartbeat) == .init(isFenced: false, mayShutDown: false))
        #expect(image.brokers[1]?.isFenced == false)
        #expect(code { try image.run(register(1, incarnation: 2)) } == .duplicateBrokerRegistration)
        #expect(
            code { try image.run(BrokerHeartbeat(brokerID: 1, brokerEpoch: 3)) } == .staleBrokerEpoch)
        #expect(
            code { try image.run(BrokerHeartbeat(brokerID: 5, brokerEpoch: 3)) } == .brokerIDNotRegistered)
        var old = register(2, incarnation: 1)
        old.features = ["metadata.version": 1...3]
        #expect(code { try image.run(old) } == .unsupportedVersion)
        #expect(try image.run(UnregisterBroker(brokerID: 1)))
        #expect(image.brokers.count == 0)
    }

    @Test("leaders move away from a fenced broker and come back; the last in sync stays in sync")
    func fencing() throws {
        var image = try brokersImage(3)
        _ = try image.run(
            CreateTopics(topics: [
                .init(name: "a", assignments: [0: [1, 2, 3]]), .init(name: "b", assignments: [0: [1]]),
            ]))
        _ = try image.run(FenceBroker(brokerID: 1))
        let id = try #require(image.topics.id(named: "a"))
        let other = try #require(image.topics.id(named: "b"))
        let shared = try #require(image.topics[id, 0])
        #expect(shared.leader == 2)
        #expect(shared.inSyncReplicas == [2, 3])
        #expect(shared.leaderEpoch == LeaderEpoch(1))
        let alone = try #require(image.topics[other, 0])
        #expect(alone.leader == PartitionImage.noLeader)
        #expect(alone.inSyncReplicas == [1])
        _ = try image.run(BrokerHeartbeat(brokerID: 1, brokerEpoch: 1))
        #expect(image.topics[id, 0]?.leader == 2)
        #expect(image.topics[other, 0]?.leader == 1)
        #expect(image.topics[other, 0]?.leaderEpoch == LeaderEpoch(2))
    }

    @Test("a broker that wants to stop hands over what others can take, and keeps the rest to the end")
    func controlledShutdown() throws {
        var image = try brokersImage(2)
        _ = try image.run(CreateTopics(topics: [.init(name: "a", assignments: [0: [1, 2]])]))
        _ = try image.run(CreateTopics(topics: [.init(name: "b", assignments: [0: [1]])]))
        let request = BrokerHeartbeat(brokerID: 1, brokerEpoch: 1, wantsShutDown: true)
        #expect(try !image.run(request).mayShutDown)
        #expect(image.topics["a"]?.partitions[0].leader == 2)
        #expect(image.topics["a"]?.partitions[0].inSyncReplicas == [2])
        #expect(image.topics["b"]?.partitions[0].leader == 1)
        #expect(try image.run(request).mayShutDown)
    }

    @Test("an unclean leader is elected only where it is allowed")
    func uncleanLeader() throws {
        var image = try brokersImage(2)
        _ = try image.run(
            CreateTopics(topics: [
                .init(
                    name: "a", assignments: [0: [1, 2]],
                    configuration: ["unclean.leader.election.enable": "true"]),
                .init(name: "b", assignments: [0: [1, 2]]),
            ]))
        for name in ["a", "b"] {
            let id = try #require(image.topics.id(named: name))
            try image.apply(
                .partitionChange(PartitionChangeRecord(partitionID: 0, topicID: id, inSyncReplicas: [1])))
        }
        _ = try image.run(FenceBroker(brokerID: 1))
        let unclean = try #require(image.topics["a"]?.partitions[0])
        #expect(unclean.leader == 2)
        #expect(unclean.inSyncReplicas == [2])
        #expect(unclean.leaderRecoveryState == .recovering)
        #expect(image.topics["b"]?.partitions[0].leader == PartitionImage.noLeader)
    }

    @Test("a leader changes who is in sync, if it knows the epochs and names those who can be")
    func alterPartition() throws {
        var image = try brokersImage(4, fenced: [3])
        _ = try image.run(CreateTopics(topics: [.init(name: "a", assignments: [0: [1, 2, 3]])]))
        let id = try #require(image.topics.id(named: "a"))
        func alter(
            _ inSync: [Int32: Int64?], leaderEpoch: Int32 = 0, partitionEpoch: Int32 = 0,
            from broker: Int32 = 1,
            topic: TopicID? = nil, partition: Int32 = 0
        ) throws -> ErrorCode? {
            let outcomes = try image.run(
                AlterPartition(
                    brokerID: broker, brokerEpoch: Int64(broker),
                    changes: [
                        .init(
                            topicID: topic ?? id, partition: partition,
                            leaderEpoch: LeaderEpoch(leaderEpoch), partitionEpoch: partitionEpoch,
                            inSyncReplicas: inSync)
                    ]))
            if case .failure(let refusal) = outcomes[0].result { return refusal.code }
            return nil
        }
        #expect(try alter([1: nil], leaderEpoch: -1) == .fencedLeaderEpoch)
        #expect(try alter([1: nil], leaderEpoch: 1) == .notController)
        #expect(try alter([1: nil], partitionEpoch: 1) == .notController)
        #expect(try alter([1: nil, 2: nil], from: 2) == .invalidRequest)
        #expect(try alter([2: nil]) == .invalidRequest)
        #expect(try alter([1: nil, 4: nil]) == .invalidRequest)
        #expect(try alter([1: nil, 3: nil]) == .ineligibleReplica)
        #expect(try alter([1: nil, 2: 77]) == .ineligibleReplica)
        #expect(try alter([1: nil], partition: 9) == .unknownTopicOrPartition)
        #expect(try alter([1: nil], topic: TopicID(UniqueID(high: 1, low: 1))) == .unknownTopicID)
        #expect(try alter([1: nil]) == nil)
        #expect(image.topics[id, 0]?.inSyncReplicas == [1])
        #expect(image.topics[id, 0]?.leaderEpoch == LeaderEpoch(1))
        #expect(try alter([1: nil, 2: 2], leaderEpoch: 1) == .invalidUpdateVersion)
        #expect(try alter([2: 2, 1: 1], leaderEpoch: 1, partitionEpoch: 1) == nil)
        #expect(image.topics[id, 0]?.inSyncReplicas == [1, 2])
        #expect(image.topics[id, 0]?.leaderEpoch == LeaderEpoch(1))
    }

    @Test("quotas are checked as Kafka does")
    func quotas() throws {
        var image = MetadataImage()
        func alter(
            _ parts: [ClientQuotaEntity.Part], _ values: [String: Double?]
        ) throws -> ErrorCode? {
            try image.run(AlterClientQuotas([.init(ClientQuotaEntity(parts), values)]))[0].refusal?.code
        }
        let user = ClientQuotaEntity.Part(type: "user", name: "u")
        #expect(try alter([user], ["producer_byte_rate": 1000, "request_percentage": 12.5]) == nil)
        #expect(try alter([user], ["producer_byte_rate": 0]) == .invalidRequest)
        #expect(try alter([user], ["producer_byte_rate": 1.5]) == .invalidRequest)
        #expect(try alter([user], ["nonsense": 1]) == .invalidRequest)
        #expect(try alter([user], ["connection_creation_rate": 1]) == .invalidRequest)
        #expect(try alter([], ["producer_byte_rate": 1]) == .invalidRequest)
        #expect(try alter([user, user], ["producer_byte_rate": 1]) == .invalidRequest)
        #expect(try alter([.init(type: "x", name: "u")], ["producer_byte_rate": 1]) == .invalidRequest)
        #expect(try alter([.init(type: "ip", name: "1.2.3.4")], ["connection_creation_rate": 1]) == nil)
        #expect(
            try alter([.init(type: "ip", name: "here")], ["connection_creation_rate": 1])
                == .invalidRequest)
        #expect(
            try alter([user, .init(type: "ip", name: "1.2.3.4")], ["producer_byte_rate": 1])
                == .invalidRequest)
        #expect(try alter([user], ["producer_byte_rate": nil, "request_percentage": nil]) == nil)
        #expect(image.clientQuotas[ClientQuotaEntity([user])].isEmpty)
    }

    @Test("settings of what does not exist are refused")
    func settings() throws {
        var image = try brokersImage(1)
        func alter(_ resource: ConfigurationResource, _ value: String? = "1") throws -> ErrorCode? {
            try image.run(
                IncrementalAlterConfigurations([
                    .init(resource, [.init(name: "x", operation: .set, value: value)])
                ]))[0].refusal?.code
        }
        #expect(try alter(.broker(1)) == nil)
        #expect(try alter(.allBrokers) == nil)
        #expect(try alter(.broker(2)) == .brokerIDNotRegistered)
        #expect(try alter(.init(.broker, "one")) == .invalidRequest)
        #expect(try alter(.init(.brokerLogger, "1")) == .invalidRequest)
        #expect(try alter(.topic("none")) == .unknownTopicOrPartition)
        #expect(try alter(.broker(1), nil) == .invalidRequest)
        #expect(try alter(.init(.clientMetrics, "")) == .invalidRequest)
        #expect(try alter(.init(.clientMetrics, "m")) == nil)
    }

    @Test("entries are added to the list that holds, and only to lists; nothing is changed twice at once")
    func lists() throws {
        var image = try brokersImage(1)
        let rules = ConfigurationRules(
            problem: { _, values in values["list"] == "" ? "the list is empty" : nil },
            isList: { _, name in name == "list" }, defaultValue: { _, _ in "delete" })
        func alter(_ changes: [IncrementalAlterConfigurations.Change]) throws -> ErrorCode? {
            try image.run(
                IncrementalAlterConfigurations([.init(.allBrokers, changes)]),
                policy: CommandPolicy(rules: rules))[0].refusal?.code
        }
        func stored() -> String? { image.configurations[.allBrokers]["list"] }
        #expect(try alter([.init(name: "list", operation: .append, value: "compact,compact")]) == nil)
        #expect(stored() == "delete,compact")
        #expect(try alter([.init(name: "list", operation: .subtract, value: "other,delete")]) == nil)
        #expect(stored() == "compact")
        #expect(try alter([.init(name: "list", operation: .subtract, value: "compact")]) == .invalidConfig)
        #expect(try alter([.init(name: "number", operation: .append, value: "1")]) == .invalidConfig)
        #expect(
            try alter([
                .init(name: "list", operation: .delete), .init(name: "list", operation: .set, value: "x"),
            ]) == .invalidRequest)
        #expect(stored() == "compact")
        #expect(try alter([.init(name: "list", operation: .delete)]) == nil)
        #expect(stored() == nil)
    }

    @Test("replicas are placed evenly, and over all racks", arguments: 1...20)
    func placement(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let brokerCount = Int32.random(in: 1...9, using: &generator)
        let rackCount = Int.random(in: 1...3, using: &generator)
        let image = try brokersImage(
            brokerCount, racks: (0..<rackCount).map { rackCount == 1 ? nil : "r\($0)" })
        var placer = ReplicaPlacer(image.brokers.sorted, holding: image.topics, &generator)
        placer.beginTopic()
        let factor = Int.random(in: 1...Int(brokerCount), using: &generator)
        let partitions = (0..<Int(brokerCount) * 6).map { _ in placer.place(factor) }
        var leaders: [Int32: Int] = [:]
        var replicas: [Int32: Int] = [:]
        for partition in partitions {
            #expect(Set(partition).count == factor)
            leaders[partition[0], default: 0] += 1
            for replica in partition { replicas[replica, default: 0] += 1 }
            let racks = Set(partition.map { image.brokers[$0]?.rack ?? "\($0)" })
            let there = Set(image.brokers.sorted.map { $0.rack ?? "\($0.id)" })
            #expect(racks.count == min(factor, there.count))
        }
        #expect((leaders.values.max() ?? 0) - (leaders.values.min() ?? 0) <= 1)
        #expect(leaders.count == Int(brokerCount))
        if rackCount == 1 {
            #expect((replicas.values.max() ?? 0) - (replicas.values.min() ?? 0) <= 2)
        }
    }

    @Test("fenced brokers are chosen last, and topics even each other out")
    func placementAcrossTopics() throws {
        var image = try brokersImage(4, fenced: [4])
        for number in 0..<30 {
            _ = try image.run(
                CreateTopics(topics: [.init(name: "t\(number)", partitionCount: 1)]),
                seed: UInt64(number))
        }
        let leaders = image.topics.all.map { $0.partitions[0].leader }
        for broker in Int32(1)...3 { #expect(leaders.count { $0 == broker } == 10) }
    }
}
