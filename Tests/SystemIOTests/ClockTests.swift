import Foundation
import Testing

@testable import SystemIO

@Suite("Clock and randomness")
struct ClockTests {
    @Test("The monotonic clock does not go back")
    func monotonic() {
        let clock = SystemClock()
        var last = clock.monotonicNanoseconds()
        for _ in 0..<1000 {
            let now = clock.monotonicNanoseconds()
            #expect(now >= last)
            last = now
        }
    }

    @Test("The wall clock counts milliseconds since the Unix epoch")
    func wall() {
        let before = Date().timeIntervalSince1970 * 1000
        let now = Double(SystemClock().wallClockMilliseconds())
        let after = Date().timeIntervalSince1970 * 1000
        #expect(now >= before - 1 && now <= after + 1)
    }

    @Test("Seeds do not repeat")
    func seeds() {
        let seeds = Set((0..<1000).map { _ in SystemRandom.seed() })
        #expect(seeds.count == 1000)
    }
}
