import Base
import Testing

@testable import SystemIO

@Suite("The choice of a network back end")
struct NetworkChoiceTests {
    final class Lines: LogSink {
        private let lines = Locked<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func write(level: LogLevel, line: String) { lines.withLock { $0.append(line) } }
    }

    let pool = BufferPool(limitByteCount: 1 << 20)

    @Test("io_uring is taken when the kernel has it, epoll when the setting says so")
    func choices() throws {
        #expect(try NetworkBackends.make(.auto, pool: pool, log: .silent).name == "io_uring")
        #expect(try NetworkBackends.make(.ioUring, pool: pool, log: .silent).name == "io_uring")
        #expect(try NetworkBackends.make(.epoll, pool: pool, log: .silent).name == "epoll")
        #expect(NetworkChoice.allCases.map(\.rawValue) == AppendQueueChoice.allCases.map(\.rawValue))
    }

    @Test(
        "A kernel that refuses io_uring gets epoll, with the reason in the log",
        arguments: [Errno.notPermitted, .notImplemented, .notSupported, .noMemory])
    func refused(_ reason: Errno) throws {
        let lines = Lines()
        let log = Logger(component: "test", minimumLevel: .info, sink: lines)
        let backend = try NetworkBackends.make(.auto, pool: pool, log: log) { () throws(IOError) in
            throw IOError(.ring, "io_uring_setup", reason)
        }
        #expect(backend.name == "epoll")
        #expect(lines.all.count == 1)
        #expect(lines.all.first?.contains("level=warn") == true)
        #expect(lines.all.first?.contains("errno \(reason.rawValue)") == true)
        #expect(lines.all.first?.contains("hint=") == true)
    }

    @Test("With io_uring asked for by name, its refusal is an error")
    func refusedByName() {
        let error = #expect(throws: IOError.self) {
            try NetworkBackends.make(.ioUring, pool: pool, log: .silent) { () throws(IOError) in
                throw IOError(.ring, "io_uring_setup", .notPermitted)
            }
        }
        #expect(error == IOError(.ring, "io_uring_setup", .notPermitted))
    }

    @Test("A ring that does what its polls need is recognised")
    func probe() throws {
        #expect(try RingPoller.isServed(by: SubmissionRing(entries: 8)))
    }
}
