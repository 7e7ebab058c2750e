import Foundation
import Testing

@testable import SystemIO

/// The kernel cuts writes short at the file size limit of a process (RLIMIT_FSIZE), so each of these tests
/// runs in a process of its own.
@Suite("Short writes")
struct ShortWriteTests {
    static let limit = 64 * 1024

    /// No file of this process grows past `byteCount`; the kernel's signal about it is ignored.
    static func limitFiles(to byteCount: Int) {
        signal(SIGXFSZ, SIG_IGN)
        var limits = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limits)
        limits.rlim_cur = rlim_t(byteCount)
        precondition(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limits) == 0)
    }

    static func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 131 &+ 17) }
    }

    /// Writes past the limit, and checks that the write failed once and left what fitted.
    static func writePastLimit(_ kind: QueueKind) throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("file")
        let file = try PosixFileSystem().open(path, .createNew)
        limitFiles(to: limit)
        let queue = try kind.make()
        let recorder = Recorder()
        let bytes = bytes(limit + 50_000)
        let buffer = IOBuffer(copying: bytes)
        let slices = [BufferSlice(buffer, 0..<1000), BufferSlice(buffer, 1000..<bytes.count)]
        queue.write(slices, to: file, at: 0, thenSync: true, CompletionToken(rawValue: 8), recorder)
        while queue.pendingCount > 0 { queue.poll(waitNanoseconds: nil) }
        let expected = Recorder.Entry(
            event: .written, token: 8, failure: IOError(.write, path, .fileTooLarge))
        precondition(recorder.entries == [expected], "\(recorder.entries)")
        let content = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
        precondition(content == Array(bytes[..<limit]), "\(content.count) bytes")
    }

    @Test("A write that is cut short and cannot go on fails once, through the ring")
    func ringLinked() async {
        await #expect(processExitsWith: .success) { try Self.writePastLimit(.ringLinked) }
    }

    @Test("A write that is cut short and cannot go on fails once, inline")
    func ringInline() async {
        await #expect(processExitsWith: .success) { try Self.writePastLimit(.ringInline) }
    }

    @Test("A write that is cut short and cannot go on fails once, through epoll")
    func epoll() async {
        await #expect(processExitsWith: .success) { try Self.writePastLimit(.epoll) }
    }

    @Test("A short write breaks the link to its sync, is continued, and then synced")
    func continued() async {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            let path = directory.file("file")
            let file = try PosixFileSystem().open(path, .createNew)
            Self.limitFiles(to: Self.limit)
            let queue = try RingAppendQueue(road: .linked)
            let recorder = Recorder()
            let bytes = Self.bytes(Self.limit * 3)
            let buffer = IOBuffer(copying: bytes)
            let slices = (0..<3).map { BufferSlice(buffer, $0 * Self.limit..<($0 + 1) * Self.limit) }
            queue.write(slices, to: file, at: 0, thenSync: true, CompletionToken(rawValue: 8), recorder)
            queue.submit()
            // The kernel has cut the write short; from now on there is room.
            while !queue.ring.hasCompletions {}
            Self.limitFiles(to: Self.limit * 10)
            while queue.pendingCount > 0 { queue.poll(waitNanoseconds: nil) }
            let expected = [AppendEvent.written, .synced].map {
                Recorder.Entry(event: $0, token: 8, failure: nil)
            }
            precondition(recorder.entries == expected, "\(recorder.entries)")
            let content = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
            precondition(content == bytes, "\(content.count) bytes")
        }
    }

    @Test("A write of more than the kernel moves at once is continued", arguments: QueueKind.allCases)
    func largerThanOneCall(_ kind: QueueKind) throws {
        let queue = try kind.make()
        let recorder = Recorder()
        let sink = try PosixFileSystem().open("/dev/null", .readWrite)
        let buffer = IOBuffer(byteCount: 64 << 20)
        let slices = [BufferSlice](repeating: BufferSlice(buffer), count: 40)
        queue.write(slices, to: sink, at: 0, thenSync: false, CompletionToken(rawValue: 1), recorder)
        queue.write(slices, to: sink, at: 0, thenSync: true, CompletionToken(rawValue: 2), recorder)
        while queue.pendingCount > 0 { queue.poll(waitNanoseconds: nil) }
        #expect(recorder.events(of: 1) == [.written])
        #expect(recorder.events(of: 2) == [.written, .synced])
        #expect(recorder.entries.filter { $0.event == .written }.allSatisfy { $0.failure == nil })
    }
}
