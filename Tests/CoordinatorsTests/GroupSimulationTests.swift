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
        // All at a time, so that their tables lie at different places: the order of a dictionary's keys is
        // made of that.
        let simulations = (0..<3).map { _ in GroupSimulation(seed: 99) }
        for simulation in simulations { try simulation.run(until: 120_000) }
        for simulation in simulations.dropFirst() {
            #expect(simulation.eventCount == simulations[0].eventCount)
            #expect(simulation.log.records == simulations[0].log.records)
        }
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
