internal import KafkaProtocol

/// Offsets that nobody has use for go after a time; groups without members and offsets go with them.
extension GroupMachine {
    /// Looks after one group.
    ///
    ///     the group                           an offset's time runs from
    ///     only stores offsets                 its commit
    ///     has no members                      when the last one left, its commit where that is not known
    ///     is stable, of consumers             its commit, where no member reads the topic
    ///     anything else                       it does not
    ///
    /// A client may have said when its offset expires; then that counts, under the same conditions.
    func sweep(_ id: String, _ now: CoordinatorMoment, _ effects: inout Effects) {
        if let group = consumerGroups[id] { return sweep(group, now, &effects) }
        guard let group = groups[id] else { return }
        effects.isAtomic = false
        let all = offsets.sorted(of: id)
        let expired = all.filter {
            // A transaction is about to commit it anew.
            !offsets.hasPending($0.key) && isExpired($0.key, $0.committed, group, now)
        }
        for (key, _) in expired { effects.records.append(.offset(key, nil)) }
        guard expired.count == all.count, group.state == .empty, group.pendingJoins.isEmpty,
            !offsets.hasPending(of: id)
        else { return }
        if group.isRecorded || !expired.isEmpty {
            effects.records.append(.classicGroup(id, nil))
        } else {
            // The log knows nothing of it.
            groups[id] = nil
        }
    }

    private func isExpired(
        _ key: OffsetKey, _ committed: CommittedOffset, _ group: ClassicGroup, _ now: CoordinatorMoment
    ) -> Bool {
        let base: Int64
        switch group.state {
        case .empty:
            base =
                group.protocolType == nil
                ? committed.commitTimestamp : group.stateTimestamp ?? committed.commitTimestamp
        case .stable where group.usesConsumerProtocol:
            if group.subscribedTopics.contains(key.topic) { return false }
            base = committed.commitTimestamp
        default: return false
        }
        if let own = committed.expireTimestamp { return now.wallClockMilliseconds >= own }
        return now.wallClockMilliseconds - base >= settings.offsetsRetention
    }
}
