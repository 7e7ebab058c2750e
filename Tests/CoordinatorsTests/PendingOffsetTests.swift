import KafkaProtocol
import RecordFormat
import Testing

@testable import Coordinators

/// Offsets of transactions: held until the marker, then the group's or nobody's.
@Suite struct PendingOffsetTests {
    private let producer = CoordinatorProducer(id: ProducerID(7), epoch: ProducerEpoch(0))

    @discardableResult
    private func commit(
        _ node: GroupNode, _ offset: Int64, by producer: CoordinatorProducer, group: String = "group",
        partition: Int32 = 0, member: String = "", generation: Int32 = -1, instance: String? = nil
    ) -> ErrorCode? {
        let request = TxnOffsetCommitRequest(
            transactionalID: "t", groupID: group, producerID: producer.id, producerEpoch: producer.epoch,
            generationID: generation, memberID: member, groupInstanceID: instance,
            topics: [
                .init(
                    name: "a",
                    partitions: [
                        .init(
                            partitionIndex: partition, committedOffset: Offset(offset), committedMetadata: "")
                    ])
            ])
        let reply = node.ask(.transactionalCommit(request))
        guard case .transactionalCommit(let response) = reply.value else { return nil }
        return response.topics.first?.partitions.first?.errorCode
    }

    private func end(_ node: GroupNode, _ producer: CoordinatorProducer, isCommit: Bool) {
        let reply = node.ask(
            .endTransaction(
                TransactionEnd(
                    producer: producer, isCommit: isCommit, coordinatorEpoch: 0, transactionVersion: 0)))
        guard case .transactionEnded(let code) = reply.value else {
            Issue.record("the end is not answered")
            return
        }
        #expect(code == .none)
    }

    private func stable(_ node: GroupNode) throws -> (ErrorCode, Int64) {
        let request = OffsetFetchRequest.OffsetFetchRequestGroup(
            groupID: "group", topics: [.init(name: "a", partitionIndexes: [0])])
        let reply = try #require(node.ask(.fetch(request, requireStable: true)).fetch)
        let partition = try #require(reply.topics.first?.partitions.first)
        return (partition.errorCode, partition.committedOffset.rawValue)
    }

    @Test("they are the group's once the transaction is committed, and not before", arguments: [true, false])
    func outcome(isCommit: Bool) throws {
        let node = try GroupNode()
        _ = node.ask(.commit([("a", 0, 5)]))
        #expect(commit(node, 9, by: producer) == ErrorCode.none)
        for _ in 0..<2 {
            #expect(try node.offset("a", 0) == 5)
            #expect(try stable(node) == (.unstableOffsetCommit, -1))
            try node.crash()
        }
        end(node, producer, isCommit: isCommit)
        for _ in 0..<2 {
            #expect(try node.offset("a", 0) == (isCommit ? 9 : 5))
            #expect(try stable(node) == (.none, isCommit ? 9 : 5))
            try node.crash()
        }
        #expect(node.machine.offsets.pendingCount == 0)
    }

    @Test("what was committed later counts, whenever the transaction ends")
    func order() throws {
        let node = try GroupNode()
        let other = CoordinatorProducer(id: ProducerID(8), epoch: ProducerEpoch(0))
        commit(node, 9, by: producer)
        commit(node, 11, by: other)
        _ = node.ask(.commit([("a", 0, 10)]))
        end(node, other, isCommit: true)
        #expect(try node.offset("a", 0) == 10)
        end(node, producer, isCommit: true)
        #expect(try node.offset("a", 0) == 10)
        commit(node, 12, by: producer)
        commit(node, 13, by: other)
        end(node, other, isCommit: true)
        end(node, producer, isCommit: true)
        #expect(try node.offset("a", 0) == 13)
    }

    @Test("a group that is deleted takes them with it, and one that waits for them is not forgotten")
    func deletion() throws {
        let node = try GroupNode()
        commit(node, 9, by: producer)
        node.advance(milliseconds: 30 * 24 * 3_600_000)
        #expect(node.group() != nil)
        #expect(node.ask(.delete(group: "group")).delete == ErrorCode.none)
        end(node, producer, isCommit: true)
        #expect(try node.offset("a", 0) == -1)
        #expect(node.machine.offsets.pendingCount == 0)
    }

    @Test("a group that nothing is left of after an abort is forgotten")
    func abandoned() throws {
        let node = try GroupNode()
        commit(node, 9, by: producer)
        end(node, producer, isCommit: false)
        node.advance(milliseconds: 3_600_000)
        #expect(node.group() == nil)
    }

    @Test("a member's count in its generation only (KIP-447)")
    func fencing() throws {
        let node = try GroupNode()
        let ids = try node.stableGroup(1, instances: ["one"])
        #expect(commit(node, 1, by: producer, member: ids[0], generation: 1) == ErrorCode.none)
        #expect(commit(node, 1, by: producer, member: ids[0], generation: 2) == .illegalGeneration)
        #expect(commit(node, 1, by: producer, member: "who", generation: 1) == .unknownMemberID)
        #expect(
            commit(node, 1, by: producer, member: "who", generation: 1, instance: "one") == .fencedInstanceID)
        // Of clients before version 3 nobody knows who they are.
        #expect(commit(node, 1, by: producer) == ErrorCode.none)
        #expect(
            commit(node, 1, by: producer, group: "no", member: "m", generation: 3) == .illegalGeneration)
    }

    @Test("there are at most so many at a time")
    func bound() throws {
        var settings = GroupSettings()
        settings.maximumPendingOffsets = 2
        let node = try GroupNode(settings)
        #expect(commit(node, 1, by: producer) == ErrorCode.none)
        #expect(commit(node, 1, by: producer, partition: 1) == ErrorCode.none)
        #expect(commit(node, 1, by: producer, partition: 2) == .coordinatorNotAvailable)
        end(node, producer, isCommit: true)
        #expect(commit(node, 1, by: producer, partition: 2) == ErrorCode.none)
    }
}
