internal import KafkaProtocol
internal import RecordFormat

/// One who wants to be a member.
struct Joiner {
    let groupID: String
    let memberID: String
    let instanceID: String?
    let protocolType: String
    let protocols: [ClassicProtocol]
    let sessionTimeout: Int64
    let rebalanceTimeout: Int64
    let caller: GroupCaller
    let token: ReplyToken
    private let random: UniqueID

    init(_ request: JoinGroupRequest, _ caller: GroupCaller, _ token: ReplyToken, _ random: UniqueID) {
        groupID = request.groupID
        memberID = request.memberID
        instanceID = request.groupInstanceID
        protocolType = request.protocolType
        var names: Set<String> = []
        protocols = request.protocols.compactMap {
            names.insert($0.name).inserted ? ClassicProtocol(name: $0.name, metadata: $0.metadata) : nil
        }
        sessionTimeout = Int64(request.sessionTimeoutMilliseconds)
        // Before version 1 there was one time-out for both.
        rebalanceTimeout =
            caller.version == 0 ? sessionTimeout : Int64(max(request.rebalanceTimeoutMilliseconds, 0))
        self.caller = caller
        self.token = token
        self.random = random
    }

    /// An ID that nobody has.
    var newID: String { "\(instanceID ?? caller.clientID)-\(random.hyphenated)" }

    /// Whether the client comes back with the ID that it is given (KIP-394).
    var knowsPendingJoins: Bool { caller.version >= 4 && instanceID == nil }

    func member(_ id: String) -> ClassicMember {
        ClassicMember(
            id: id, instanceID: instanceID, clientID: caller.clientID, clientHost: caller.clientHost,
            rebalanceTimeout: rebalanceTimeout, sessionTimeout: sessionTimeout, protocols: protocols,
            isNew: true, joining: token)
    }

    func refusal(_ code: ErrorCode, memberID: String? = nil) -> JoinGroupResponse {
        JoinGroupResponse(errorCode: code, memberID: memberID ?? self.memberID)
    }
}

extension UniqueID {
    /// As UUIDs are written: 36 characters (RFC 4122).
    var hyphenated: String {
        let digits = Array((Self.hexadecimal(high) + Self.hexadecimal(low)).utf8)
        var text: [UInt8] = []
        text.reserveCapacity(36)
        for (place, digit) in digits.enumerated() {
            if place == 8 || place == 12 || place == 16 || place == 20 { text.append(UInt8(ascii: "-")) }
            text.append(digit)
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static func hexadecimal(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// JoinGroup.
extension GroupMachine {
    /// One who has not been told of its membership cannot send heartbeats; its JoinGroup counts for so long.
    static let newMemberTimeout: Int64 = 300_000

    /// - Returns: the answer where it is known at once.
    func join(
        _ joiner: Joiner, _ now: CoordinatorMoment, _ effects: inout Effects
    ) -> JoinGroupResponse? {
        if joiner.groupID.isEmpty { return joiner.refusal(.invalidGroupID) }
        let bounds = settings.minimumSession...max(settings.minimumSession, settings.maximumSession)
        guard bounds.contains(joiner.sessionTimeout) else { return joiner.refusal(.invalidSessionTimeout) }
        if joiner.protocolType.isEmpty || joiner.protocols.isEmpty {
            return joiner.refusal(.inconsistentGroupProtocol)
        }
        if let group = consumerGroups[joiner.groupID] { return join(joiner, into: group, now, &effects) }
        let isUnknown = joiner.memberID.isEmpty
        guard let group = groups[joiner.groupID] ?? (isUnknown ? make(joiner.groupID, now) : nil) else {
            return joiner.refusal(.unknownMemberID)
        }
        guard hasRoom(group, joiner) else {
            group.pendingJoins[joiner.memberID] = nil
            return joiner.refusal(.groupMaxSizeReached, memberID: "")
        }
        guard group.supports(joiner.protocolType, joiner.protocols) else {
            return joiner.refusal(.inconsistentGroupProtocol)
        }
        return isUnknown
            ? joinForTheFirstTime(group, joiner, now, &effects) : joinAgain(group, joiner, now, &effects)
    }

    private func make(_ id: String, _ now: CoordinatorMoment) -> ClassicGroup {
        let group = ClassicGroup(id, now)
        groups[id] = group
        return group
    }

    private func hasRoom(_ group: ClassicGroup, _ joiner: Joiner) -> Bool {
        let known = group.members[joiner.memberID]
        return switch group.state {
        case .empty, .dead: true
        case .preparingRebalance: known?.joining != nil || group.joiningCount < settings.maximumSize
        case .completingRebalance, .stable: known != nil || group.members.count < settings.maximumSize
        }
    }

    private func joinForTheFirstTime(
        _ group: ClassicGroup, _ joiner: Joiner, _ now: CoordinatorMoment, _ effects: inout Effects
    ) -> JoinGroupResponse? {
        let id = joiner.newID
        if let instance = joiner.instanceID, let old = group.staticMembers[instance],
            let place = group.members.place(of: old)
        {
            return replace(group, place, id, joiner, now, &effects)
        }
        if joiner.knowsPendingJoins {
            let deadline = now.monotonicMilliseconds + joiner.sessionTimeout
            group.pendingJoins[id] = deadline
            schedule(.pendingJoin(group: group.id, member: id), at: deadline)
            return joiner.refusal(.memberIDRequired, memberID: id)
        }
        add(group, id, joiner, now, &effects)
        return nil
    }

    private func joinAgain(
        _ group: ClassicGroup, _ joiner: Joiner, _ now: CoordinatorMoment, _ effects: inout Effects
    ) -> JoinGroupResponse? {
        if group.pendingJoins[joiner.memberID] != nil {
            // Static members are never asked to come back.
            if joiner.instanceID != nil { return joiner.refusal(.unknownMemberID) }
            add(group, joiner.memberID, joiner, now, &effects)
            return nil
        }
        if let problem = group.problem(joiner.memberID, joiner.instanceID) { return joiner.refusal(problem) }
        guard let place = group.members.place(of: joiner.memberID) else {
            return joiner.refusal(.unknownMemberID)
        }
        let isUnchanged = group.members[place].protocols == joiner.protocols
        let isLeader = group.leaderID == joiner.memberID
        switch group.state {
        case .completingRebalance where isUnchanged:
            // The answer was lost on its way: it gets the same again.
            return generation(of: group, for: joiner.memberID)
        case .stable where isUnchanged && !isLeader:
            return generation(of: group, for: joiner.memberID)
        case .preparingRebalance, .completingRebalance, .stable:
            renew(group, place, joiner, &effects)
            prepareOrComplete(group, now, &effects)
            return nil
        case .empty, .dead: return joiner.refusal(.unknownMemberID)
        }
    }

    /// A JoinGroup that waits already is answered: its client has asked again.
    private func renew(_ group: ClassicGroup, _ place: Int, _ joiner: Joiner, _ effects: inout Effects) {
        if let old = group.takeJoining(place) {
            effects.answer(old, .join(joiner.refusal(.rebalanceInProgress)))
        }
        group.setProtocols(joiner.protocols, of: place)
        group.update(place) {
            $0.rebalanceTimeout = joiner.rebalanceTimeout
            $0.sessionTimeout = joiner.sessionTimeout
        }
        group.park(joiner.token, joining: place)
    }

    private func add(
        _ group: ClassicGroup, _ id: String, _ joiner: Joiner, _ now: CoordinatorMoment,
        _ effects: inout Effects
    ) {
        if group.state == .preparingRebalance, case .initialDelay = group.joinTimer?.kind {
            group.hasNewMember = true
        }
        group.add(joiner.member(id), type: joiner.protocolType)
        touch(group, group.members.count - 1, Self.newMemberTimeout, now)
        prepareOrComplete(group, now, &effects)
    }

    /// A static member has come back under another ID (KIP-345). Nobody else hears of it unless it knows
    /// other protocols than before.
    private func replace(
        _ group: ClassicGroup, _ place: Int, _ id: String, _ joiner: Joiner, _ now: CoordinatorMoment,
        _ effects: inout Effects
    ) -> JoinGroupResponse? {
        let old = group.members[place]
        let oldLeader = group.leaderID ?? ""
        // Whoever is still asking under the old ID is an impostor now.
        if let token = group.takeJoining(place) {
            effects.answer(token, .join(JoinGroupResponse(errorCode: .fencedInstanceID, memberID: old.id)))
        }
        if let token = old.syncing {
            effects.answer(token, .sync(SyncGroupResponse(errorCode: .fencedInstanceID)))
        }
        group.rename(place, to: id)
        group.setProtocols(joiner.protocols, of: place)
        group.update(place) {
            $0.syncing = nil
            $0.timer = nil
            $0.isNew = false
            $0.rebalanceTimeout = joiner.rebalanceTimeout
            $0.sessionTimeout = joiner.sessionTimeout
        }
        touch(group, place, joiner.sessionTimeout, now)
        if group.state == .stable, group.selectedProtocol == group.protocolName {
            effects.records.append(group.record)
            var response = generation(of: group, for: id)
            if joiner.caller.version >= 9 {
                response.skipAssignment = group.leaderID == id
            } else {
                // As long as it takes another for the leader it makes no assignment, which nobody wants.
                response.leader = oldLeader
                response.members = []
            }
            return response
        }
        group.park(joiner.token, joining: place)
        prepareOrComplete(group, now, &effects)
        return nil
    }

    /// What a member is told of the generation.
    func generation(of group: ClassicGroup, for memberID: String) -> JoinGroupResponse {
        let isLeader = group.leaderID == memberID
        return JoinGroupResponse(
            generationID: group.generation, protocolType: group.protocolType,
            protocolName: group.protocolName, leader: group.leaderID ?? "", memberID: memberID,
            members: isLeader
                ? group.members.all.map {
                    JoinGroupResponse.JoinGroupResponseMember(
                        memberID: $0.id, groupInstanceID: $0.instanceID,
                        metadata: $0.metadata(group.protocolName))
                } : [])
    }
}
