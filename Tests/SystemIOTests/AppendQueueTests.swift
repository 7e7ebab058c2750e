import Base
import Foundation
import Testing

@testable import SystemIO

/// The append queues under test. A kernel without io_uring fails these tests.
enum QueueKind: String, CaseIterable, Sendable, CustomStringConvertible {
    case ringLinked, ringInline, ringOfEight, epoll, epollWithOneThread

    var description: String { rawValue }

    func make() throws -> any AppendQueue {
        switch self {
        case .ringLinked: try RingAppendQueue(road: .linked)
        case .ringInline: try RingAppendQueue(road: .inline)
        case .ringOfEight: try RingAppendQueue(entries: 8)
        case .epoll: try EpollAppendQueue()
        case .epollWithOneThread: try EpollAppendQueue(syncThreads: 1)
        }
    }
}

/// Keeps what it is told.
final class Recorder: AppendCompletionHandler {
    struct Entry: Equatable {
        let event: AppendEvent
        let token: UInt64
        let failure: IOError?
    }

    private(set) var entries: [Entry] = []
    var onEvent: ((Entry) -> Void)?

    func appendQueue(completed event: AppendEvent, _ token: CompletionToken, failure: IOError?) {
        let entry = Entry(event: event, token: token.rawValue, failure: failure)
        entries.append(entry)
        onEvent?(entry)
    }

    func events(of token: UInt64) -> [AppendEvent] { entries.filter { $0.token == token }.map(\.event) }
}

@Suite("Append queues")
struct AppendQueueTests {
    let directory: TemporaryDirectory
    let files = PosixFileSystem()

    init() throws { directory = try TemporaryDirectory() }

    func newFile(_ name: String = "file") throws -> any File {
        try files.open(directory.file(name), .createNew)
    }

    /// Polls until nothing is pending.
    func finish(_ queue: any AppendQueue) {
        while queue.pendingCount > 0 { queue.poll(waitNanoseconds: nil) }
    }

    func content(_ name: String = "file") throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: directory.file(name))))
    }

    func token(_ value: UInt64) -> CompletionToken { CompletionToken(rawValue: value) }

    @Test(
        "A write is told once, a synced write twice and in order, a sync once", arguments: QueueKind.allCases)
    func events(_ kind: QueueKind) throws {
        let queue = try kind.make()
        let recorder = Recorder()
        let file = try newFile()
        queue.write(
            [BufferSlice(IOBuffer(copying: [1, 2]))], to: file, at: 0, thenSync: false, token(1), recorder)
        queue.write(
            [BufferSlice(IOBuffer(copying: [3, 4]))], to: file, at: 2, thenSync: true, token(2), recorder)
        queue.sync(file, token(3), recorder)
        #expect(queue.pendingCount == 3)
        #expect(recorder.entries.isEmpty)
        queue.submit()
        #expect(recorder.entries.isEmpty, "events come only from poll")
        finish(queue)
        #expect(recorder.events(of: 1) == [.written])
        #expect(recorder.events(of: 2) == [.written, .synced])
        #expect(recorder.events(of: 3) == [.synced])
        #expect(recorder.entries.allSatisfy { $0.failure == nil })
        #expect(try content() == [1, 2, 3, 4])
    }

    @Test("The queues have the names that settings use")
    func names() throws {
        #expect(
            try QueueKind.allCases.map { try $0.make().name } == [
                "io_uring", "io_uring", "io_uring", "epoll", "epoll",
            ])
    }

    @Test("A poll with nothing pending returns at once, whatever the limit", arguments: QueueKind.allCases)
    func pollOfNothing(_ kind: QueueKind) throws {
        let queue = try kind.make()
        #expect(queue.poll(waitNanoseconds: nil) == 0)
        #expect(queue.poll(waitNanoseconds: 0) == 0)
        #expect(queue.poll(waitNanoseconds: .max) == 0)
    }

    @Test("Poll counts the events it delivers, and needs no submit before it", arguments: QueueKind.allCases)
    func pollCounts(_ kind: QueueKind) throws {
        let queue = try kind.make()
        let recorder = Recorder()
        let file = try newFile()
        let buffer = IOBuffer(byteCount: 4096)
        for number in 0..<10 {
            queue.write(
                [BufferSlice(buffer)], to: file, at: Int64(number) * 4096, thenSync: number % 2 == 0,
                token(UInt64(number)), recorder)
        }
        var count = 0
        while queue.pendingCount > 0 {
            let delivered = queue.poll(waitNanoseconds: 1_000_000_000)
            count += delivered
            #expect(recorder.entries.count == count)
        }
        #expect(count == 15)
    }

    @Test("Polls without waiting come to the end as well", arguments: QueueKind.allCases)
    func pollWithoutWaiting(_ kind: QueueKind) throws {
        let queue = try kind.make()
        let recorder = Recorder()
        let file = try newFile()
        let slices = [BufferSlice(IOBuffer(byteCount: 100))]
        for number in 0..<50 {
            queue.write(slices, to: file, at: 0, thenSync: true, token(UInt64(number)), recorder)
        }
        while queue.pendingCount > 0 { queue.poll(waitNanoseconds: 0) }
        #expect(recorder.entries.count == 100)
    }

    @Test("More requests than the queue holds wait their turn and all come", arguments: QueueKind.allCases)
    func backlog(_ kind: QueueKind) throws {
        let queue = try kind.make()
        let recorder = Recorder()
        let file = try newFile()
        let count = 2000
        for number in 0..<count {
            let bytes = withUnsafeBytes(of: UInt32(number).littleEndian) { Array($0) }
            queue.write(
                [BufferSlice(IOBuffer(copying: bytes))], to: file, at: Int64(number) * 4,
                thenSync: number % 100 == 0,
                token(UInt64(number)), recorder)
        }
        #expect(queue.pendingCount == count)
        queue.submit()
        finish(queue)
        #expect(recorder.entries.count == count + count / 100)
        #expect(Set(recorder.entries.map(\.token)).count == count)
        let expected = (0..<count).flatMap { number in
            withUnsafeBytes(of: UInt32(number).littleEndian) { Array($0) }
        }
        #expect(try content() == expected)
    }

    @Test(
        "Many files at once, random sizes and numbers of slices, every byte in its place",
        arguments: QueueKind.allCases, [1, 2, 3] as [UInt64])
    func manyFiles(_ kind: QueueKind, _ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let queue = try kind.make()
        let recorder = Recorder()
        var models: [[UInt8]] = []
        var opened: [any File] = []
        for number in 0..<20 {
            opened.append(try newFile("file\(number)"))
            models.append([])
        }
        var expectedEvents = 0
        for number in 0..<600 {
            let which = Int.random(in: 0..<20, using: &random)
            let bytes = (0..<Int.random(in: 0...9000, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            let buffer = IOBuffer(copying: [0] + bytes + [0])
            var slices: [BufferSlice] = []
            var place = 1
            // Sometimes many more pieces than one system call takes.
            let piece = random.chance(1, in: 20) ? 20 : Int.random(in: 100...9000, using: &random)
            while place <= bytes.count {
                let end = min(place + piece, bytes.count + 1)
                slices.append(BufferSlice(buffer, place..<end))
                place = end
            }
            let synced = random.chance(1, in: 4)
            queue.write(
                slices, to: opened[which], at: Int64(models[which].count), thenSync: synced,
                token(UInt64(number)),
                recorder)
            expectedEvents += synced ? 2 : 1
            models[which] += bytes
            if random.chance(1, in: 10) { queue.submit() }
            if random.chance(1, in: 10) { queue.poll(waitNanoseconds: 0) }
            if random.chance(1, in: 30) { queue.poll(waitNanoseconds: nil) }
        }
        finish(queue)
        #expect(recorder.entries.count == expectedEvents)
        #expect(recorder.entries.allSatisfy { $0.failure == nil })
        for number in 0..<20 {
            #expect(try content("file\(number)") == models[number], "file \(number), seed \(seed)")
        }
        for number in 0..<600 {
            let events = recorder.events(of: UInt64(number))
            #expect(events == [.written] || events == [.written, .synced])
        }
    }

    @Test("Handlers may make new requests, which come too", arguments: QueueKind.allCases)
    func requestsFromHandlers(_ kind: QueueKind) throws {
        let queue = try kind.make()
        let recorder = Recorder()
        let file = try newFile()
        let slices = [BufferSlice(IOBuffer(copying: [7]))]
        recorder.onEvent = { [unowned recorder] entry in
            guard entry.event == .synced, entry.token < 100 else { return }
            queue.write(
                slices, to: file, at: Int64(entry.token), thenSync: true,
                CompletionToken(rawValue: entry.token + 1),
                recorder)
        }
        queue.write(slices, to: file, at: 0, thenSync: true, token(1), recorder)
        finish(queue)
        #expect(recorder.entries.count == 200)
        #expect(try content() == [UInt8](repeating: 7, count: 100))
    }

    @Test("A write of nothing is told all the same", arguments: QueueKind.allCases)
    func emptyWrite(_ kind: QueueKind) throws {
        let queue = try kind.make()
        let recorder = Recorder()
        let file = try newFile()
        queue.write([], to: file, at: 10, thenSync: false, token(1), recorder)
        queue.write(
            [BufferSlice(IOBuffer(byteCount: 5), 2..<2)], to: file, at: 10, thenSync: true, token(2), recorder
        )
        finish(queue)
        #expect(recorder.events(of: 1) == [.written])
        #expect(recorder.events(of: 2) == [.written, .synced])
        #expect(try content().isEmpty)
    }

    @Test("A full device fails the write with its token, and no sync follows", arguments: QueueKind.allCases)
    func noSpace(_ kind: QueueKind) throws {
        let queue = try kind.make()
        let recorder = Recorder()
        let full = try files.open("/dev/full", .readWrite)
        let good = try newFile()
        let slices = [BufferSlice(IOBuffer(copying: [1]))]
        queue.write(slices, to: full, at: 0, thenSync: true, token(1), recorder)
        queue.write(slices, to: good, at: 0, thenSync: true, token(2), recorder)
        queue.write(slices, to: full, at: 0, thenSync: false, token(3), recorder)
        finish(queue)
        let error = IOError(.write, "/dev/full", .noSpace)
        #expect(
            recorder.entries.filter { $0.token == 1 } == [.init(event: .written, token: 1, failure: error)])
        #expect(
            recorder.entries.filter { $0.token == 3 } == [.init(event: .written, token: 3, failure: error)])
        #expect(recorder.events(of: 2) == [.written, .synced])
        #expect(recorder.entries.filter { $0.failure != nil }.count == 2)
    }

    @Test("A file opened for reading fails the write with its token", arguments: QueueKind.allCases)
    func readOnly(_ kind: QueueKind) throws {
        let queue = try kind.make()
        let recorder = Recorder()
        _ = try newFile()
        let file = try files.open(directory.file("file"), .read)
        queue.write(
            [BufferSlice(IOBuffer(byteCount: 1))], to: file, at: 0, thenSync: true, token(9), recorder)
        finish(queue)
        #expect(
            recorder.entries == [
                .init(event: .written, token: 9, failure: IOError(.write, file.path, .badDescriptor))
            ])
    }

    @Test("A sync that the file cannot do fails with its token", arguments: QueueKind.allCases)
    func failedSync(_ kind: QueueKind) throws {
        let queue = try kind.make()
        let recorder = Recorder()
        // A device without storage takes writes and answers EINVAL to a sync.
        let file = try files.open("/dev/null", .readWrite)
        queue.sync(file, token(4), recorder)
        queue.write(
            [BufferSlice(IOBuffer(byteCount: 8))], to: file, at: 0, thenSync: true, token(5), recorder)
        finish(queue)
        let error = IOError(.sync, "/dev/null", .invalidArgument)
        #expect(
            recorder.entries.filter { $0.token == 4 } == [.init(event: .synced, token: 4, failure: error)])
        #expect(
            recorder.entries.filter { $0.token == 5 } == [
                .init(event: .written, token: 5, failure: nil),
                .init(event: .synced, token: 5, failure: error),
            ])
    }

    @Test("Buffers and files live until the kernel is done with them", arguments: QueueKind.allCases)
    func lifetimes(_ kind: QueueKind) throws {
        let queue = try kind.make()
        let recorder = Recorder()
        weak var weakBuffer: IOBuffer?
        weak var weakFile: PosixFile?
        do {
            let buffer = IOBuffer(copying: [UInt8](repeating: 42, count: 100_000))
            let file = try #require(try newFile() as? PosixFile)
            weakBuffer = buffer
            weakFile = file
            queue.write([BufferSlice(buffer)], to: file, at: 0, thenSync: true, token(1), recorder)
        }
        #expect(weakBuffer != nil && weakFile != nil)
        finish(queue)
        #expect(weakBuffer == nil && weakFile == nil, "and no longer")
        #expect(try content() == [UInt8](repeating: 42, count: 100_000))
    }

    @Test("A buffer is let go of with the written event, before the sync", arguments: QueueKind.allCases)
    func bufferIsFreeWhenWritten(_ kind: QueueKind) throws {
        let queue = try kind.make()
        let recorder = Recorder()
        weak var weakBuffer: IOBuffer?
        var heldAtWritten: Bool?
        recorder.onEvent = { entry in if entry.event == .written { heldAtWritten = weakBuffer != nil } }
        do {
            let buffer = IOBuffer(byteCount: 10)
            weakBuffer = buffer
            queue.write([BufferSlice(buffer)], to: try newFile(), at: 0, thenSync: true, token(1), recorder)
        }
        finish(queue)
        #expect(heldAtWritten == false)
    }

    @Test("A queue with requests under way can be let go of", arguments: QueueKind.allCases)
    func letGo(_ kind: QueueKind) throws {
        let recorder = Recorder()
        let file = try newFile()
        do {
            let queue = try kind.make()
            for number in 0..<100 {
                let buffer = IOBuffer(byteCount: 65536)
                queue.write(
                    [BufferSlice(buffer)], to: file, at: Int64(number) * 65536, thenSync: true, token(1),
                    recorder)
            }
            queue.submit()
        }
        #expect(try file.byteCount() >= 0)
    }

    @Test("Places are used again: thousands of requests in turn", arguments: QueueKind.allCases)
    func placesAreReused(_ kind: QueueKind) throws {
        let queue = try kind.make()
        let recorder = Recorder()
        let file = try newFile()
        let slices = [BufferSlice(IOBuffer(byteCount: 16))]
        for number in 0..<3000 {
            queue.write(slices, to: file, at: 0, thenSync: false, token(UInt64(number)), recorder)
            while queue.pendingCount > 0 { queue.poll(waitNanoseconds: nil) }
        }
        #expect(recorder.entries.map(\.token) == Array(0..<3000))
    }
}
