import Base
import LogStorage
import RecordFormat
import SystemIO
import Testing

/// The slow obvious cache: the epoch of every offset of a short log, one by one.
private struct LeaderEpochModel {
    /// Element n is the epoch of the record at offset `start + n`.
    var epochs: [Int32] = []
    var start: Int64 = 0
    /// Epochs that have begun at the end and have no records yet.
    var pending: [Int32] = []

    var end: Int64 { start + Int64(epochs.count) }

    mutating func append(_ epoch: Int32, _ count: Int) {
        epochs += Array(repeating: epoch, count: count)
        pending = []
    }

    mutating func truncate(to offset: Int64) {
        guard offset <= end else { return }
        epochs.removeLast(Int(end - max(offset, start)))
    }

    mutating func advanceStart(to offset: Int64) {
        epochs.removeFirst(Int(offset - start))
        start = offset
    }

    func epoch(for offset: Int64) -> LeaderEpoch? {
        offset < start || offset >= end ? nil : LeaderEpoch(epochs[Int(offset - start)])
    }

    /// The largest epoch up to `epoch` that has records, and the offset after its last one.
    func endOffset(for epoch: Int32) -> (Int32, Int64) {
        guard let latest = epochs.last, epoch >= 0, epoch <= latest else { return (-1, -1) }
        guard let last = epochs.lastIndex(where: { $0 <= epoch }) else { return (epoch, start) }
        return (epochs[last], start + Int64(last) + 1)
    }
}

@Suite("The leader epoch cache")
struct LeaderEpochCacheTests {
    private func cache(_ entries: (Int32, Int64)...) -> LeaderEpochCache {
        var cache = LeaderEpochCache()
        for (epoch, offset) in entries { cache.assign(LeaderEpoch(epoch), Offset(offset)) }
        return cache
    }

    private func pairs(_ cache: LeaderEpochCache) -> [[Int64]] {
        cache.entries.map { [Int64($0.epoch.rawValue), $0.startOffset.rawValue] }
    }

    @Test("random appends and truncations answer as the epochs of the single records do", arguments: 0..<100)
    func randomHistory(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var model = LeaderEpochModel()
        var cache = LeaderEpochCache()
        var epoch: Int32 = 0
        for _ in 0..<200 {
            switch generator.next() % 10 {
            case 0..<6:
                epoch += generator.chance(1, in: 2) ? Int32(generator.next() % 3) : 0
                // What a leader does: note the epoch with its first record.
                cache.assign(LeaderEpoch(epoch), Offset(model.end))
                model.append(epoch, Int(generator.next() % 5) + 1)
            case 6..<8:
                let offset = model.start + Int64(generator.next() % UInt64(model.epochs.count + 2))
                cache.truncateFromEnd(Offset(offset))
                model.truncate(to: offset)
                epoch = max(epoch, model.epochs.last ?? 0)
            case 8:
                guard !model.epochs.isEmpty else { continue }
                // Up to the last record: an empty log would keep an epoch that no record shows.
                let offset = model.start + Int64(generator.next() % UInt64(model.epochs.count))
                cache.truncateFromStart(Offset(offset))
                model.advanceStart(to: offset)
            default:
                let parsed = try? LeaderEpochCache(parsing: cache.encoded(), path: "epochs")
                #expect(parsed?.entries == cache.entries)
            }
            for offset in (model.start - 1)..<model.end {
                #expect(cache.epoch(for: Offset(offset)) == model.epoch(for: offset), "seed \(seed)")
            }
            for asked in -1...(epoch + 1) {
                let (foundEpoch, foundOffset) = cache.endOffset(
                    for: LeaderEpoch(asked), logEndOffset: Offset(model.end))
                let expected = model.endOffset(for: asked)
                #expect(foundEpoch.rawValue == expected.0, "seed \(seed), epoch \(asked)")
                #expect(foundOffset.rawValue == expected.1, "seed \(seed), epoch \(asked)")
            }
        }
    }

    @Test("assigning drops what contradicts the new entry")
    func assign() {
        var cache = cache((0, 0), (2, 10), (5, 30))
        #expect(!cache.assign(LeaderEpoch(5), Offset(30)) && !cache.assign(LeaderEpoch(5), Offset(99)))
        #expect(pairs(cache) == [[0, 0], [2, 10], [5, 30]])
        #expect(cache.assign(LeaderEpoch(5), Offset(25)) == true)
        #expect(pairs(cache) == [[0, 0], [2, 10], [5, 25]])
        #expect(cache.assign(LeaderEpoch(7), Offset(10)) == true)
        #expect(pairs(cache) == [[0, 0], [7, 10]])
        #expect(cache.assign(LeaderEpoch(6), Offset(50)) == true)
        #expect(pairs(cache) == [[0, 0], [6, 50]])
        #expect(cache.assign(LeaderEpoch(8), .zero) == true)
        #expect(pairs(cache) == [[8, 0]])
        #expect(!cache.assign(.none, Offset(5)) && !cache.assign(LeaderEpoch(9), Offset(-1)))
        #expect(pairs(cache) == [[8, 0]])
    }

    @Test("end offsets are those of KIP-101 and KIP-279")
    func endOffsets() {
        func end(_ cache: LeaderEpochCache, _ epoch: Int32) -> [Int64] {
            let (found, offset) = cache.endOffset(for: LeaderEpoch(epoch), logEndOffset: Offset(100))
            return [Int64(found.rawValue), offset.rawValue]
        }
        let cache = cache((2, 5), (4, 20), (8, 60))
        #expect(end(cache, -1) == [-1, -1])
        #expect(end(cache, 0) == [0, 5] && end(cache, 1) == [1, 5])
        #expect(end(cache, 2) == [2, 20] && end(cache, 3) == [2, 20])
        #expect(end(cache, 4) == [4, 60] && end(cache, 7) == [4, 60])
        #expect(end(cache, 8) == [8, 100] && end(cache, 9) == [-1, -1] && end(cache, .max) == [-1, -1])
        #expect(end(LeaderEpochCache(), 0) == [-1, -1])
    }

    @Test("truncation from the end and from the start")
    func truncation() {
        var cache = cache((2, 5), (4, 20), (8, 60))
        #expect(!cache.truncateFromEnd(Offset(61)) && !cache.truncateFromEnd(Offset(-1)))
        #expect(cache.truncateFromEnd(Offset(60)) == true)
        #expect(pairs(cache) == [[2, 5], [4, 20]])
        #expect(!cache.truncateFromStart(Offset(4)) && !cache.truncateFromStart(Offset(5)))
        #expect(cache.truncateFromStart(Offset(6)) == true)
        #expect(pairs(cache) == [[2, 6], [4, 20]])
        #expect(cache.truncateFromStart(Offset(20)) == true)
        #expect(pairs(cache) == [[4, 20]])
        #expect(cache.truncateFromStart(Offset(1_000)) == true)
        #expect(pairs(cache) == [[4, 1_000]])
        #expect(cache.truncateFromEnd(.zero) == true)
        #expect(cache.entries.isEmpty)
    }

    @Test("neighbours of an epoch are found")
    func neighbours() {
        let cache = cache((2, 5), (4, 20), (8, 60))
        #expect(cache.latest == EpochEntry(LeaderEpoch(8), Offset(60)))
        #expect(cache.earliest == EpochEntry(LeaderEpoch(2), Offset(5)))
        #expect(cache.previousEpoch == LeaderEpoch(4))
        #expect(cache.previousEpoch(before: LeaderEpoch(8)) == LeaderEpoch(4))
        #expect(cache.previousEpoch(before: LeaderEpoch(3)) == LeaderEpoch(2))
        #expect(cache.previousEpoch(before: LeaderEpoch(2)) == nil)
        #expect(LeaderEpochCache().previousEpoch == nil && LeaderEpochCache().latest == nil)
    }

    @Test("it is dirty from a change until it is written")
    func dirtiness() throws {
        let volume = try TestVolume.real()
        var cache = LeaderEpochCache()
        #expect(!cache.isDirty)
        cache.removeAll()
        #expect(!cache.isDirty)
        cache.assign(LeaderEpoch(1), Offset(5))
        #expect(cache.isDirty)
        try cache.write(to: volume.path("epochs"), volume.fileSystem)
        #expect(!cache.isDirty)
        cache.assign(LeaderEpoch(1), Offset(5))
        cache.truncateFromEnd(Offset(6))
        cache.truncateFromStart(Offset(5))
        #expect(!cache.isDirty)
        var read = try #require(try LeaderEpochCache.read(volume.path("epochs"), volume.fileSystem))
        #expect(read.entries == cache.entries && !read.isDirty)
        read.truncateFromEnd(.zero)
        #expect(read.isDirty)
        #expect(try LeaderEpochCache.read(volume.path("none"), volume.fileSystem) == nil)
    }

    @Test(
        "what is not exactly a leader epoch checkpoint is refused, naming the line",
        arguments: [
            ("0\n2\n0 0\n1 0\n", 4), ("0\n2\n1 0\n1 5\n", 4), ("0\n2\n3 0\n1 5\n", 4), ("0\n1\n-1 0\n", 3),
            ("0\n1\n0 -5\n", 3), ("0\n1\n2147483648 0\n", 3), ("0\n1\n0 9223372036854775808\n", 3),
            ("0\n1\n0\n", 3), ("0\n1\n0 1 2\n", 3),
        ] as [(String, Int)])
    func malformed(text: String, line: Int) {
        let error = #expect(throws: StateFileError.self) {
            _ = try LeaderEpochCache(parsing: Array(text.utf8), path: "/d/leader-epoch-checkpoint")
        }
        guard case .malformed("/d/leader-epoch-checkpoint", line, let reason)? = error else {
            Issue.record("\(text.debugDescription): \(String(describing: error))")
            return
        }
        #expect(reason.hasSuffix("restore the file or remove it, then it is rebuilt from the log"))
    }
}
