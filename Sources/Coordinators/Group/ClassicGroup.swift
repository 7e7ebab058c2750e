internal import Base
internal import KafkaProtocol

/// What a classic group is doing, by Kafka's names.
///
///     from                 to                   when
///     Empty                PreparingRebalance   the first member joins
///     PreparingRebalance   CompletingRebalance  all members have joined, or the time for it is over
///     PreparingRebalance   Empty                nobody is left when it is over
///     CompletingRebalance  Stable               the leader has sent the assignment
///     CompletingRebalance  PreparingRebalance   a member joins, leaves or is gone
///     Stable               PreparingRebalance   a member joins anew, leaves or is gone
///     any                  Dead                 the group is deleted
enum ClassicGroupState: String, CaseIterable, Sendable {
    case empty = "Empty"
    case preparingRebalance = "PreparingRebalance"
    case completingRebalance = "CompletingRebalance"
    case stable = "Stable"
    case dead = "Dead"

    func mayBecome(_ next: ClassicGroupState) -> Bool {
        switch (self, next) {
        case (.empty, .preparingRebalance), (.preparingRebalance, .completingRebalance),
            (.preparingRebalance, .empty), (.completingRebalance, .stable),
            (.completingRebalance, .preparingRebalance), (.stable, .preparingRebalance), (_, .dead):
            true
        default: false
        }
    }
}

/// A group whose members divide the partitions among themselves: the coordinator counts generations, finds a
/// protocol that all know and a leader, and hands round what the leader has decided.
///
/// Without a protocol type nobody has joined it: it only stores offsets.
final class ClassicGroup {
    /// What the timer of a rebalance that is being prepared does.
    enum JoinTimer {
        /// More time for the first members of an empty group.
        case initialDelay(milliseconds: Int64, remaining: Int64)
        case completion
    }

    let id: String
    private(set) var state = ClassicGroupState.empty
    /// Since when it is in its state; milliseconds since the Unix epoch. Nil where the record did not say.
    private(set) var stateTimestamp: Int64?
    private(set) var protocolType: String?
    private(set) var protocolName: String?
    var leaderID: String?
    private(set) var generation: Int32 = 0
    private(set) var members = ClassicMembers()
    /// IDs of static members by their instance IDs.
    private(set) var staticMembers: [String: String] = [:]
    /// Those that were given an ID and are to come back with it (KIP-394), until when.
    var pendingJoins: [String: Int64] = [:]
    /// Those that have been told of the generation and have not asked for their assignment.
    var pendingSyncs: Set<String> = []
    /// How many members know a protocol.
    private var supporterCounts: [String: Int] = [:]
    /// Members whose JoinGroup waits.
    private(set) var joiningCount = 0
    /// A member has come since the initial delay was last begun.
    var hasNewMember = false
    var joinTimer: (serial: UInt64, kind: JoinTimer)?
    var syncTimer: UInt64?
    /// The log has a record of it.
    var isRecorded = false
    /// It comes from a consumer group, and its members have yet to divide the partitions.
    let isUndivided: Bool

    init(_ id: String, _ now: CoordinatorMoment) {
        self.id = id
        isUndivided = false
        stateTimestamp = now.wallClockMilliseconds
    }

    /// As the log has it.
    init(_ id: String, _ value: GroupMetadataValue) {
        self.id = id
        isUndivided = value.leader == nil && !value.members.isEmpty
        isRecorded = true
        generation = value.generation
        protocolType = value.protocolType.isEmpty ? nil : value.protocolType
        protocolName = value.protocol
        leaderID = value.leader
        stateTimestamp = value.currentStateTimestamp >= 0 ? value.currentStateTimestamp : nil
        state = value.members.isEmpty ? .empty : .stable
        for member in value.members {
            add(
                ClassicMember(
                    id: member.memberID, instanceID: member.groupInstanceID, clientID: member.clientID,
                    clientHost: member.clientHost, rebalanceTimeout: Int64(member.rebalanceTimeout),
                    sessionTimeout: Int64(member.sessionTimeout),
                    protocols: [
                        ClassicProtocol(name: value.protocol ?? "", metadata: member.subscription)
                    ], assignment: member.assignment), type: value.protocolType)
        }
        if !members.isEmpty && leaderID.map(members.contains) != true { leaderID = members.all.first?.id }
    }

    /// As the log is to have it.
    var record: GroupRecord {
        .classicGroup(
            id,
            GroupMetadataValue(
                protocolType: protocolType ?? "", generation: generation, protocol: protocolName,
                leader: leaderID, currentStateTimestamp: stateTimestamp ?? -1,
                members: members.all.map { member in
                    GroupMetadataValue.MemberMetadata(
                        memberID: member.id, groupInstanceID: member.instanceID, clientID: member.clientID,
                        clientHost: member.clientHost,
                        rebalanceTimeout: Int32(clamping: member.rebalanceTimeout),
                        sessionTimeout: Int32(clamping: member.sessionTimeout),
                        subscription: member.metadata(protocolName), assignment: member.assignment)
                }))
    }

    // MARK: States

    func transition(to next: ClassicGroupState, _ now: CoordinatorMoment) {
        invariant(state.mayBecome(next), "group \(id): \(state) to \(next)")
        state = next
        stateTimestamp = now.wallClockMilliseconds
    }

    /// Begins a generation with the members that there are, or none.
    func beginGeneration(_ now: CoordinatorMoment) {
        generation = generation == .max ? 1 : generation + 1
        pendingSyncs.removeAll()
        if members.isEmpty {
            protocolName = nil
            transition(to: .empty, now)
        } else {
            protocolName = selectedProtocol
            transition(to: .completingRebalance, now)
        }
    }

    var hasAllJoined: Bool { joiningCount == members.count && pendingJoins.isEmpty }

    /// How long a rebalance may take: as long as the slowest member wants.
    var rebalanceTimeout: Int64 { members.all.reduce(0) { max($0, $1.rebalanceTimeout) } }

    var usesConsumerProtocol: Bool { protocolType == "consumer" }

    // MARK: Members

    /// - Parameter type: of the member's protocols; the first member's becomes the group's.
    func add(_ member: ClassicMember, type: String) {
        if members.isEmpty { protocolType = type }
        if let instance = member.instanceID { staticMembers[instance] = member.id }
        if leaderID == nil { leaderID = member.id }
        for one in member.protocols { supporterCounts[one.name, default: 0] += 1 }
        if member.joining != nil { joiningCount += 1 }
        pendingJoins[member.id] = nil
        members.add(member)
    }

    /// - Returns: the member, whose requests may wait still.
    @discardableResult
    func remove(_ id: String) -> ClassicMember? {
        pendingSyncs.remove(id)
        guard let member = members.remove(id) else { return nil }
        if let instance = member.instanceID, staticMembers[instance] == id { staticMembers[instance] = nil }
        withdraw(member.protocols)
        if member.joining != nil { joiningCount -= 1 }
        if leaderID == id { leaderID = members.all.first?.id }
        return member
    }

    /// A static member has come back, and goes by another ID.
    func rename(_ place: Int, to id: String) {
        let old = members[place].id
        if let instance = members[place].instanceID { staticMembers[instance] = id }
        if leaderID == old { leaderID = id }
        pendingSyncs.remove(old)
        members.rename(place, id)
    }

    func setProtocols(_ protocols: [ClassicProtocol], of place: Int) {
        withdraw(members[place].protocols)
        members[place].protocols = protocols
        for one in protocols { supporterCounts[one.name, default: 0] += 1 }
    }

    private func withdraw(_ protocols: [ClassicProtocol]) {
        for one in protocols {
            let left = (supporterCounts[one.name] ?? 0) - 1
            supporterCounts[one.name] = left > 0 ? left : nil
        }
    }

    /// The member waits for the others.
    func park(_ token: ReplyToken, joining place: Int) {
        if members[place].joining == nil { joiningCount += 1 }
        members[place].joining = token
    }

    /// Takes the JoinGroup that waits.
    func takeJoining(_ place: Int) -> ReplyToken? {
        guard let token = members[place].joining else { return nil }
        members[place].joining = nil
        joiningCount -= 1
        return token
    }

    func update(_ place: Int, _ body: (inout ClassicMember) -> Void) { body(&members[place]) }

    /// What speaks against one who says that it is the member.
    func problem(_ memberID: String, _ instanceID: String?) -> ErrorCode? {
        if let instanceID {
            guard let known = staticMembers[instanceID] else { return .unknownMemberID }
            if known != memberID { return .fencedInstanceID }
        }
        return members.contains(memberID) ? nil : .unknownMemberID
    }

    // MARK: Protocols

    /// Whether one that knows these protocols can be a member.
    func supports(_ type: String, _ protocols: [ClassicProtocol]) -> Bool {
        if type.isEmpty || protocols.isEmpty { return false }
        if members.isEmpty { return true }
        return type == protocolType && protocols.contains { supporterCounts[$0.name] == members.count }
    }

    /// Of the protocols that all members know, the one that most of them prefer.
    var selectedProtocol: String? {
        let candidates = Set(supporterCounts.lazy.filter { $0.value == self.members.count }.map(\.key))
        var votes: [String: Int] = [:]
        for member in members.all {
            if let vote = member.vote(candidates) { votes[vote, default: 0] += 1 }
        }
        // The name decides between equals, so that the same members always get the same.
        return votes.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key
    }
}
