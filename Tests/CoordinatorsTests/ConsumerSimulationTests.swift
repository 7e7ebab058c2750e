import KafkaProtocol
import Testing

@testable import Coordinators

@Suite struct ConsumerSimulationTests {
    @Test(
        "no partition ever has two owners, and groups come to rest, whatever becomes of who is in them",
        arguments: UInt64(1)...6)
    func consumers(seed: UInt64) throws {
        let simulation = ConsumerSimulation(seed: seed, isMixed: false)
        try simulation.run(until: 400_000)
        try simulation.settle()
        #expect(simulation.crashCount > 1 && simulation.assignmentCount > 100)
        #expect(simulation.refusedStrayCount > 5)
    }

    @Test(
        "groups change their protocol in both directions while clients of both come and go",
        arguments: UInt64(1)...6)
    func migrations(seed: UInt64) throws {
        let simulation = ConsumerSimulation(seed: seed, isMixed: true)
        try simulation.run(until: 400_000)
        try simulation.settle()
        #expect(simulation.crashCount > 1 && simulation.migrationCount > 1 && simulation.strayCount > 10)
    }

    @Test("a run is the same whenever it is run")
    func replayable() throws {
        // All at a time, so that their tables lie at different places: the order of a dictionary's keys is
        // made of that.
        let simulations = (0..<3).map { _ in ConsumerSimulation(seed: 99, isMixed: true) }
        for simulation in simulations { try simulation.run(until: 120_000) }
        for simulation in simulations.dropFirst() {
            #expect(simulation.eventCount == simulations[0].eventCount)
            #expect(simulation.log.records == simulations[0].log.records)
        }
    }
}
