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
}
