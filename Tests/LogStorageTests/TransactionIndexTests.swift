import Base
import Foundation
import LogStorage
import RecordFormat
import SystemIO
import Testing

/// Kafka's search, as its source spells it: every entry from the first on.
private func search(
    _ entries: [AbortedTransaction], from fetchOffset: Offset, upTo upperBound: Offset
) -> ([AbortedTransaction], Bool) {
    var found: [AbortedTransaction] = []
    for entry in entries {
        if entry.lastOffset >= fetchOffset && entry.firstOffset < upperBound { found.append(entry) }
        if entry.lastStableOffset >= upperBound { return (found, true) }
    }
    return (found, false)
}

@Suite("The transaction index")
struct TransactionIndexTests {
    static let base = Offset(1_000)
    let volume: TestVolume

    init() throws { self.init(try TestVolume.real()) }

    private init(_ volume: TestVolume) { self.volume = volume }

    private var path: String { volume.path("i.txnindex") }

    private func create() throws -> TransactionIndex {
        try TransactionIndex.create(at: path, baseOffset: Self.base, volume.fileSystem)
    }

    private func openSealed() -> TransactionIndex {
        TransactionIndex.openSealed(at: path, baseOffset: Self.base, volume.fileSystem)
    }

    private func openForAppend() -> TransactionIndex {
        TransactionIndex.openForAppend(at: path, baseOffset: Self.base, volume.fileSystem)
    }

    private func exists() throws -> Bool { try volume.fileSystem.attributes(of: path) != nil }

    private func transaction(_ producer: Int64, _ first: Int64, _ last: Int64, stable: Int64)
        -> AbortedTransaction
    {
        AbortedTransaction(
            producerID: ProducerID(producer), firstOffset: Offset(first), lastOffset: Offset(last),
            lastStableOffset: Offset(stable))
    }

    @Test("an entry has 34 bytes, and those that Kafka writes")
    func entryBytes() throws {
        #expect(TransactionIndex.entryByteCount == 34)
        let index = try create()
        try index.append(transaction(7, 990, 1_010, stable: 1_005))
        try index.seal()
        let expected =
            bigEndianBytes(Int16(0)) + bigEndianBytes(Int64(7)) + bigEndianBytes(Int64(990))
            + bigEndianBytes(Int64(1_010))
            + bigEndianBytes(Int64(1_005))
        #expect(try volume.bytes("i.txnindex") == expected)
    }

    @Test("the file is there only when something was aborted")
    func createdWhenNeeded() throws {
        let index = try create()
        #expect(try index.entries().isEmpty && index.lastEntry() == nil && index.damage() == nil)
        try index.truncate(to: .zero)
        try index.sync()
        try index.seal()
        #expect(try !exists())
        var found: [AbortedTransaction] = []
        #expect(try !openSealed().collect(from: .zero, upTo: Offset(.max), into: &found) && found.isEmpty)
        let other = openForAppend()
        #expect(try other.entryCount() == 0 && !exists())
        try other.append(transaction(1, 1_000, 1_001, stable: 1_002))
        #expect(try exists() && other.entryCount() == 1)
        #expect(try create().entryCount() == 0 && !exists())
    }

    @Test("random transactions are found as Kafka finds them", arguments: 0..<40 as Range<UInt64>)
    func randomOperations(seed: UInt64) throws {
        try TransactionIndexTests(TestVolume.either(seed: seed)).runRandomOperations(seed)
    }

    private func runRandomOperations(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var index = try create()
        var model: [AbortedTransaction] = []
        var stable: Int64 = 950
        for _ in 0..<400 {
            let end = model.last?.lastOffset.rawValue ?? Self.base.rawValue
            switch generator.next() % 10 {
            case 0..<6:
                let last = end + 1 + Int64(generator.next() % 20)
                let first = max(0, last - 1 - Int64(generator.next() % 150))
                stable = min(max(stable, last + 1 - Int64(generator.next() % 40)), last + 1)
                let entry = transaction(Int64(generator.next() % 5), first, last, stable: stable)
                try index.append(entry)
                model.append(entry)
            case 6..<8:
                let from = Offset(Int64(generator.next() % UInt64(end + 50)))
                let to = from + Int64(generator.next() % 300) + 1
                var found: [AbortedTransaction] = []
                let complete = try index.collect(from: from, upTo: to, into: &found)
                let expected = search(model, from: from, upTo: to)
                #expect(found == expected.0, "seed \(seed)")
                #expect(complete == expected.1, "seed \(seed)")
            case 8:
                let cut = Offset(end + 2 - Int64(generator.next() % 100))
                try index.truncate(to: cut)
                model.removeAll { $0.lastOffset >= cut }
                stable = model.last?.lastStableOffset.rawValue ?? 950
            default:
                try index.seal()
                #expect(try openSealed().entries() == model)
                #expect(try openSealed().damage(nextOffset: Offset(end + 1)) == nil)
                index = openForAppend()
            }
        }
        #expect(try index.entries() == model, "seed \(seed)")
    }

    @Test("truncation at each entry, before and after it, keeps exactly those below")
    func truncationAtEachEntry() throws {
        let all: [AbortedTransaction] = (0..<20 as Range<Int64>).map { number in
            transaction(1, 1_000 + number * 5, 1_003 + number * 5, stable: 1_000)
        }
        for cut in 0..<20 {
            for shift in -1...1 {
                let index = try create()
                for entry in all { try index.append(entry) }
                try index.truncate(to: all[cut].lastOffset + Int64(shift))
                #expect(try index.entryCount() == cut + (shift == 1 ? 1 : 0))
            }
        }
    }

    @Test("an entry that does not end after the last one is refused")
    func order() throws {
        let index = try create()
        try index.append(transaction(1, 1_000, 1_010, stable: 1_011))
        #expect(throws: IOError(.write, path, .invalidArgument)) {
            try index.append(transaction(2, 1_000, 1_010, stable: 1_011))
        }
        #expect(try index.entryCount() == 1)
    }

    @Test(
        "the file ends with its last entry at any time, so that it is read rightly without having been sealed"
    )
    func unsealed() throws {
        let index = try create()
        for number in 0..<50 as Range<Int64> {
            try index.append(transaction(1, 1_000 + number, 1_000 + number, stable: 1_001 + number))
            if number % 10 == 9 { try index.truncate(to: Offset(1_000 + number)) }
            #expect(try openSealed().entries() == index.entries() && openSealed().damage() == nil)
            #expect(try openForAppend().entries() == index.entries() && openForAppend().damage() == nil)
        }
    }

    @Test("a part of an entry, as a crash may leave it, does not count and is written over")
    func partialEntry() throws {
        let index = try create()
        for number in 0..<3_000 as Range<Int64> {
            try index.append(transaction(1, 1_000 + number, 1_000 + number, stable: 1_001 + number))
        }
        let whole = try volume.bytes("i.txnindex")
        for cut in [1, 33, 34, 35, 102_000 - 34 * 1_024 - 1] {
            try volume.write(Array(whole.dropLast(cut)), "i.txnindex")
            let reader = openForAppend()
            let kept = (whole.count - cut) / 34
            #expect(try reader.entries() == Array(index.entries().prefix(kept)))
            #expect(try (reader.damage() == nil) == (cut % 34 == 0))
            for entry in try index.entries().dropFirst(kept) { try reader.append(entry) }
            #expect(try volume.bytes("i.txnindex") == whole)
        }
    }

    @Test("an index that was renamed before it was opened is found under its new name")
    func renamed() throws {
        let index = try create()
        try index.append(transaction(1, 1_000, 1_010, stable: 1_011))
        try index.seal()
        let reader = openSealed()
        try volume.fileSystem.rename(path, to: volume.path("other"))
        reader.wasRenamed(to: volume.path("other"))
        #expect(try reader.entryCount() == 1)
    }

    @Test("damage is found: ragged size, version, order, offsets out of range")
    func damage() throws {
        func damage(_ entries: [(Int16, Int64, Int64)], extra: Int = 0) throws -> String? {
            let bytes = entries.flatMap { version, first, last in
                bigEndianBytes(version) + bigEndianBytes(Int64(1)) + bigEndianBytes(first)
                    + bigEndianBytes(last)
                    + bigEndianBytes(last + 1)
            }
            try volume.write(bytes + [UInt8](repeating: 0, count: extra), "i.txnindex")
            return try openSealed().damage(nextOffset: Offset(2_000))
        }
        #expect(try damage([(0, 10, 1_000), (0, 1_001, 1_999)]) == nil)
        #expect(try damage([(0, 10, 1_000)], extra: 33)?.contains("multiple of 34") == true)
        #expect(try damage([(1, 10, 1_000)])?.contains("version 1") == true)
        #expect(try damage([(0, 1_001, 1_000)])?.contains("goes from") == true)
        #expect(try damage([(0, -1, 1_000)])?.contains("goes from") == true)
        #expect(try damage([(0, 10, 999)])?.contains("below the base offset") == true)
        #expect(try damage([(0, 10, 2_000)])?.contains("ends before 2000") == true)
        #expect(try damage([(0, 10, 1_500), (0, 10, 1_500)])?.contains("not after") == true)
        // The tail of an index that was not sealed.
        #expect(try damage([(0, 10, 1_500)], extra: 34) != nil)
    }
}
