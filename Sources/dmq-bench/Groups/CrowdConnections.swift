import KafkaProtocol

/// The connections of many members of groups, who may have to share them.
final class CrowdConnections {
    private let connections: [BlockingConnection]

    /// Requests of a connection at once, where it is shared.
    private static let depth = 32

    init(port: Int32, count: Int) throws {
        connections = try (0..<count).map { _ in try BlockingConnection(port: port) }
    }

    /// Has the topic of groups made, and waits until their coordinators have read what there is.
    func awaitCoordinators(of groups: [String]) throws {
        guard let first = connections.first else { return }
        try first.send(FindCoordinatorRequest(coordinatorKeys: Array(groups.prefix(1))), version: 4)
        _ = try first.receive(FindCoordinatorRequest.self, version: 4)
        for group in groups {
            var code = ErrorCode.coordinatorLoadInProgress
            while code == .coordinatorLoadInProgress || code == .notCoordinator {
                try first.send(HeartbeatRequest(groupID: group, memberID: "nobody"), version: 4)
                code = try first.receive(HeartbeatRequest.self, version: 4).errorCode
            }
        }
    }

    /// All members ask, as many at once as their connections may, and all are answered.
    func askAll<Member, Request: RequestMessage>(
        _ members: inout [Member], version: Int16, _ request: (Member) -> Request,
        _ take: (inout Member, Request.Response) throws -> Void
    ) throws {
        let wave = connections.count * (connections.count == members.count ? 1 : Self.depth)
        for first in stride(from: 0, to: members.count, by: wave) {
            let range = first..<min(first + wave, members.count)
            for number in range {
                try connections[number % connections.count].send(request(members[number]), version: version)
            }
            for number in range {
                let connection = connections[number % connections.count]
                try take(&members[number], try connection.receive(Request.self, version: version))
            }
        }
    }

    static func check(_ code: ErrorCode, _ what: String, or other: ErrorCode = .none) throws {
        if code != .none && code != other { throw BenchmarkError.broker("\(what): \(code)") }
    }
}
