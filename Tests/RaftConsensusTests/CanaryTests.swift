import Base
@_spi(Canaries) import RaftConsensus
import Testing

/// Rafts that are broken on purpose. A simulator that does not notice would not notice a mistake either.
@Suite struct CanaryTests {
    /// How many seeds of its weather each one has, in every test run.
    static let seedCount = 150

    /// The weather in which a rule is missed soonest.
    private func weather(_ rule: SafetyRule) -> RaftSimulation.Weather {
        switch rule {
        case .promiseBeforeMessage, .votersFollowTheLog, .diskIdentity: .brokenPromises
        case .oneVotePerEpoch, .upToDateCandidate: .shortReigns
        case .answerOnce, .oneVoterChange, .committedBeforeVoterChange: .newVoters
        case .fetchFromSyncedEnd, .countSyncedEnd, .syncedMeansThisRecord, .commitOwnEpoch, .divergenceCheck,
            .voteOfItsEpoch:
            .mixed
        }
    }

    private func weather(_ defect: ShellDefect) -> RaftSimulation.Weather {
        switch defect {
        case .promiseNotSynced, .promiseOverwritten: .brokenPromises
        case .logNotSynced, .truncationForgotten: .mixed
        }
    }

    /// Whether one of the seeds shows that something is wrong.
    private func isCaught(
        in weather: RaftSimulation.Weather, _ make: (UInt64) -> RaftSimulation
    ) -> Bool {
        let weathers = RaftSimulation.Weather.allCases
        let first = weathers.firstIndex(of: weather) ?? 0
        return (0..<Self.seedCount).contains { make(UInt64(first + $0 * weathers.count)).run() != nil }
    }

    @Test("a node that ignores a rule of safety is caught", arguments: SafetyRule.allCases)
    func rules(_ rule: SafetyRule) {
        #expect(
            isCaught(in: weather(rule)) { RaftSimulation(seed: $0, ignoring: rule) },
            "\(rule) is ignored, and nothing happens")
    }

    @Test("a shell that does not do what it says is caught", arguments: ShellDefect.allCases)
    func shells(_ defect: ShellDefect) {
        #expect(
            isCaught(in: weather(defect)) { RaftSimulation(seed: $0, defect: defect) },
            "\(defect), and nothing happens")
    }
}
