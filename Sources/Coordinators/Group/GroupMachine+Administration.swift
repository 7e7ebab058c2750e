internal import KafkaProtocol

/// DescribeGroups, ListGroups and DeleteGroups.
extension GroupMachine {
    func describe(_ id: String, _ caller: GroupCaller) -> DescribeGroupsResponse.DescribedGroup {
        guard let group = groups[id] else {
            var answer = DescribeGroupsResponse.DescribedGroup(
                groupID: id, groupState: ClassicGroupState.dead.rawValue)
            if caller.version >= 6 {
                answer.errorCode = .groupIDNotFound
                answer.errorMessage =
                    consumerGroups[id] == nil
                    ? "Group \(id) not found." : "Group \(id) is not a classic group."
            }
            return answer
        }
        let isStable = group.state == .stable
        return DescribeGroupsResponse.DescribedGroup(
            groupID: id, groupState: group.state.rawValue, protocolType: group.protocolType ?? "",
            protocolData: isStable ? group.protocolName ?? "" : "",
            members: group.members.all.map { member in
                DescribeGroupsResponse.DescribedGroupMember(
                    memberID: member.id, groupInstanceID: member.instanceID, clientID: member.clientID,
                    clientHost: member.clientHost,
                    // Between two generations there is no metadata that would hold.
                    memberMetadata: isStable ? member.metadata(group.protocolName) : [],
                    memberAssignment: isStable ? member.assignment : [])
            })
    }

    /// The type that classic groups are listed under (KIP-848).
    private static let classicType = "classic"

    func list(states: [String], types: [String]) -> ListGroupsResponse {
        let wantedStates = Set(states.map { $0.lowercased() })
        let wantedTypes = Set(types.map { $0.lowercased() })
        var listed = listConsumerGroups(states: wantedStates, types: wantedTypes)
        if wantedTypes.isEmpty || wantedTypes.contains(Self.classicType) {
            let wanted = groups.values.filter {
                wantedStates.isEmpty || wantedStates.contains($0.state.rawValue.lowercased())
            }
            listed += wanted.map {
                ListGroupsResponse.ListedGroup(
                    groupID: $0.id, protocolType: $0.protocolType ?? "", groupState: $0.state.rawValue,
                    groupType: Self.classicType)
            }
        }
        return ListGroupsResponse(groups: listed.sorted { $0.groupID < $1.groupID })
    }

    func delete(_ id: String, _ effects: inout Effects) -> DeleteGroupsResponse.DeletableGroupResult {
        if let group = consumerGroups[id] { return delete(group, &effects) }
        guard let group = groups[id] else {
            return DeleteGroupsResponse.DeletableGroupResult(groupID: id, errorCode: .groupIDNotFound)
        }
        guard group.state == .empty else {
            return DeleteGroupsResponse.DeletableGroupResult(groupID: id, errorCode: .nonEmptyGroup)
        }
        effects.isAtomic = false
        effects.records += offsets.allKeys(of: id).map { .offset($0, nil) }
        effects.records.append(.classicGroup(id, nil))
        return DeleteGroupsResponse.DeletableGroupResult(groupID: id)
    }
}
