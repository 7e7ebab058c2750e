import SystemIO
import Testing

@Suite("A pause")
struct PauseTests {
    @Test("lasts as long as it should")
    func lasts() {
        let clock = SystemClock()
        let pause = Pause()
        let start = clock.monotonicNanoseconds()
        pause.wait(nanoseconds: 2_000_000)
        #expect(clock.monotonicNanoseconds() - start >= 2_000_000)
    }

    @Test("is over for all who wait, and who will, once it was ended")
    func ends() throws {
        let workers = WorkerThreads(limit: 3, name: "test")
        let pause = Pause()
        for _ in 0..<3 { #expect(try workers.submit { pause.wait(nanoseconds: .max) }) }
        pause.end()
        workers.finish()
        pause.wait(nanoseconds: .max)
    }
}
