import Base
import Testing

@testable import SystemIO

@Suite("The choice of an append queue")
struct AppendQueuesTests {
    final class Lines: LogSink {
        private let lines = Locked<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func write(level: LogLevel, line: String) { lines.withLock { $0.append(line) } }
    }

    @Test("io_uring is taken when the kernel has it, epoll when the setting says so")
    func choices() throws {
        #expect(try AppendQueues.make(.auto, log: .silent).name == "io_uring")
        #expect(try AppendQueues.make(.ioUring, log: .silent).name == "io_uring")
        #expect(try AppendQueues.make(.epoll, log: .silent).name == "epoll")
        #expect(AppendQueueChoice.allCases.map(\.rawValue) == ["auto", "io_uring", "epoll"])
    }

    @Test(
        "A kernel that refuses io_uring gets epoll, with the reason in the log",
        arguments: [Errno.notPermitted, .notImplemented, .noMemory, .accessDenied])
    func refused(_ reason: Errno) throws {
        let lines = Lines()
        let log = Logger(component: "test", minimumLevel: .info, sink: lines)
        let queue = try AppendQueues.make(.auto, log: log) { () throws(IOError) in
            throw IOError(.ring, "io_uring_setup", reason)
        }
        #expect(queue.name == "epoll")
        let all = lines.all
        #expect(all.count == 1)
        #expect(all.first?.contains("level=warn") == true)
        #expect(all.first?.contains("errno \(reason.rawValue)") == true)
        #expect(all.first?.contains("hint=") == true)
    }

    @Test("With io_uring asked for by name, its refusal is an error")
    func refusedByName() {
        let error = #expect(throws: IOError.self) {
            try AppendQueues.make(.ioUring, log: .silent) { () throws(IOError) in
                throw IOError(.ring, "io_uring_setup", .notPermitted)
            }
        }
        #expect(error == IOError(.ring, "io_uring_setup", .notPermitted))
    }
}
