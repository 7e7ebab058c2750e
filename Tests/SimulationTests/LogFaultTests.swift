import Base
import SimulationKit
import SystemIO
import Testing

@testable import LogStorage

@Suite("A log on a disk that fails")
struct LogFaultTests {
    private static let steps = 40

    /// Runs the workload of a seed with a plan that is installed once the log is there.
    /// - Returns: the number of changes that the disk saw from then on.
    private func run(_ seed: UInt64, _ plan: DiskFaultPlan, isFinal: (LogError) -> Bool) throws -> (
        LogSimulation, Int
    ) {
        let simulation = try LogSimulation(seed: seed)
        simulation.onlyOperates = true
        let before = simulation.disk.changeCount
        simulation.disk.install(plan)
        for _ in 0..<Self.steps {
            if let error = try simulation.stepOnFailingDisk(), isFinal(error) { break }
        }
        return (simulation, simulation.disk.changeCount - before)
    }

    private func changes(of seed: UInt64) throws -> Int {
        try run(seed, .none, isFinal: { _ in true }).1
    }

    @Test(
        "power lost at every single write: nothing synced is lost, the rest is a valid prefix",
        arguments: 1...6)
    func powerAtEveryWrite(seed: UInt64) throws {
        for change in 1...(try changes(of: seed)) {
            let (simulation, _) = try run(seed, .losingPower(atChange: change), isFinal: { _ in true })
            try simulation.restartOnWorkingDisk(power: true)
            simulation.onlyOperates = false
            for _ in 0..<10 { try simulation.step() }
        }
    }

    @Test(
        "an input/output error at every single write takes the directory offline and loses nothing",
        arguments: 11...16)
    func errorAtEveryWrite(seed: UInt64) throws {
        var offline = 0
        for change in 1...(try changes(of: seed)) {
            let (simulation, _) = try run(
                seed, .failing(change: change), isFinal: { _ in true })
            if simulation.log.directory.failure != nil {
                offline += 1
                #expect(simulation.sink.lines(containing: "log directory offline").count == 1)
                #expect(throws: LogError.self) { try simulation.log.roll() }
            }
            try simulation.restartOnWorkingDisk(power: change % 2 == 0)
            for _ in 0..<10 { try simulation.step() }
        }
        #expect(offline > 10)
    }

    @Test(
        "a full disk at every single write refuses appends, keeps reads, and goes on when there is room",
        arguments: 21...26)
    func fullAtEveryWrite(seed: UInt64) throws {
        for change in 1...(try changes(of: seed)) {
            let fault = DiskFault(
                [.write, .allocate, .open, .rename, .createDirectory], changesOnly: true,
                trigger: .from(change),
                effect: .fail(.noSpace))
            let (simulation, _) = try run(
                seed, DiskFaultPlan([fault]),
                isFinal: { if case .noSpace = $0 { true } else { false } })
            #expect(simulation.log.directory.failure == nil)
            simulation.disk.liftFaults()
            try simulation.goOnWithRoom()
            for _ in 0..<10 { try simulation.step() }
            try simulation.crash()
        }
    }
}
