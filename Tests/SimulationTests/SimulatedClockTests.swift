import Base
import SimulationKit
import Testing

@Suite("Simulated time and recorded logs")
struct SimulatedClockTests {
    @Test("Both clocks stand still until time passes")
    func passing() {
        let clock = SimulatedClock(monotonicNanoseconds: 5, wallClockMilliseconds: 1000)
        #expect(clock.monotonicNanoseconds() == 5 && clock.wallClockMilliseconds() == 1000)
        clock.advance(nanoseconds: 2_500_000)
        #expect(clock.monotonicNanoseconds() == 2_500_005 && clock.wallClockMilliseconds() == 1002)
        clock.advance(milliseconds: 3)
        #expect(clock.wallClockMilliseconds() == 1005)
        clock.advance(toMonotonicNanoseconds: 1)
        #expect(clock.monotonicNanoseconds() == 5_500_005)
        clock.advance(toMonotonicNanoseconds: 6_500_005)
        #expect(clock.wallClockMilliseconds() == 1006)
    }

    @Test("The wall clock jumps both ways, the monotonic clock does not")
    func jumping() {
        let clock = SimulatedClock(monotonicNanoseconds: 5, wallClockMilliseconds: 1000)
        clock.jumpWallClock(byMilliseconds: -2000)
        #expect(clock.wallClockMilliseconds() == -1000 && clock.monotonicNanoseconds() == 5)
        clock.setWallClock(milliseconds: 77)
        #expect(clock.wallClockMilliseconds() == 77 && clock.monotonicNanoseconds() == 5)
    }

    @Test("Log lines are kept with their levels and found by their parts")
    func logLines() {
        let sink = RecordingLogSink()
        let logger = sink.logger(component: "storage")
        logger.log(.debug, "opened", [LogField("path", "/a b")])
        logger.log(.error, "offline", [LogField("reason", "EIO")])
        #expect(sink.lines.map(\.level) == [.debug, .error])
        #expect(sink.lines(containing: "offline", "reason=EIO").count == 1)
        #expect(sink.lines(containing: "offline", "opened").isEmpty)
        #expect(sink.lines(atLeast: .warn).count == 1)
        sink.removeAll()
        #expect(sink.lines.isEmpty)
    }
}
