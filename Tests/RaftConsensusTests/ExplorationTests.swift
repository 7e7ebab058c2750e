import Base
@_spi(Canaries) import RaftConsensus
import Testing

/// All states that a small quorum can come to, one after another.
struct Exploration {
    private(set) var stateCount = 0
    private(set) var committedEnd: RaftOffset = 0
    private(set) var violation: Violation?
    /// Whether all were seen.
    private(set) var isComplete = false

    /// A state and what of its steps has been made.
    private struct Visit {
        let state: ExploredQuorum
        var steps: ArraySlice<ExploredQuorum.Step>
    }

    /// - Parameter limit: states after which it stops.
    init(from start: ExploredQuorum, limit: Int) {
        var seen: Set<Int> = [start.fingerprint]
        // Only the states on the way to the present one are kept, and of all others a number.
        var way = [Visit(state: start, steps: start.steps[...])]
        while let last = way.indices.last {
            guard let step = way[last].steps.popFirst() else {
                way.removeLast()
                continue
            }
            var next = way[last].state
            do {
                guard try next.take(step) else { continue }
            } catch {
                violation = error as? Violation ?? Violation("\(error)")
                return
            }
            guard seen.insert(next.fingerprint).inserted else { continue }
            committedEnd = max(committedEnd, next.committedEnd)
            stateCount += 1
            if stateCount >= limit { return }
            way.append(Visit(state: next, steps: next.steps[...]))
        }
        isComplete = true
    }
}

/// A quorum whose states are few enough to see them all.
struct SmallQuorum: Sendable, CustomStringConvertible {
    let voters: Int
    let budget: ExploredQuorum.Budget
    /// What is committed on the longest way.
    let committedEnd: RaftOffset

    init(_ voters: Int, timeouts: Int, proposals: Int, crashes: Int, removals: Int, to end: RaftOffset) {
        self.voters = voters
        budget = .init(timeouts: timeouts, proposals: proposals, crashes: crashes, removals: removals)
        committedEnd = end
    }

    var description: String { "\(voters) voters, \(budget)" }

    /// From 42 to 12,600 states each; the last ones take a debug build too long.
    static let all: [SmallQuorum] = {
        let small = [
            SmallQuorum(2, timeouts: 1, proposals: 0, crashes: 0, removals: 0, to: 3),
            SmallQuorum(2, timeouts: 1, proposals: 0, crashes: 1, removals: 0, to: 3),
            SmallQuorum(2, timeouts: 2, proposals: 1, crashes: 0, removals: 0, to: 5),
        ]
        let large = [
            SmallQuorum(2, timeouts: 2, proposals: 0, crashes: 1, removals: 0, to: 4),
            SmallQuorum(2, timeouts: 2, proposals: 1, crashes: 0, removals: 1, to: 7),
            SmallQuorum(2, timeouts: 3, proposals: 1, crashes: 0, removals: 0, to: 6),
            SmallQuorum(3, timeouts: 1, proposals: 0, crashes: 0, removals: 0, to: 3),
        ]
        #if DEBUG
            return small
        #else
            return small + large
        #endif
    }()
}

@Suite struct ExplorationTests {
    @Test("every state that a small quorum can come to keeps the promises", arguments: SmallQuorum.all)
    func sound(_ quorum: SmallQuorum) throws {
        let start = try ExploredQuorum(voters: quorum.voters, budget: quorum.budget)
        let exploration = Exploration(from: start, limit: 200_000)
        #expect(exploration.violation == nil)
        #expect(exploration.isComplete, "\(exploration.stateCount) states are not all")
        // It would be sound to do nothing.
        #expect(exploration.committedEnd == quorum.committedEnd)
    }

    @Test("a state that breaks a promise is found when a rule is ignored")
    func broken() throws {
        let votes = ExploredQuorum.Budget(timeouts: 2, proposals: 1)
        let twice = try ExploredQuorum(voters: 2, budget: votes, ignoring: .oneVotePerEpoch)
        #expect(Exploration(from: twice, limit: 20_000).violation != nil)
        let removal = ExploredQuorum.Budget(timeouts: 2, proposals: 1, removals: 1)
        let unchecked = try ExploredQuorum(voters: 2, budget: removal, ignoring: .divergenceCheck)
        #expect(Exploration(from: unchecked, limit: 20_000).violation != nil)
    }
}
