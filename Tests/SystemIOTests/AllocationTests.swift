import CAllocationCounter
import Testing

@testable import SystemIO

/// Heap allocations of this thread while `body` runs `rounds` times, after it ran `warmUp` times, which
/// brings rooms to their size.
private func allocations(
    _ rounds: Int = 200, warmUp: Int = 200, _ body: () throws -> Void
) rethrows -> UInt64 {
    // No `for` loops over ranges: they allocate in a debug build.
    var round = 0
    while round < warmUp {
        try body()
        round += 1
    }
    let before = dmq_allocation_count()
    round = 0
    while round < rounds {
        try body()
        round += 1
    }
    return dmq_allocation_count() - before
}

/// Counts events and keeps nothing.
private final class Counter: AppendCompletionHandler {
    var count = 0
    func appendQueue(completed event: AppendEvent, _ token: CompletionToken, failure: IOError?) { count += 1 }
}

@Suite("Files, append queues and the heap")
struct AllocationTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test("Writing and reading a file allocate nothing")
    func file() throws {
        let file = try PosixFileSystem().open(directory.file("a"), .createNew)
        let buffer = IOBuffer(byteCount: 4096)
        let slices = [BufferSlice(buffer, 0..<100), BufferSlice(buffer, 200..<4096)]
        let count = try allocations {
            try file.write(slices, at: 0)
            _ = try file.read(into: buffer, 0..<100, at: 50)
        }
        #expect(count == 0)
    }

    @Test(
        "A synced write and a sync allocate nothing once the queue has its size",
        arguments: QueueKind.allCases)
    func queue(_ kind: QueueKind) throws {
        let queue = try kind.make()
        let file = try PosixFileSystem().open(directory.file("a"), .createNew)
        let buffer = IOBuffer(byteCount: 4096)
        let slices = [BufferSlice(buffer, 0..<100), BufferSlice(buffer, 200..<4096)]
        let one = [BufferSlice(buffer)]
        let handler = Counter()
        let count = allocations {
            queue.write(slices, to: file, at: 0, thenSync: true, CompletionToken(rawValue: 1), handler)
            queue.write(one, to: file, at: 0, thenSync: false, CompletionToken(rawValue: 2), handler)
            queue.sync(file, CompletionToken(rawValue: 3), handler)
            while queue.pendingCount > 0 { queue.poll(waitNanoseconds: 1_000_000_000) }
        }
        #expect(count == 0)
        #expect(handler.count == 400 * 4)
    }

    @Test("Requests that change places allocate nothing", arguments: [false, true])
    func places(givesVectors: Bool) throws {
        let pool = AppendRequestPool(givesVectors: givesVectors)
        let file = try PosixFileSystem().open(directory.file("a"), .createNew)
        let slices = (0..<100).map { BufferSlice(IOBuffer(byteCount: 1), 0..<($0 % 2)) }
        let handler = Counter()
        let token = CompletionToken(rawValue: 1)
        // As when the disk is done with the second of two requests first: the next write gets the place that
        // had only syncs so far.
        func add(_ slices: [BufferSlice]?) -> Int {
            pool.add(slices, file, at: 0, wantsSync: slices == nil, token, handler)
        }
        let first = (write: add(slices), sync: add(nil))
        pool.deliver(.synced, first.sync)
        pool.deliver(.written, first.write)
        let count = allocations(2, warmUp: 0) {
            let sync = add(nil)
            let write = add(slices)
            pool.deliver(.synced, sync)
            pool.deliver(.written, write)
        }
        #expect(first.write != first.sync)
        #expect(pool.count == 0)
        #expect(handler.count == 6)
        #expect(count == 0)
    }
}
