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
    #if DEBUG
        private static let standardCount: UInt64 = 1000
    #else
        private static let standardCount: UInt64 = 10_000
    #endif

    /// Seeds in parts, so that the parts run side by side.
    private static let parts: UInt64 = 8

    /// Operations of a sequence.
    private static let steps = 80

    /// What each part has to have met, so that no operation is lost from the sequences unnoticed.
    private static let mustBeMet = [
        "crashes", "power losses", "interrupted starts", "truncations", "truncations into gaps",
        "prefix deletions", "retentions", "deletions", "beginnings", "groups", "rounds", "rounds given up",
    ]

    @Test(
        "random operation sequences, compaction among them, lose nothing that was reported synced",
        arguments: 0..<8)
    func operations(part: Int) throws {
        var counts: [String: Int] = [:]
        var failures = 0
        for seed in Seeds.range(Self.standardCount) where seed % Self.parts == UInt64(part) {
            let (census, failure) = Self.run(seed, &counts)
            if let failure {
                Issue.record("\(failure)")
                failures += 1
                if failures == Self.maximumFailures { return }
            }
            let held = census?.held ?? []
            #expect(held.isEmpty, "seed \(seed): left behind: \(held)")
        }
        guard Seeds.count == nil else { return }
        for what in Self.mustBeMet { #expect(counts[what] ?? 0 > 0, "\(what): \(counts)") }
    }

    /// A few tell as much as many.
    private static let maximumFailures = 3

    /// One sequence; on return nothing of it should be left.
    private static func run(_ seed: UInt64, _ counts: inout [String: Int]) -> (Census?, SimulationFailure?) {
        var simulation: LogSimulation?
        do {
            let running = try LogSimulation(seed: seed)
            simulation = running
            for _ in 0..<steps { try running.step() }
            try running.crash()
            counts.merge(running.counts, uniquingKeysWith: +)
            return (running.census, nil)
        } catch let failure as SimulationFailure {
            return (simulation?.census, failure)
        } catch {
            let failure = SimulationFailure(description: "seed \(seed): \(error)")
            return (simulation?.census, simulation?.fail("threw \(error)") ?? failure)
        }
    }
}
