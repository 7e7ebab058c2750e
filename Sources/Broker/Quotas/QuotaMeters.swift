internal import Base

/// The meters of a node: one for each quota and whoever shares it. Lanes ask here once and keep what they
/// get, so that requests meet no lock.
final class QuotaMeters: Sendable {
    private struct Key: Hashable {
        let kind: QuotaKind
        let scope: QuotaScope
    }

    private let meters = Locked<[Key: RateMeter]>([:])
    let windowCount: Int
    let windowSeconds: Int

    /// Clients choose their IDs and could make as many up as they like; each takes about a kilobyte here.
    static let maximumCount = 20_000

    init(windowCount: Int, windowSeconds: Int) {
        self.windowCount = windowCount
        self.windowSeconds = windowSeconds
    }

    /// The meter of a quota; the same for every lane that asks.
    func meter(_ kind: QuotaKind, _ scope: QuotaScope, now: UInt64) -> RateMeter {
        meters.withLock { meters in
            let key = Key(kind: kind, scope: scope)
            if let known = meters[key] { return known }
            if meters.count >= Self.maximumCount { Self.makeRoom(&meters, now: now) }
            let made = RateMeter(windowCount: windowCount, windowSeconds: windowSeconds)
            meters[key] = made
            return made
        }
    }

    /// Those that nobody used lately say no more than new ones. Where all are in use, all begin anew: memory
    /// is bounded whatever clients do.
    private static func makeRoom(_ meters: inout [Key: RateMeter], now: UInt64) {
        meters = meters.filter { $0.value.total(now: now) > 0 }
        if meters.count > maximumCount / 2 { meters.removeAll() }
    }

    var count: Int { meters.withLock { $0.count } }
}
