import Base
import Foundation
import RaftConsensus
import Testing

/// How many seeds, and from where: `DMQ_SEEDS` and `DMQ_FIRST_SEED` ask for others.
enum Seeds {
    static func range(debug: Int, release: Int) -> Range<UInt64> {
        let environment = ProcessInfo.processInfo.environment
        let first = environment["DMQ_FIRST_SEED"].flatMap { UInt64($0) } ?? 1
        #if DEBUG
            let usual = debug
        #else
            let usual = release
        #endif
        let count = environment["DMQ_SEEDS"].flatMap { UInt64($0) } ?? UInt64(usual)
        return first..<(first + count)
    }
}

@Suite struct RaftSimulationTests {
    @Test("a quorum keeps its promises under faults, and goes on when they end")
    func quorum() {
        var broken: [String] = []
        var committed = 0
        for seed in Seeds.range(debug: 150, release: 2000) where broken.count < 3 {
            let simulation = RaftSimulation(seed: seed)
            if let violation = simulation.run() {
                broken.append("seed \(seed): \(violation)")
            }
            committed += simulation.checker.committedCount
        }
        #expect(broken == [])
        #expect(committed > 0)
    }
}
