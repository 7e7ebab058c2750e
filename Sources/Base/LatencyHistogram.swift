/// Counts of measured values in buckets whose width grows with the value, so that percentiles from a
/// nanosecond to centuries fit in 58 KiB (the idea of Gil Tene's HdrHistogram: linear buckets within each
/// power of two).
///
/// Values below 256 are counted exactly. A larger one shares its bucket with at most 1/128 of itself: a
/// percentile is never below the true value and never more than 1/128 (0.8 %) above it. Minimum, maximum,
/// count and sum are exact. The unit is the caller's; latencies are nanoseconds. `record` allocates nothing
/// as long as the histogram is not copied between two calls. Not for use from two threads at once: give each
/// its own and `merge` them.
public struct LatencyHistogram: Sendable {
    /// Bits that tell buckets apart within one power of two.
    @usableFromInline static let precisionBits: UInt64 = 7
    @usableFromInline static let bucketsPerPower: UInt64 = 1 << precisionBits
    /// The last bucket is that of UInt64.max.
    static let bucketCount = bucketIndex(of: .max) + 1

    /// The largest relative error of a percentile.
    public static let relativeError = 1.0 / Double(bucketsPerPower)

    @usableFromInline var counts: [UInt64]
    /// How many values were recorded.
    public private(set) var count: UInt64 = 0
    /// The sum of all values, modulo 2^64.
    public private(set) var sum: UInt64 = 0
    @usableFromInline var smallest = UInt64.max
    @usableFromInline var largest: UInt64 = 0

    public init() { counts = [UInt64](repeating: 0, count: Self.bucketCount) }

    /// 0 while nothing was recorded.
    public var minimum: UInt64 { count == 0 ? 0 : smallest }
    /// 0 while nothing was recorded.
    public var maximum: UInt64 { largest }
    /// 0 while nothing was recorded.
    public var mean: Double { count == 0 ? 0 : Double(sum) / Double(count) }

    /// Counts one value.
    public mutating func record(_ value: UInt64) { record(value, times: 1) }

    /// Counts a value several times, as when one sync ends the wait of many appends.
    public mutating func record(_ value: UInt64, times: UInt64) {
        guard times > 0 else { return }
        counts[Self.bucketIndex(of: value)] &+= times
        count &+= times
        sum &+= value &* times
        if value < smallest { smallest = value }
        if value > largest { largest = value }
    }

    /// Adds all that another histogram counted.
    public mutating func merge(_ other: LatencyHistogram) {
        for index in counts.indices { counts[index] &+= other.counts[index] }
        count &+= other.count
        sum &+= other.sum
        smallest = min(smallest, other.smallest)
        largest = max(largest, other.largest)
    }

    /// Forgets everything, keeping the memory.
    public mutating func removeAll() {
        for index in counts.indices { counts[index] = 0 }
        count = 0
        sum = 0
        smallest = .max
        largest = 0
    }

    /// The value that `percent` of the recorded values do not exceed, at most `relativeError` too high.
    ///
    /// - Parameter percent: 0 ... 100; 0 gives the minimum and 100 the maximum.
    /// - Returns: 0 while nothing was recorded.
    public func percentile(_ percent: Double) -> UInt64 {
        invariant(percent >= 0 && percent <= 100, "percentile \(percent) is not within 0...100")
        if count == 0 { return 0 }
        // The rank of the value looked for, 1 for the smallest; rounded up, so that p99 of 100 values is the
        // 99th.
        let rank = max(1, UInt64((percent / 100 * Double(count)).rounded(.up)))
        if percent == 0 { return minimum }
        var seen: UInt64 = 0
        for index in counts.indices {
            seen += counts[index]
            if seen >= rank { return max(minimum, min(Self.lastValue(ofBucket: index), largest)) }
        }
        return largest
    }

    /// The bucket of a value. With e = 0 below 256 the bucket is the value itself; above, the top 8 bits of
    /// the value choose the bucket, and e, the number of bits below them, the power of two.
    @inlinable static func bucketIndex(of value: UInt64) -> Int {
        let highestBit = 63 - UInt64(truncatingIfNeeded: (value | 1).leadingZeroBitCount)
        let exponent = highestBit > precisionBits ? highestBit - precisionBits : 0
        return Int(truncatingIfNeeded: (exponent << precisionBits) + (value >> exponent))
    }

    /// The largest value that `bucketIndex` puts into a bucket.
    static func lastValue(ofBucket index: Int) -> UInt64 {
        let place = UInt64(index)
        if place < 2 * bucketsPerPower { return place }
        let exponent = (place >> precisionBits) - 1
        let top = place - (exponent << precisionBits)
        return (top << exponent) + ((1 << exponent) - 1)
    }
}
