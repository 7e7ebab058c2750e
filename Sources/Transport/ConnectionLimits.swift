internal import Base
public import SystemIO

/// How many connections a node has, in all and from each address. Any thread.
public final class ConnectionLimits: Sendable {
    /// The bounds; changes hold for the connections to come.
    public struct Settings: Sendable {
        /// Of the node (max.connections).
        public var total: Int
        /// Of one address (max.connections.per.ip), and of certain ones (max.connections.per.ip.overrides).
        public var perAddress: Int
        public var overrides: [HostAddress: Int]

        public init(
            total: Int = .max, perAddress: Int = .max, overrides: [HostAddress: Int] = [:]
        ) {
            self.total = total
            self.perAddress = perAddress
            self.overrides = overrides
        }

        func limit(for host: HostAddress) -> Int { overrides[host] ?? perAddress }
    }

    private struct State {
        var settings: Settings
        var total = 0
        var byHost: [HostAddress: Int] = [:]
    }

    private let state: Locked<State>

    public init(_ settings: Settings = Settings()) { state = Locked(State(settings: settings)) }

    public var settings: Settings {
        get { state.withLock { $0.settings } }
        set { state.withLock { $0.settings = newValue } }
    }

    /// Connections there are.
    public var count: Int { state.withLock { $0.total } }

    /// Counts a connection from `host`.
    /// - Returns: why it may not be, and then it is not counted.
    func admit(_ host: HostAddress) -> RefusalReason? {
        state.withLock { state in
            if state.total >= state.settings.total { return .tooManyConnections }
            let known = state.byHost[host] ?? 0
            if known >= state.settings.limit(for: host) { return .tooManyFromAddress }
            state.total += 1
            state.byHost[host] = known + 1
            return nil
        }
    }

    func release(_ host: HostAddress) {
        state.withLock { state in
            state.total -= 1
            guard let known = state.byHost[host] else { return }
            state.byHost[host] = known > 1 ? known - 1 : nil
        }
    }
}
