internal import KafkaProtocol

/// Subscriptions by regular expressions (KIP-848): resolved here, so that all members read the same.
extension GroupMachine {
    /// What matching all names may cost, about a tenth of a second; a name of usual length costs some dozens.
    private static let costLimit = 20_000_000

    /// Finds out what an expression stands for that no member has brought before.
    func resolve(
        _ pattern: String, _ draft: inout ConsumerGroupDraft, _ now: CoordinatorMoment
    ) throws(GroupRefusal) {
        if draft.patterns[pattern] != nil { return }
        do throws(PatternError) {
            var compiled = try TopicPattern(pattern)
            let names = try allNames(&compiled)
            draft.setPattern(
                pattern, names, version: surroundings.version, timestamp: now.wallClockMilliseconds)
        } catch {
            throw GroupRefusal(
                .invalidRegularExpression,
                "SubscribedTopicRegex `\(pattern)` is not a valid regular expression: \(error).")
        }
    }

    private func allNames(_ pattern: inout TopicPattern) throws(PatternError) -> Set<String> {
        var result: Set<String> = []
        for name in surroundings.topicNames {
            if pattern.matches(name) { result.insert(name) }
            if pattern.cost > Self.costLimit { throw .tooCostly }
        }
        return result
    }

    /// Asks the expressions that members use about what they have not been asked about, and forgets those
    /// that nobody uses.
    func updatePatterns(_ draft: inout ConsumerGroupDraft, _ now: CoordinatorMoment) {
        for pattern in draft.patterns.keys.sorted() where draft.patternCounts[pattern] == nil {
            draft.setPattern(pattern, nil, version: 0, timestamp: 0)
        }
        if draft.group.changedNames?.isEmpty == true { return }
        for pattern in draft.patternCounts.keys.sorted() {
            // It was checked when the member brought it; what others have written may be beyond us.
            guard var compiled = try? TopicPattern(pattern) else { continue }
            let known = draft.patterns[pattern]
            var names = known ?? []
            if known != nil, let changed = draft.group.changedNames {
                for name in changed {
                    let matches = surroundings.topic(named: name) != nil && compiled.matches(name)
                    if matches { names.insert(name) } else { names.remove(name) }
                }
            } else {
                guard let all = try? allNames(&compiled) else { continue }
                names = all
            }
            guard names != known else { continue }
            draft.setPattern(
                pattern, names, version: surroundings.version, timestamp: now.wallClockMilliseconds)
        }
    }
}
