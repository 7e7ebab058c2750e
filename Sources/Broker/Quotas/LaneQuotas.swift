internal import Base
internal import ClusterMetadata
internal import KafkaProtocol

/// The quotas of clients as one lane applies them: which hold for whom, and how long who exceeds one has to
/// wait. Touched by the lane only; what is counted goes into meters that all lanes share.
///
/// A client over its quota is answered at once, told for how long it is paused, and nothing more is read from
/// its connection for that time (KIP-219).
final class LaneQuotas {
    /// A quota and what was used of it.
    private struct Quota {
        let perSecond: Double
        let meter: RateMeter
    }

    /// All that holds for one client.
    private struct ClientQuotas {
        var produce: Quota?
        var fetch: Quota?
        var request: Quota?
    }

    private let meters: QuotaMeters
    private let timeSource: any TimeSource
    private var rules = QuotaRules(ClientQuotasImage())
    /// Whether anybody has a quota: without one nothing is counted.
    private(set) var isActive = false
    private var measuresTime = false
    private var known: [String: ClientQuotas] = [:]

    /// Who connects without saying who it is, as in Kafka.
    static let anonymous = "ANONYMOUS"
    /// Clients whose quotas are remembered; more are looked up again.
    private static let knownCount = 4_096
    private static let nanosecondsPerMillisecond: UInt64 = 1_000_000

    init(meters: QuotaMeters, timeSource: any TimeSource) {
        self.meters = meters
        self.timeSource = timeSource
    }

    /// Takes over the quotas as they are now. What was used stays counted.
    func update(_ image: ClientQuotasImage) {
        rules = QuotaRules(image)
        isActive = [QuotaKind.produce, .fetch, .request].contains { rules.has($0) }
        measuresTime = rules.has(.request)
        known.removeAll()
    }

    private func quotas(of clientID: String, now: UInt64) -> ClientQuotas {
        if let found = known[clientID] { return found }
        if known.count >= Self.knownCount { known.removeAll(keepingCapacity: true) }
        func quota(_ kind: QuotaKind) -> Quota? {
            guard let limit = rules.limit(kind, user: Self.anonymous, clientID: clientID) else { return nil }
            // A percentage of a second is so many nanoseconds.
            let perSecond = kind == .request ? limit.perSecond * 1e7 : limit.perSecond
            return Quota(perSecond: perSecond, meter: meters.meter(kind, limit.scope, now: now))
        }
        let made = ClientQuotas(produce: quota(.produce), fetch: quota(.fetch), request: quota(.request))
        known[clientID] = made
        return made
    }

    // MARK: Time

    /// - Returns: when work for a request began; nil where nobody wants to know.
    func beginWork() -> UInt64? { measuresTime ? timeSource.monotonicNanoseconds() : nil }

    /// Counts the time since `began` as a client's. What a request has cost shows in the answers after it.
    func endWork(_ began: UInt64?, _ clientID: String?) {
        guard let began else { return }
        let now = timeSource.monotonicNanoseconds()
        quotas(of: clientID ?? "", now: now).request?.meter.record(now &- began, now: now)
    }

    // MARK: Pauses

    /// How long a client is to be paused that gets an answer now, in milliseconds.
    /// - Parameter producedByteCount: of a produce request, which are counted.
    func pause(_ clientID: String?, producedByteCount: Int? = nil, now: UInt64) -> Int64 {
        let client = quotas(of: clientID ?? "", now: now)
        var nanoseconds = requestExcess(client, now: now)
        if let producedByteCount, let produce = client.produce {
            produce.meter.record(UInt64(max(producedByteCount, 0)), now: now)
            nanoseconds = max(nanoseconds, produce.meter.excess(over: produce.perSecond, now: now))
        }
        return Self.milliseconds(nanoseconds)
    }

    /// The same for a fetch that has found records. If it is to be paused they are not sent and not counted.
    func pause(_ clientID: String?, fetchedByteCount: Int, now: UInt64) -> Int64 {
        let client = quotas(of: clientID ?? "", now: now)
        var nanoseconds = requestExcess(client, now: now)
        if let fetch = client.fetch {
            let byteCount = UInt64(max(fetchedByteCount, 0))
            // A batch that is larger than all that is allowed goes when nothing else has gone for a while.
            if fetch.meter.total(now: now) > 0 {
                nanoseconds = max(
                    nanoseconds,
                    fetch.meter.excess(over: fetch.perSecond, adding: byteCount, now: now))
            }
            if nanoseconds == 0 { fetch.meter.record(byteCount, now: now) }
        }
        return Self.milliseconds(nanoseconds)
    }

    /// The most that one fetch may bring without a pause; nil without a quota.
    func fetchAllowance(_ clientID: String?, now: UInt64) -> Int? {
        guard let fetch = quotas(of: clientID ?? "", now: now).fetch else { return nil }
        return Int(min(fetch.meter.allowance(at: fetch.perSecond), Double(Int32.max)))
    }

    /// A pause for the time of requests is at most one window, as in Kafka.
    private func requestExcess(_ client: ClientQuotas, now: UInt64) -> UInt64 {
        guard let request = client.request else { return 0 }
        let longest = UInt64(meters.windowSeconds) * 1_000_000_000
        return min(request.meter.excess(over: request.perSecond, now: now), longest)
    }

    /// Rounded up: who comes back a moment too early would be paused once more.
    private static func milliseconds(_ nanoseconds: UInt64) -> Int64 {
        Int64((nanoseconds + nanosecondsPerMillisecond - 1) / nanosecondsPerMillisecond)
    }
}
