internal import KafkaProtocol

/// Records of consumer groups, when they are read and when the log has taken them.
extension GroupMachine {
    func apply(_ record: ConsumerGroupRecord, _ now: CoordinatorMoment) {
        let id = record.group
        if let group = consumerGroups[id] {
            group.apply(record)
            // The last of the group's records to go.
            if case .group(_, nil) = record {
                consumerGroups[id] = nil
                if offsets.hasAny(of: id) { groups[id] = ClassicGroup(id, now) }
            }
            return
        }
        // Nothing is left that a tombstone could be of.
        guard record.hasValue else { return }
        let group = ConsumerGroup(id)
        group.apply(record)
        consumerGroups[id] = group
        groups[id] = nil
    }

    /// A consumer group has become a classic one; its members are to divide the partitions.
    func adopt(_ group: ClassicGroup, _ now: CoordinatorMoment) {
        groups[group.id] = group
        for place in group.members.all.indices {
            touch(group, place, group.members[place].sessionTimeout, now)
        }
        schedule(.divide(group: group.id), at: now.monotonicMilliseconds)
    }
}

extension ConsumerGroupRecord {
    fileprivate var hasValue: Bool {
        switch self {
        case .group(_, let value): value != nil
        case .topics(_, let value): value != nil
        case .member(_, _, let value): value != nil
        case .targetEpoch(_, let value): value != nil
        case .target(_, _, let value): value != nil
        case .current(_, _, let value): value != nil
        case .pattern(_, _, let value): value != nil
        }
    }
}
