internal import RecordFormat

/// The way of one member from what it has to what it is to have (KIP-848): first it gives back what it is not
/// to have, then it goes on to the target's epoch and gets what others have given back, and later the rest.
struct Reconciliation {
    let target: PartitionSet
    /// Of the target.
    let epoch: Int32
    /// What the member says that it has; nil where it says nothing.
    let owned: PartitionSet?
    /// Whether no other member may have the partition.
    let isFree: (TopicID, Int32) -> Bool

    /// The member one step on, or as it is where it cannot go on.
    func next(_ member: ConsumerMember) -> ConsumerMember {
        switch member.state {
        case .stable:
            return member.epoch == epoch ? member : step(member, from: member.epoch)
        case .unrevoked:
            guard let owned, !owned.intersects(member.revoking) else { return member }
            return step(member, from: member.epoch + 1)
        case .unreleased:
            return step(member, from: member.epoch)
        case .unknown:
            return step(member, from: epoch)
        }
    }

    private func step(_ member: ConsumerMember, from memberEpoch: Int32) -> ConsumerMember {
        let kept = member.assigned.intersection(target)
        let lost = member.assigned.subtracting(target)
        var next = member
        if !lost.isEmpty && mayOwn(lost) {
            // It stays in its epoch until it has given them back.
            next.state = .unrevoked
            next.setEpoch(memberEpoch)
            next.assigned = kept
            next.revoking = lost
            return next
        }
        let wanted = target.subtracting(kept)
        let free = wanted.filter(isFree)
        next.state = free.count == wanted.count ? .stable : .unreleased
        next.setEpoch(epoch)
        next.assigned = kept
        next.assigned.formUnion(free)
        next.revoking = PartitionSet()
        return next
    }

    private func mayOwn(_ lost: PartitionSet) -> Bool { owned.map { $0.intersects(lost) } ?? true }
}
