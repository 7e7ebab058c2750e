import Base
import SimulationKit
import SystemIO
import Testing

@testable import LogStorage

@Suite("A log on a disk that fails")
struct LogFaultTests {
    private static let steps = 60

    struct Workload: CustomTestStringConvertible {
        let seed: UInt64
        let isCompacted: Bool
        var testDescription: String { "seed \(seed)\(isCompacted ? ", compacted" : "")" }
    }

    /// Of each kind; `tools/seeds` takes more.
    private static let workloadCount = Int(max(3, (Seeds.count ?? 0) / 2500))

    /// Three logs that are not compacted, and three whose compaction comes as far as putting a segment in the
    /// place of others.
    private static func workloads(from first: UInt64) -> [Workload] {
        let first = first + Seeds.first - 1
        var workloads = (0..<UInt64(workloadCount)).map { Workload(seed: first + $0, isCompacted: false) }
        var seed = first
        while workloads.count < 2 * workloadCount {
            let workload = Workload(seed: seed, isCompacted: true)
            let groups = try? LogFaultTests().run(workload, .none, isFinal: { _ in true }).0.counts["groups"]
            if groups ?? 0 > 0 { workloads.append(workload) }
            seed += 1
        }
        return workloads
    }

    /// Runs a workload with a plan that is installed once the log is there.
    /// - Returns: the number of changes that the disk saw from then on.
    private func run(_ workload: Workload, _ plan: DiskFaultPlan, isFinal: (LogError) -> Bool) throws -> (
        LogSimulation, Int
    ) {
        let simulation = try LogSimulation(seed: workload.seed, compacts: workload.isCompacted)
        simulation.onlyOperates = true
        let before = simulation.disk.changeCount
        simulation.disk.install(plan)
        for _ in 0..<Self.steps {
            if let error = try simulation.stepOnFailingDisk(), isFinal(error) { break }
        }
        return (simulation, simulation.disk.changeCount - before)
    }

    private func changes(of workload: Workload) throws -> Int {
        try run(workload, .none, isFinal: { _ in true }).1
    }

    @Test(
        "power lost at every single write: nothing synced is lost, the rest is a valid prefix",
        arguments: workloads(from: 1))
    func powerAtEveryWrite(_ workload: Workload) throws {
        for change in 1...(try changes(of: workload)) {
            let (simulation, _) = try run(workload, .losingPower(atChange: change), isFinal: { _ in true })
            try simulation.restartOnWorkingDisk(power: true)
            simulation.onlyOperates = false
            for _ in 0..<10 { try simulation.step() }
        }
    }

    @Test(
        "power lost at every single write of a start: nothing that was synced is lost to the next",
        arguments: briefWorkloads)
    func powerAtEveryWriteOfAStart(_ workload: Workload) throws {
        var change = 0
        var wentSooner = true
        while wentSooner {
            change += 1
            let (simulation, _) = try run(workload, .none, isFinal: { _ in true })
            wentSooner = try simulation.losePowerWhileStarting(atChange: change)
            simulation.onlyOperates = false
            for _ in 0..<10 { try simulation.step() }
        }
        #expect(change > 5)
    }

    @Test(
        "an input/output error at every single write takes the directory offline and loses nothing",
        arguments: workloads(from: 1001))
    func errorAtEveryWrite(_ workload: Workload) throws {
        var offline = 0
        for change in 1...(try changes(of: workload)) {
            let (simulation, _) = try run(
                workload, .failing(change: change), isFinal: { _ in true })
            if simulation.directory.failure != nil {
                offline += 1
                #expect(simulation.sink.lines(containing: "log directory offline").count == 1)
                if let log = simulation.log { #expect(throws: LogError.self) { try log.roll() } }
            }
            try simulation.restartOnWorkingDisk(power: change % 2 == 0)
            for _ in 0..<10 { try simulation.step() }
        }
        #expect(offline > 10)
    }

    @Test(
        "a full disk at every single write refuses appends, keeps reads, and goes on when there is room",
        arguments: workloads(from: 2001))
    func fullAtEveryWrite(_ workload: Workload) throws {
        for change in 1...(try changes(of: workload)) {
            let fault = DiskFault(
                [.write, .allocate, .open, .rename, .createDirectory], changesOnly: true,
                trigger: .from(change),
                effect: .fail(.noSpace))
            let (simulation, _) = try run(
                workload, DiskFaultPlan([fault]),
                isFinal: { if case .noSpace = $0 { true } else { false } })
            if let failure = simulation.directory.failure {
                // The swap of a compacted segment was decided, and there is no way back.
                #expect(failure.operation == .rename && failure.subject.hasSuffix(".swap"))
                try simulation.restartOnWorkingDisk(power: false)
            } else {
                simulation.disk.liftFaults()
                try simulation.goOnWithRoom()
            }
            for _ in 0..<10 { try simulation.step() }
            try simulation.crash()
        }
    }

    /// All that takes a descriptor.
    private static let openings: Set<IOOperation> = [.open, .list, .lock]

    /// One log of each kind: a fault at each of some hundred openings takes a while.
    private static let briefWorkloads = [
        Workload(seed: 3001, isCompacted: false), Workload(seed: 3006, isCompacted: true),
    ]

    @Test(
        "want of descriptors at every single opening refuses, loses nothing, and passes",
        arguments: briefWorkloads)
    func noDescriptorAtEveryOpening(_ workload: Workload) throws {
        let count = try openings(of: workload)
        #expect(count > 20)
        for opening in 1...count {
            // Every other time only one file finds no descriptor, and the operation goes on without it.
            let fault = DiskFault(
                Self.openings, trigger: opening % 2 == 0 ? .from(opening) : .nth(opening),
                effect: .fail(opening % 3 == 0 ? .systemFileLimit : .tooManyOpenFiles))
            let (simulation, _) = try run(
                workload, DiskFaultPlan([fault]),
                isFinal: { error in
                    if case .tooManyOpenFiles = error { return true }
                    Issue.record("refused for another reason: \(error)")
                    return true
                })
            #expect(simulation.directory.failure == nil)
            simulation.disk.liftFaults()
            try simulation.goOnWithRoom()
            for _ in 0..<10 { try simulation.step() }
            try simulation.crash()
        }
    }

    private func openings(of workload: Workload) throws -> Int {
        let simulation = try LogSimulation(seed: workload.seed, compacts: workload.isCompacted)
        simulation.onlyOperates = true
        func count() -> Int { Self.openings.reduce(0) { $0 + simulation.disk.count($1) } }
        let before = count()
        for _ in 0..<Self.steps { _ = try simulation.stepOnFailingDisk() }
        return count() - before
    }
}
