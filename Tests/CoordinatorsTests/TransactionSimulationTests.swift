import Testing

@testable import Coordinators

@Suite struct TransactionSimulationTests {
    @Test(
        "a transaction has one outcome in all partitions, whatever becomes of clients, network and broker",
        arguments: [Int16(0), 2], [UInt64(1), 2, 3, 4, 5, 6, 16])
    func random(version: Int16, seed: UInt64) throws {
        let simulation = TransactionSimulation(seed: seed, version: version)
        try simulation.run(until: 200_000)
        try simulation.settle()
        #expect(simulation.crashCount > 2 && simulation.fencedCount > 2)
        #expect(simulation.committedCount > 50 && simulation.told.count > 50)
    }

    @Test("a run is the same whenever it is run")
    func replayable() throws {
        // All at a time, so that their tables lie at different places: the order of a dictionary's keys is
        // made of that.
        let simulations = (0..<3).map { _ in TransactionSimulation(seed: 99, version: 2) }
        for simulation in simulations { try simulation.run(until: 60_000) }
        for simulation in simulations.dropFirst() {
            #expect(simulation.eventCount == simulations[0].eventCount)
            #expect(simulation.log.records == simulations[0].log.records)
        }
    }
}
