import Base
import Foundation
import SimulationKit
import SystemIO
import Testing

/// How many seeds, and from which on: `tools/seeds` sets them, a failure's seed is replayed with them.
enum Seeds {
    static let first = ProcessInfo.processInfo.environment["DMQ_FIRST_SEED"].flatMap(UInt64.init) ?? 1
    static let count = ProcessInfo.processInfo.environment["DMQ_SEEDS"].flatMap(UInt64.init)

    /// `count` seeds unless the environment says how many.
    static func range(_ standard: UInt64) -> Range<UInt64> { first..<first + (count ?? standard) }
}

@Suite("A log under crashes")
struct LogCrashTests {
    /// What every test run takes; `tools/seeds` runs as many more as asked for.
    private static let standardCount: UInt64 = 1000

    /// Seeds in parts, so that the parts run side by side.
    private static let parts: UInt64 = 8

    @Test(
        "random operation sequences lose nothing that was reported synced",
        arguments: 0..<8)
    func operations(part: Int) throws {
        var crashes = 0
        for seed in Seeds.range(Self.standardCount) where seed % Self.parts == UInt64(part) {
            var simulation: LogSimulation?
            var census: Census?
            do {
                let running = try LogSimulation(seed: seed)
                simulation = running
                for _ in 0..<60 { try running.step() }
                try running.crash()
                crashes += running.crashCount
                census = running.census
            } catch let failure as SimulationFailure {
                Issue.record("\(failure)")
                return
            } catch {
                Issue.record("\(simulation?.fail("threw \(error)").description ?? "seed \(seed): \(error)")")
                return
            }
            simulation = nil
            let held = census?.held ?? []
            #expect(held.isEmpty, "seed \(seed): left behind: \(held)")
        }
        #expect(Seeds.count != nil || crashes > 100)
    }
}
