import Base
import Foundation
import Synchronization
import Testing

@testable import SystemIO

@Suite("The process")
struct ProcessTests {
    @Test("CPU time grows with work, and a thread's is no more than the process's")
    func usage() {
        let before = ProcessUsage.ofThread()
        var random = SeededGenerator(seed: 1)
        var sum: UInt64 = 0
        // Until the kernel's clock has ticked.
        while ProcessUsage.ofThread().cpuSeconds == before.cpuSeconds {
            for _ in 0..<100_000 { sum &+= random.next() }
        }
        let thread = ProcessUsage.ofThread()
        let process = ProcessUsage.ofProcess()
        #expect(sum != 0)
        #expect(thread.cpuSeconds > before.cpuSeconds)
        #expect(process.cpuSeconds + 0.1 >= thread.cpuSeconds)
        #expect(process.peakResidentByteCount > 1 << 20)
    }

    @Test("The limit of open files is raised to what is allowed")
    func openFiles() throws {
        let limit = try OpenFileLimit.raise()
        var limits = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits)
        #expect(limits.rlim_cur == limits.rlim_max)
        #expect(limit == Int(clamping: limits.rlim_max))
    }

    @Test(
        "Times are written as ISO 8601 has them",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"), (4_102_444_800_007, "2100-01-01T00:00:00.007Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] as [(Int64, String)])
    func timeText(_ milliseconds: Int64, _ text: String) {
        #expect(StandardErrorLog.text(ofMilliseconds: milliseconds) == text)
    }

    @Test("Times are written as Foundation does")
    func timeTextAgainstFoundation() {
        let formatter = ISO8601DateFormatter()
        var random = SeededGenerator(seed: 3)
        for _ in 0..<1000 {
            let second = Int64.random(in: 0...4_000_000_000, using: &random)
            let expected =
                formatter.string(from: Date(timeIntervalSince1970: Double(second))).dropLast() + ".042Z"
            #expect(StandardErrorLog.text(ofMilliseconds: second * 1000 + 42) == expected)
        }
    }

    @Test("Output goes to the standard streams, log lines with their time to the standard error")
    func streams() async throws {
        let result = await #expect(
            processExitsWith: .success, observing: [\.standardOutputContent, \.standardErrorContent]
        ) {
            try StandardStream.output.write("first\n")
            try StandardStream.output.write(IOBuffer(copying: Array("second\nrest".utf8)), byteCount: 7)
            let log = Logger(component: "test", sink: StandardErrorLog())
            log.log(.info, "something happened", [LogField("path", "/a b")])
        }
        let output = String(decoding: try #require(result).standardOutputContent, as: UTF8.self)
        #expect(output.contains("first\nsecond\n"))
        let error = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
        #expect(error.hasPrefix("time=20"))
        #expect(error.hasSuffix("Z level=info component=test event=\"something happened\" path=\"/a b\"\n"))
    }
}
