import Glibc
import Testing

@testable import SystemIO

@Suite("The gate to the kernel")
struct SystemCallTests {
    /// A kernel that interrupts the first calls, then answers.
    struct Script {
        var interruptions: Int
        let answer: Int32
        let error: Int32
        var calls = 0

        mutating func call() -> Int32 {
            calls += 1
            if interruptions > 0 {
                interruptions -= 1
                errno = EINTR
                return -1
            }
            errno = error
            return answer
        }
    }

    @Test("An interrupted call is repeated until it is not", arguments: [0, 1, 3, 1000])
    func retries(_ interruptions: Int) throws {
        var script = Script(interruptions: interruptions, answer: 7, error: 0)
        #expect(try SystemCall.run(.read, "x") { script.call() } == 7)
        #expect(script.calls == interruptions + 1)
    }

    @Test(
        "After the interruptions the error that comes is thrown, with what was asked",
        arguments: [0, 1, 3, 1000])
    func throwsAfterInterruptions(_ interruptions: Int) {
        var script = Script(interruptions: interruptions, answer: -1, error: ENOSPC)
        let error = #expect(throws: IOError.self) {
            try SystemCall.run(.write, "some file") { script.call() }
        }
        #expect(error == IOError(.write, "some file", .noSpace))
        #expect(script.calls == interruptions + 1)
    }

    @Test("Calls that return their error number are repeated as well", arguments: [0, 1, 3, 1000])
    func statusRetries(_ interruptions: Int) {
        var left = interruptions
        let error = #expect(throws: IOError.self) {
            try SystemCall.status(.allocate, "f") {
                left -= 1
                return left >= 0 ? EINTR : EFBIG
            }
        }
        #expect(error == IOError(.allocate, "f", .fileTooLarge))
        #expect(left == -1)
    }

    @Test("A null answer without an error is the end, with one it is thrown")
    func pointers() throws {
        var calls = 0
        let end = try SystemCall.pointer(.list, "d") { () -> UnsafeMutablePointer<Int>? in
            calls += 1
            if calls < 4 { errno = EINTR }
            return nil
        }
        #expect(end == nil && calls == 4)
        let error = #expect(throws: IOError.self) {
            try SystemCall.pointer(.list, "d") { () -> UnsafeMutablePointer<Int>? in
                errno = EIO
                return nil
            }
        }
        #expect(error?.errno == .inputOutput)
    }

    @Test("A call that must not be repeated is made once")
    func once() {
        var script = Script(interruptions: 5, answer: 0, error: 0)
        #expect(SystemCall.once { script.call() } == .interrupted)
        #expect(script.calls == 1)
    }

    @Test("A bad descriptor stops the process")
    func badDescriptor() async {
        await #expect(processExitsWith: .failure) {
            _ = try SystemCall.run(.write, "x") {
                errno = EBADF
                return Int32(-1)
            }
        }
    }

    @Test("A bad address stops the process")
    func badAddress() async {
        await #expect(processExitsWith: .failure) {
            _ = try SystemCall.run(.read, "x") {
                errno = EFAULT
                return Int32(-1)
            }
        }
    }
}
