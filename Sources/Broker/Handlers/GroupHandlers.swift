internal import Base
internal import Coordinators
internal import KafkaProtocol
internal import RecordFormat

/// The members of groups, and groups as administrators see them: JoinGroup, SyncGroup, Heartbeat,
/// LeaveGroup, DescribeGroups, ListGroups and DeleteGroups; ConsumerGroupHeartbeat and ConsumerGroupDescribe.
enum GroupHandlers {
    static let served = [
        ServedAPI(0...9) { (request: JoinGroupRequest, context) in join(request, context) },
        ServedAPI(0...5) { (request: SyncGroupRequest, context) in
            context.broker.askGroup(request.groupID, .sync(request)) {
                if case .sync(let answer) = $0 { context.respond(answer) }
            }
        },
        ServedAPI(0...4) { (request: HeartbeatRequest, context) in
            context.broker.askGroup(request.groupID, .heartbeat(request)) {
                if case .heartbeat(let answer) = $0 { context.respond(answer) }
            }
        },
        ServedAPI(0...5) { (request: LeaveGroupRequest, context) in
            context.broker.askGroup(request.groupID, .leave(request, context.groupCaller)) {
                if case .leave(let answer) = $0 { context.respond(answer) }
            }
        },
        ServedAPI(0...6) { (request: DescribeGroupsRequest, context) in describe(request, context) },
        ServedAPI(0...5) { (request: ListGroupsRequest, context) in list(request, context) },
        ServedAPI(0...2) { (request: DeleteGroupsRequest, context) in delete(request, context) },
        ServedAPI(0...1) { (request: ConsumerGroupHeartbeatRequest, context) in heartbeat(request, context) },
        ServedAPI(0...1) { (request: ConsumerGroupDescribeRequest, context) in describe(request, context) },
    ]

    private static func join(_ request: JoinGroupRequest, _ context: RequestContext) {
        context.broker.askGroup(request.groupID, .join(request, context.groupCaller)) { answer in
            guard case .join(var response) = answer else { return }
            // Null came with version 7.
            if context.version < 7 { response.protocolName = response.protocolName ?? "" }
            if isWorthALine(response.errorCode) {
                context.logRefusal("join refused") {
                    [LogField("group", request.groupID), LogField("error", response.errorCode)]
                }
            }
            context.respond(response)
        }
    }

    /// Not what happens in every rebalance.
    private static func isWorthALine(_ code: ErrorCode) -> Bool {
        switch code {
        case .none, .memberIDRequired, .rebalanceInProgress, .unknownMemberID, .fencedMemberEpoch,
            .notCoordinator, .coordinatorLoadInProgress:
            false
        default: true
        }
    }

    /// What anyone may do with a group, as there are no access control lists: read, delete, describe, and
    /// describe and alter configurations, by the numbers of the operations.
    private static let operations: Int32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11

    private static func describe(_ request: DescribeGroupsRequest, _ context: RequestContext) {
        let caller = context.groupCaller
        let questions = request.groups.map { (group: $0, request: GroupRequest.describe(group: $0, caller)) }
        context.broker.askGroups(questions) { answers in
            context.respond(
                DescribeGroupsResponse(
                    groups: answers.compactMap { answer in
                        guard case .describe(var group) = answer else { return nil }
                        if request.includeAuthorizedOperations && group.errorCode == .none {
                            group.authorizedOperations = operations
                        }
                        return group
                    }))
        }
    }

    private static func heartbeat(_ request: ConsumerGroupHeartbeatRequest, _ context: RequestContext) {
        let question = GroupRequest.consumerHeartbeat(request, context.groupCaller)
        context.broker.askGroup(request.groupID, question) { answer in
            guard case .consumerHeartbeat(let response) = answer else { return }
            if isWorthALine(response.errorCode) {
                context.logRefusal("heartbeat refused") {
                    [
                        LogField("group", request.groupID), LogField("error", response.errorCode),
                        LogField("reason", response.errorMessage ?? ""),
                    ]
                }
            }
            context.respond(response)
        }
    }

    private static func describe(_ request: ConsumerGroupDescribeRequest, _ context: RequestContext) {
        let questions = request.groupIDs.map {
            (group: $0, request: GroupRequest.describeConsumer(group: $0))
        }
        context.broker.askGroups(questions) { answers in
            context.respond(
                ConsumerGroupDescribeResponse(
                    groups: answers.compactMap { answer in
                        guard case .describeConsumer(var group) = answer else { return nil }
                        // Which protocol a member uses came with version 1.
                        if context.version == 0 {
                            for place in group.members.indices { group.members[place].memberType = -1 }
                        }
                        if request.includeAuthorizedOperations && group.errorCode == .none {
                            group.authorizedOperations = operations
                        }
                        return group
                    }))
        }
    }

    private static func list(_ request: ListGroupsRequest, _ context: RequestContext) {
        let question = GroupRequest.list(states: request.statesFilter, types: request.typesFilter)
        context.broker.askAllGroups(question) { answers in
            var response = ListGroupsResponse()
            for case .list(let part) in answers {
                // Those that are kept elsewhere are listed there.
                if part.errorCode != .none && part.errorCode != .notCoordinator {
                    response.errorCode = part.errorCode
                }
                response.groups += part.groups
            }
            context.respond(response)
        }
    }

    private static func delete(_ request: DeleteGroupsRequest, _ context: RequestContext) {
        let questions = request.groupsNames.map { (group: $0, request: GroupRequest.delete(group: $0)) }
        context.broker.askGroups(questions) { answers in
            context.respond(
                DeleteGroupsResponse(
                    results: answers.compactMap {
                        if case .delete(let result) = $0 { result } else { nil }
                    }))
        }
    }
}

extension RequestContext {
    /// Who asks, as groups remember it.
    var groupCaller: GroupCaller {
        GroupCaller(
            clientID: header.clientID ?? "", clientHost: "/\(connection.peer.host)", version: version)
    }
}
