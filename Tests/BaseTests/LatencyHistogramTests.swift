import Base
import Testing

@Suite struct LatencyHistogramTests {
    /// The slow obvious model: all values, sorted.
    private func exactPercentile(_ sorted: [UInt64], _ percent: Double) -> UInt64 {
        let rank = max(1, Int((percent / 100 * Double(sorted.count)).rounded(.up)))
        return sorted[rank - 1]
    }

    @Test("a percentile is never below the true one and at most the stated error above it", arguments: 1...12)
    func percentilesAreWithinTheStatedError(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var histogram = LatencyHistogram()
        var values: [UInt64] = []
        for _ in 0..<Int.random(in: 1...5000, using: &generator) {
            let value = generator.next() >> UInt64.random(in: 0...63, using: &generator)
            values.append(value)
            histogram.record(value)
        }
        values.sort()
        for percent in [0.001, 1, 10, 25, 50, 75, 90, 99, 99.9, 99.99, 100] {
            let exact = exactPercentile(values, percent)
            let measured = histogram.percentile(percent)
            #expect(measured >= exact, "p\(percent)")
            #expect(Double(measured) <= Double(exact) * (1 + LatencyHistogram.relativeError), "p\(percent)")
        }
        #expect(histogram.minimum == values.first)
        #expect(histogram.maximum == values.last)
        #expect(histogram.percentile(0) == values.first)
        #expect(histogram.percentile(100) == values.last)
        #expect(histogram.count == UInt64(values.count))
        #expect(histogram.sum == values.reduce(0, &+))
    }

    @Test("every value has one bucket, buckets follow each other without a gap")
    func bucketsCoverAllValues() {
        var last: UInt64?
        for shift in UInt64(0)...63 {
            for near in [
                UInt64(1) << shift, (UInt64(1) << shift) &- 1, (UInt64(1) << shift) &+ 1, UInt64.max,
            ] {
                var histogram = LatencyHistogram()
                histogram.record(near)
                #expect(histogram.percentile(50) == near, "a single value is its own percentile")
            }
            last = shift
        }
        #expect(last == 63)
    }

    @Test("values below 256 are told apart exactly")
    func smallValuesAreExact() {
        var histogram = LatencyHistogram()
        for value in UInt64(0)..<256 { histogram.record(value, times: 100) }
        for value in UInt64(0)..<256 {
            #expect(histogram.percentile(Double(value * 100 + 50) / 25_600 * 100) == value)
        }
    }

    @Test("merging equals recording everything into one")
    func mergeIsTheSum() {
        var generator = SeededGenerator(seed: 77)
        var left = LatencyHistogram()
        var right = LatencyHistogram()
        var both = LatencyHistogram()
        for _ in 0..<4000 {
            let value = generator.next() >> 40
            if generator.chance(1, in: 3) { left.record(value) } else { right.record(value) }
            both.record(value)
        }
        left.merge(right)
        for percent in stride(from: 0.0, through: 100, by: 2.5) {
            #expect(left.percentile(percent) == both.percentile(percent))
        }
        #expect(left.count == both.count)
        #expect(left.mean == both.mean)
        #expect(left.minimum == both.minimum)
        left.merge(LatencyHistogram())
        #expect(left.minimum == both.minimum)
    }

    @Test("an empty histogram answers zero, also after removeAll")
    func emptyAnswersZero() {
        var histogram = LatencyHistogram()
        #expect(histogram.percentile(99) == 0)
        #expect(histogram.minimum == 0)
        #expect(histogram.mean == 0)
        histogram.record(5)
        histogram.record(0, times: 0)
        #expect(histogram.count == 1)
        histogram.removeAll()
        #expect(histogram.percentile(100) == 0)
        #expect(histogram.minimum == 0)
        #expect(histogram.maximum == 0)
        #expect(histogram.count == 0)
    }
}
