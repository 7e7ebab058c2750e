import Testing

@testable import Coordinators

@Suite struct TransactionSimulationTests {
    @Test(
        "a transaction has one outcome in all partitions, whatever becomes of clients, network and broker",
        arguments: [Int16(0), 2], UInt64(1)...6)
    func random(version: Int16, seed: UInt64) throws {
        let simulation = TransactionSimulation(seed: seed, version: version)
        try simulation.run(until: 200_000)
        try simulation.settle()
        #expect(simulation.crashCount > 2 && simulation.fencedCount > 2)
        #expect(simulation.committedCount > 50 && simulation.told.count > 50)
    }

    @Test("a run is the same whenever it is run")
    func replayable() throws {
        let runs = try (0..<2).map { _ in
            let simulation = TransactionSimulation(seed: 99, version: 2)
            try simulation.run(until: 60_000)
            return (simulation.eventCount, simulation.log.records)
        }
        #expect(runs[0].0 == runs[1].0 && runs[0].1 == runs[1].1)
    }
}
