import Base
import CAllocationCounter
import KafkaProtocol
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import Broker

/// What requests cost a lane in heap allocations when everything has reached its size: each has a bound, so
/// that what is saved once stays saved.
@Suite("Requests and the heap")
struct AllocationTests {
    #if DEBUG
        /// Not optimised: generics and closures allocate that otherwise do not.
        private static let isOptimised = false
    #else
        private static let isOptimised = true
    #endif

    /// Allocations of the node's only lane so far.
    private func allocationCount(_ node: TestNode) -> UInt64 {
        let count = Locked<UInt64?>(nil)
        #expect(node.node.lanes[0].lane.submit { count.withLock { $0 = dmq_allocation_count() } })
        while count.withLock({ $0 }) == nil {}
        return count.withLock { $0 } ?? 0
    }

    /// Allocations for each of many calls, after some that are not counted.
    private func allocations(_ node: TestNode, _ body: (Int) throws -> Void) throws -> Double {
        for number in 0..<100 { try body(number) }
        let before = allocationCount(node)
        let rounds = 500
        for number in 0..<rounds { try body(100 + number) }
        return Double(allocationCount(node) - before) / Double(rounds)
    }

    @Test("A produce request of one batch allocates little", arguments: [Int16(1), -1])
    func produce(acks: Int16) throws {
        try #require(dmq_allocation_counting() == 1)
        let node = try TestNode([(key: "dmq.ack.durability", value: "page-cache")])
        let client = try node.client()
        try client.metadata(["events"])
        let batch = TestBatches.batch(count: 10)
        let count = try allocations(node) { (_: Int) throws in
            let answer = try client.produce("events", batch, acks: acks)
            #expect(answer.errorCode == .none)
        }
        #expect(count <= (Self.isOptimised ? 10 : 20))
        node.stop()
    }

    @Test("A fetch request of one partition allocates little")
    func fetch() throws {
        try #require(dmq_allocation_counting() == 1)
        let node = try TestNode()
        let client = try node.client()
        try client.metadata(["events"])
        for _ in 0..<10 { try client.produce("events", TestBatches.batch(count: 10)) }
        let count = try allocations(node) { (number: Int) throws in
            let offset = Int64(10 * (number % 10))
            let answers = try client.fetch(BrokerClient.fetch("events", [(0, offset)]))
            #expect(answers.first?.1.isEmpty == false)
        }
        #expect(count <= (Self.isOptimised ? 24 : 48))
        node.stop()
    }
}
