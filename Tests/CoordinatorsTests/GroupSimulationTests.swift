import KafkaProtocol
import Testing

@testable import Coordinators

@Suite struct GroupSimulationTests {
    @Test(
        "groups lose nothing, and come to rest, whatever becomes of clients, network and coordinator",
        arguments: UInt64(1)...10)
    func random(seed: UInt64) throws {
        let simulation = GroupSimulation(seed: seed)
        try simulation.run(until: 400_000)
        try simulation.settle()
        #expect(simulation.crashCount > 1 && simulation.rebalanceCount > 50)
        #expect(simulation.checker.commitCount > 100 && simulation.checker.fetchCount > 100)
        #expect(simulation.checker.assignmentCount > 50)
    }

    @Test("a run is the same whenever it is run")
    func replayable() throws {
        let runs = try (0..<2).map { _ in
            let simulation = GroupSimulation(seed: 99)
            try simulation.run(until: 120_000)
            return (simulation.eventCount, simulation.log.records)
        }
        #expect(runs[0].0 == runs[1].0 && runs[0].1 == runs[1].1)
    }

    @Test("a large group costs each of its members as much as a small one")
    func cost() throws {
        // Comparisons cannot be counted; what is written and answered can.
        let node = try GroupNode()
        let ids = try node.stableGroup(1_000)
        #expect(node.log.records.count == 1)
        #expect(node.group()?.members.count == 1_000)
        for id in ids { #expect(node.ask(.heartbeat(id, 1)).heartbeat == ErrorCode.none) }
        _ = node.ask(.leave(ids.dropFirst().map { ($0, nil) }))
        #expect(node.group()?.members.count == 1 && node.log.records.count == 1)
    }
}
