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
        let runs = try (0..<2).map { _ in
            let simulation = ConsumerSimulation(seed: 99, isMixed: true)
            try simulation.run(until: 120_000)
            return (simulation.eventCount, simulation.log.records)
        }
        #expect(runs[0].0 == runs[1].0 && runs[0].1 == runs[1].1)
    }
}
