internal import Base
public import SystemIO

/// How many connections a node has, in all and from each address. Any thread.
public final class ConnectionLimits: Sendable {
    /// The bounds; changes hold for the connections to come.
    public struct Settings: Sendable, Equatable {
        /// Of the node (max.connections).
        public var total: Int
        /// Of one address (max.connections.per.ip), and of certain ones (max.connections.per.ip.overrides).
        public var perAddress: Int
        public var overrides: [HostAddress: Int]
        /// New ones of the node in a second (max.connection.creation.rate); more wait in the kernel's queue.
        /// Nil: any number.
        public var rate: Double?
        /// New ones of one address in a second, and of certain ones (connection_creation_rate); more are
        /// refused. Nil: any number.
        public var ratePerAddress: Double?
        public var addressRates: [HostAddress: Double] = [:]

        public init(
            total: Int = .max, perAddress: Int = .max, overrides: [HostAddress: Int] = [:]
        ) {
            self.total = total
            self.perAddress = perAddress
            self.overrides = overrides
        }

        func limit(for host: HostAddress) -> Int { overrides[host] ?? perAddress }

        func rate(for host: HostAddress) -> Double? { addressRates[host] ?? ratePerAddress }
    }

    private struct State {
        var settings: Settings
        var total = 0
        var byHost: [HostAddress: Int] = [:]
        var arrivals = ArrivalRate()
        var arrivalsByHost: [HostAddress: ArrivalRate] = [:]
    }

    /// Addresses whose rates are remembered; then all begin anew, so that memory is bounded.
    private static let rememberedAddressCount = 10_000

    private let state: Locked<State>

    public init(_ settings: Settings = Settings()) { state = Locked(State(settings: settings)) }

    public var settings: Settings {
        get { state.withLock { $0.settings } }
        set { state.withLock { $0.settings = newValue } }
    }

    /// Connections there are.
    public var count: Int { state.withLock { $0.total } }

    /// Counts a connection from `host`.
    /// - Parameter now: nanoseconds of the monotonic clock.
    /// - Returns: why it may not be, and then it is not counted.
    func admit(_ host: HostAddress, now: UInt64) -> RefusalReason? {
        state.withLock { state in
            if let rate = state.settings.rate(for: host) {
                if state.arrivalsByHost[host] == nil,
                    state.arrivalsByHost.count >= Self.rememberedAddressCount
                {
                    state.arrivalsByHost.removeAll()
                }
                let isTaken = state.arrivalsByHost[host, default: ArrivalRate()].take(rate, now: now)
                if !isTaken { return .tooFastFromAddress }
            }
            if state.total >= state.settings.total { return .tooManyConnections }
            let known = state.byHost[host] ?? 0
            if known >= state.settings.limit(for: host) { return .tooManyFromAddress }
            state.total += 1
            state.byHost[host] = known + 1
            return nil
        }
    }

    /// Counts an arrival, whatever became of it.
    /// - Returns: for how many nanoseconds the next one has to wait.
    func noteArrival(now: UInt64) -> UInt64 {
        state.withLock { state in
            guard let rate = state.settings.rate else { return 0 }
            _ = state.arrivals.take(rate, now: now)
            return state.arrivals.wait(rate, now: now)
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

/// How fast connections come in: a second's worth may come at once, and the rest as time goes by.
struct ArrivalRate: Sendable {
    /// How many may come now; nil at the beginning, when it is a second's worth.
    private var left: Double?
    private var lastTime: UInt64 = 0

    /// Takes one.
    /// - Returns: false when it comes too early, and then it is not taken.
    mutating func take(_ perSecond: Double, now: UInt64) -> Bool {
        refill(perSecond, now: now)
        guard let known = left, known >= 1 else { return false }
        left = known - 1
        return true
    }

    /// How long the next one has to wait, in nanoseconds.
    mutating func wait(_ perSecond: Double, now: UInt64) -> UInt64 {
        refill(perSecond, now: now)
        let missing = 1 - (left ?? 0)
        return missing > 0 ? UInt64((missing / perSecond * 1e9).rounded(.up)) : 0
    }

    private mutating func refill(_ perSecond: Double, now: UInt64) {
        let most = max(perSecond, 1)
        let passed = Double(now > lastTime ? now - lastTime : 0) / 1e9
        left = min(left.map { $0 + passed * perSecond } ?? most, most)
        lastTime = now
    }
}
