internal import ClusterMetadata
internal import RaftController

/// The quotas of clients for making and deleting partitions (KIP-599): a bucket for each, which fills at the
/// client's rate and holds what comes in `controller.quota.window.num` windows. Touched by the lane of the
/// controller only.
final class MutationQuotas {
    /// Which bucket, and its rate in partitions a second.
    struct Quota {
        let scope: QuotaScope
        let perSecond: Double
    }

    private struct Bucket {
        var tokens: Double
        /// When it had so many, in nanoseconds of the monotonic clock.
        var moment: UInt64
    }

    private var rules = QuotaRules(ClientQuotasImage())
    private var buckets: [QuotaScope: Bucket] = [:]
    private let burstSeconds: Double

    /// - Parameters:
    ///   - windowCount: `controller.quota.window.num`.
    ///   - windowSeconds: `controller.quota.window.size.seconds`.
    init(windowCount: Int, windowSeconds: Int) {
        burstSeconds = Double(max(windowCount, 1)) * Double(max(windowSeconds, 1))
    }

    /// Takes over the quotas as they are now. What was used stays counted.
    func update(_ image: ClientQuotasImage) {
        rules = QuotaRules(image)
        if !rules.has(.mutation) { buckets.removeAll() }
    }

    /// Nil: nothing is counted.
    func quota(of clientID: String?) -> Quota? {
        rules.limit(.mutation, user: LaneQuotas.anonymous, clientID: clientID ?? "").map {
            Quota(scope: $0.scope, perSecond: $0.perSecond)
        }
    }

    /// What may be used now.
    func allowance(_ quota: Quota, now: UInt64) -> MutationAllowance {
        MutationAllowance(tokens: tokens(quota, now: now))
    }

    /// Notes what was used.
    /// - Returns: how long until the bucket is not overdrawn any more, in milliseconds.
    func take(_ partitionCount: Int, of quota: Quota, now: UInt64) -> Int64 {
        let left = tokens(quota, now: now) - Double(partitionCount)
        if buckets.count >= QuotaMeters.maximumCount { makeRoom(now: now) }
        buckets[quota.scope] = Bucket(tokens: left, moment: now)
        guard left < 0 else { return 0 }
        return Int64(min((-left / quota.perSecond * 1000).rounded(.up), Self.longestWaitMilliseconds))
    }

    /// A day: nobody waits for so long.
    private static let longestWaitMilliseconds = 86_400_000.0

    private func tokens(_ quota: Quota, now: UInt64) -> Double {
        let full = quota.perSecond * burstSeconds
        guard let bucket = buckets[quota.scope] else { return full }
        let seconds = Double(now - min(bucket.moment, now)) / 1e9
        return min(full, bucket.tokens + seconds * quota.perSecond)
    }

    /// Buckets of a few days ago are full. Where all are in use, all begin anew: memory is bounded whatever
    /// clients do.
    private func makeRoom(now: UInt64) {
        let windows = UInt64(burstSeconds * 1e9)
        buckets = buckets.filter { $0.value.tokens < 0 || now - min($0.value.moment, now) < windows }
        if buckets.count > QuotaMeters.maximumCount / 2 { buckets.removeAll() }
    }
}
