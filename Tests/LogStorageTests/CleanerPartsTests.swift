import Base
import RecordFormat
import SimulationKit
import Testing

@testable import LogStorage

@Suite("The parts of compaction")
struct CleanerPartsTests {
    private func hexadecimal(_ hash: KeyHash) -> String {
        withUnsafeBytes(of: hash.first.littleEndian) { first in
            withUnsafeBytes(of: hash.second.littleEndian) { second in
                (Array(first) + Array(second)).map { byte in
                    (byte < 16 ? "0" : "") + String(byte, radix: 16)
                }.joined()
            }
        }
    }

    /// From the reference implementation of SipHash: the key is 00 01 ... 0f, the inputs 00 01 02 ...
    @Test("hashes of keys are SipHash-2-4 with 128 bits")
    func hashVectors() {
        let hasher = KeyHasher(secret: (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908))
        let expected = [
            "a3817f04ba25a8e66df67214c7550293", "da87c1d86b99af44347659119b22fc45",
            "8177228da4a45dc7fca38bdef60affe4", "9c70b60c5267a94e5f33b6b02985ed51",
        ]
        for (count, hash) in expected.enumerated() {
            let key = (0..<count).map { UInt8($0) }
            #expect(hexadecimal(hasher.hash(key.span.bytes)) == hash)
        }
    }

    @Test("hashes depend on every byte, the length and the secret")
    func hashSpread() {
        var seen: Set<KeyHash> = []
        var count = 0
        for secret: (UInt64, UInt64) in [(0, 0), (1, 0), (0, 1)] {
            let hasher = KeyHasher(secret: secret)
            for length in 0...40 {
                let zeros = [UInt8](repeating: 0, count: length)
                seen.insert(hasher.hash(zeros.span.bytes))
                count += 1
                for position in 0..<length {
                    var key = zeros
                    key[position] = 0x80
                    seen.insert(hasher.hash(key.span.bytes))
                    count += 1
                }
            }
        }
        #expect(seen.count == count)
    }

    @Test("the offset map agrees with a dictionary until it is full", arguments: 1...10)
    func mapModel(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let slots = Int(generator.next() % 60) + 2
        var map = OffsetMap(byteCount: slots * OffsetMap.slotByteCount, loadFactor: 0.9, neededCount: 1 << 40)
        // Few different upper halves, so that many hashes want the same slot.
        func hash(_ number: UInt64) -> KeyHash { KeyHash(first: (number % 3) << 62, second: number) }
        var model: [UInt64: Offset] = [:]
        for step in 0..<400 {
            let number = generator.next() % 80
            let offset = Offset(Int64(step))
            let isTaken = map.put(hash(number), offset)
            #expect(isTaken == (model[number] != nil || model.count < map.maximumCount))
            if isTaken { model[number] = offset }
            #expect(map.count == model.count)
            let asked = generator.next() % 80
            #expect(map.offset(of: hash(asked)) == model[asked])
        }
        #expect(map.count == map.maximumCount)
        #expect(map.maximumCount < slots && map.maximumCount >= 1)
    }

    @Test("the offset map takes no more memory than there can be keys, and never more than it may")
    func mapSize() {
        let small = OffsetMap(byteCount: 1 << 20, loadFactor: 0.5, neededCount: 10)
        #expect(small.maximumCount >= 10 && small.maximumCount < 20)
        let large = OffsetMap(byteCount: 24 * 1000, loadFactor: 0.9, neededCount: 1 << 40)
        #expect(large.maximumCount == 900)
        let least = OffsetMap(byteCount: 1, loadFactor: 0.9, neededCount: 1 << 40)
        #expect(least.maximumCount == 1)
    }

    @Test("the throttle never lets more pass than the rate and one piece", arguments: 1...10)
    func throttleRate(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let clock = SimulatedClock()
        let rate = Double(generator.next() % 1_000_000 + 1_000)
        let early = Locked(SeededGenerator(seed: seed))
        let throttle = DiskThrottle(bytesPerSecond: rate, timeSource: clock) { nanoseconds in
            // Waits end early now and then.
            let divisor = early.withLock { $0.chance(1, in: 3) } ? UInt64(2) : 1
            clock.advance(nanoseconds: max(1, nanoseconds / divisor))
        }
        var admitted: [(time: UInt64, byteCount: Int)] = []
        for _ in 0..<200 {
            if generator.chance(1, in: 4) { clock.advance(nanoseconds: generator.next() % 50_000_000) }
            let byteCount = Int(generator.next() % 5_000) + 1
            throttle.admit(byteCount, unless: { false })
            admitted.append((clock.monotonicNanoseconds(), byteCount))
        }
        for first in admitted.indices {
            var passed = 0
            for last in first..<admitted.count {
                // What is admitted at the end of a stretch is the one piece.
                let seconds = Double(admitted[last].time - admitted[first].time) / 1e9
                #expect(Double(passed) <= rate * seconds + 1)
                passed += admitted[last].byteCount
            }
        }
    }

    @Test("who waits for the throttle goes on at once when its rate is changed")
    func throttleChanged() {
        let clock = SimulatedClock()
        let waits = Locked(0)
        let changing = Locked<DiskThrottle?>(nil)
        let throttle = DiskThrottle(bytesPerSecond: 1, timeSource: clock) { _ in
            waits.withLock { $0 += 1 }
            changing.withLock { $0 }?.setRate(1_000_000)
        }
        changing.withLock { $0 = throttle }
        throttle.admit(1_000_000, unless: { false })
        throttle.admit(1_000_000, unless: { false })
        #expect(waits.withLock { $0 } == 1)
        throttle.setRate(nil)
        for _ in 0..<100 { throttle.admit(1_000_000, unless: { false }) }
        #expect(waits.withLock { $0 } == 1)
        changing.withLock { $0 = nil }
    }

    @Test("who is cancelled does not wait for the throttle")
    func throttleCancelled() {
        let clock = SimulatedClock()
        let waits = Locked(0)
        let throttle = DiskThrottle(bytesPerSecond: 1, timeSource: clock) { _ in
            waits.withLock { $0 += 1 }
        }
        throttle.admit(1000, unless: { false })
        throttle.admit(1000, unless: { waits.withLock { $0 } == 3 })
        #expect(waits.withLock { $0 } == 3)
    }

    private func segment(
        _ base: Int64, _ next: Int64, byteCount: Int64 = 100, newest: Int64? = nil, oldest: Int64? = nil,
        isDamaged: Bool = false
    ) -> Cleanability.Segment {
        Cleanability.Segment(
            baseOffset: Offset(base), nextBaseOffset: Offset(next), byteCount: byteCount,
            newestMilliseconds: newest, oldestMilliseconds: oldest, isDamaged: isDamaged)
    }

    private func cleanability(
        _ segments: [Cleanability.Segment], firstDirty: Int64, bound: Int64, now: Int64 = 1_000_000,
        _ change: (inout LogConfiguration) -> Void = { _ in }
    ) -> Cleanability {
        var configuration = LogConfiguration()
        configuration.cleanupPolicy = .compact
        change(&configuration)
        return Cleanability(
            segments, firstDirtyOffset: Offset(firstDirty), bound: Offset(bound), now: Timestamp(now),
            configuration: configuration)
    }

    @Test("only whole segments below the bound are compacted, and the share of dirty bytes says when")
    func selection() {
        let segments = [segment(0, 10), segment(10, 20), segment(20, 30, byteCount: 300), segment(30, 40)]
        let all = cleanability(segments, firstDirty: 20, bound: 40)
        #expect(all.endOffset == Offset(40) && all.segmentCount == 4)
        #expect(all.cleanByteCount == 200 && all.dirtyByteCount == 400)
        #expect(all.isDue(LogConfiguration()))
        let part = cleanability(segments, firstDirty: 20, bound: 39)
        #expect(part.endOffset == Offset(30) && part.dirtyByteCount == 300)
        let none = cleanability(segments, firstDirty: 20, bound: 29)
        #expect(none.endOffset == Offset(20) && none.dirtyByteCount == 0 && !none.isDue(LogConfiguration()))
        let inside = cleanability(segments, firstDirty: 15, bound: 40)
        #expect(inside.cleanByteCount == 100 && inside.dirtyByteCount == 500)
        // A ratio that is just reached does not do.
        let even = cleanability([segment(0, 10), segment(10, 20)], firstDirty: 10, bound: 20)
        #expect(even.dirtyRatio == 0.5 && !even.isDue(LogConfiguration()))
        let empty = cleanability([], firstDirty: 7, bound: 100)
        #expect(empty.segmentCount == 0 && empty.dirtyRatio == 0)
    }

    @Test("nothing from a damaged segment on is compacted")
    func damagedSegment() {
        let found = cleanability(
            [segment(0, 10), segment(10, 20, isDamaged: true), segment(20, 30)], firstDirty: 0, bound: 30)
        #expect(found.endOffset == Offset(10) && found.segmentCount == 1)
    }

    @Test("segments with records younger than min.compaction.lag.ms wait, and all behind them")
    func minimumLag() {
        let segments = [
            segment(0, 10, newest: 990_000), segment(10, 20, newest: 900_000),
            segment(20, 30, newest: 995_000),
            segment(30, 40, newest: 900_000),
        ]
        let found = cleanability(segments, firstDirty: 10, bound: 40) {
            $0.minimumCompactionLagMilliseconds = 10_000
        }
        #expect(found.endOffset == Offset(20))
        let future = cleanability([segment(0, 10, newest: Int64.max)], firstDirty: 0, bound: 40) {
            $0.minimumCompactionLagMilliseconds = 10_000
        }
        #expect(future.segmentCount == 0)
        let longPast = cleanability(
            [segment(0, 10, newest: -5)], firstDirty: 0, bound: 40, now: Int64.max - 2
        ) {
            $0.minimumCompactionLagMilliseconds = 10_000
        }
        #expect(longPast.segmentCount == 0)
    }

    @Test("a record older than max.compaction.lag.ms makes a round due whatever the ratio")
    func maximumLag() {
        let segments = [segment(0, 10, byteCount: 100_000), segment(10, 20, oldest: 500_000)]
        for (lag, isOverdue) in [(499_999, true), (500_000, false)] {
            let found = cleanability(segments, firstDirty: 10, bound: 20) {
                $0.maximumCompactionLagMilliseconds = Int64(lag)
            }
            #expect(found.isOverdue == isOverdue)
            #expect(found.isDue(LogConfiguration()) == isOverdue)
        }
        var configuration = LogConfiguration()
        configuration.maximumCompactionLagMilliseconds = 1_000
        #expect(configuration.effectiveSegmentMilliseconds == configuration.segmentMilliseconds)
        configuration.cleanupPolicy = [.compact, .delete]
        #expect(configuration.effectiveSegmentMilliseconds == 1_000)
    }
}
