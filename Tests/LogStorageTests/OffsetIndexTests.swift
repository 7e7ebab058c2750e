import Base
import Foundation
import LogStorage
import RecordFormat
import SystemIO
import Testing

/// The slow obvious offset index: an array.
private struct OffsetIndexModel {
    let baseOffset: Int64
    let maximumCount: Int
    var entries: [OffsetPosition] = []

    mutating func append(_ offset: Int64, _ position: Int64) -> Bool {
        guard offset - baseOffset >= 0, offset - baseOffset <= Int64(Int32.max) else { return false }
        guard position >= 0, position <= Int64(Int32.max), entries.count < maximumCount else { return false }
        if let last = entries.last, offset <= last.offset.rawValue || position <= last.position {
            return false
        }
        entries.append(OffsetPosition(offset: Offset(offset), position: position))
        return true
    }

    func floor(offset: Int64) -> OffsetPosition? { entries.last { $0.offset.rawValue <= offset } }
    func floor(position: Int64) -> OffsetPosition? { entries.last { $0.position <= position } }

    /// The bytes that a trimmed file must have.
    var bytes: [UInt8] {
        entries.flatMap {
            bigEndianBytes(Int32($0.offset.rawValue - baseOffset)) + bigEndianBytes(Int32($0.position))
        }
    }
}

@Suite("The offset index")
struct OffsetIndexTests {
    static let base = Offset(1_000)
    let volume: TestVolume

    init() throws { self.init(try TestVolume.real()) }

    private init(_ volume: TestVolume) { self.volume = volume }

    private func create(_ maximumByteCount: Int = 10 << 20) throws -> OffsetIndex {
        try OffsetIndex.create(
            at: volume.path("i.index"), baseOffset: Self.base, maximumByteCount: maximumByteCount,
            volume.fileSystem)
    }

    private func openSealed() throws -> OffsetIndex {
        try OffsetIndex.openSealed(at: volume.path("i.index"), baseOffset: Self.base, volume.fileSystem)
    }

    private func openForAppend(_ maximumByteCount: Int = 10 << 20) throws -> OffsetIndex {
        try OffsetIndex.openForAppend(
            at: volume.path("i.index"), baseOffset: Self.base, maximumByteCount: maximumByteCount,
            volume.fileSystem)
    }

    private func expectSame(_ index: OffsetIndex, _ model: OffsetIndexModel, _ seed: UInt64) {
        #expect(index.entryCount == model.entries.count, "seed \(seed)")
        #expect(index.lastEntry == model.entries.last, "seed \(seed)")
        #expect(index.byteCount == model.entries.count * 8)
        #expect(index.isFull == (model.entries.count >= model.maximumCount))
        let entries = (0..<index.entryCount).map { index.entry($0) }
        #expect(entries == model.entries, "seed \(seed)")
    }

    @Test("an entry has 8 bytes")
    func entrySize() { #expect(OffsetIndex.entryByteCount == 8) }

    @Test("an empty index finds nothing, is sane, and seals to an empty file")
    func empty() throws {
        let index = try create()
        #expect(index.floor(offset: Self.base) == nil && index.floor(position: 0) == nil)
        #expect(index.lastEntry == nil && index.entryCount == 0 && !index.isFull)
        try index.seal()
        #expect(try volume.bytes("i.index").isEmpty)
        let sealed = try openSealed()
        #expect(sealed.damage(logByteCount: 0, thorough: true) == nil)
        #expect(sealed.floor(offset: Offset(.max)) == nil)
    }

    @Test("random operations do as an array does", arguments: 0..<40 as Range<UInt64>)
    func randomOperations(seed: UInt64) throws {
        try OffsetIndexTests(TestVolume.either(seed: seed)).runRandomOperations(seed)
    }

    private func runRandomOperations(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let maximumCount = [3, 600, 5_000][Int(seed % 3)]
        var model = OffsetIndexModel(baseOffset: Self.base.rawValue, maximumCount: maximumCount)
        var index = try create(maximumCount * 8 + Int(seed % 8))
        for _ in 0..<1_500 {
            let last = model.entries.last ?? OffsetPosition(offset: Self.base - 1, position: -1)
            switch generator.next() % 100 {
            case 0..<80:
                let offset = last.offset.rawValue + Int64(generator.next() % 50) - 2
                let position = last.position + Int64(generator.next() % 5_000) - 40
                #expect(index.append(Offset(offset), at: position) == model.append(offset, position))
            case 80..<93:
                let span = UInt64(last.offset.rawValue - Self.base.rawValue + 20)
                let offset = Self.base.rawValue - 10 + Int64(generator.next() % max(span, 1))
                #expect(index.floor(offset: Offset(offset)) == model.floor(offset: offset), "seed \(seed)")
                let position = Int64(generator.next() % UInt64(last.position + 20)) - 5
                #expect(index.floor(position: position) == model.floor(position: position), "seed \(seed)")
            case 93..<95:
                let offset = last.offset.rawValue + 2 - Int64(generator.next() % 500)
                index.truncate(removingFrom: Offset(offset))
                model.entries.removeAll { $0.offset.rawValue >= offset }
            case 95..<97:
                let position = last.position + 2 - Int64(generator.next() % 50_000)
                index.truncate(removingFromPosition: position)
                model.entries.removeAll { $0.position >= position }
            default:
                try index.seal()
                expectSame(index, model, seed)
                #expect(try volume.bytes("i.index") == model.bytes)
                expectSame(try openForAppend(maximumCount * 8), model, seed)
                index = try openForAppend(maximumCount * 8)
                #expect(index.damage(logByteCount: last.position + 1, thorough: true) == nil)
            }
        }
        expectSame(index, model, seed)
    }

    @Test("truncation at each entry, before and after it, keeps exactly those below")
    func truncationAtEachEntry() throws {
        let entries: [(Offset, Int64)] = (0..<40 as Range<Int64>).map { number in
            (Offset(1_003 + number * 7), number * 100 + 50)
        }
        for cut in 0..<40 {
            for shift in -1...1 {
                let index = try create()
                for (offset, position) in entries { #expect(index.append(offset, at: position)) }
                index.truncate(removingFrom: entries[cut].0 + Int64(shift))
                #expect(index.entryCount == cut + (shift == 1 ? 1 : 0))
                let other = try create()
                for (offset, position) in entries { #expect(other.append(offset, at: position)) }
                other.truncate(removingFromPosition: entries[cut].1 + Int64(shift))
                #expect(other.entryCount == cut + (shift == 1 ? 1 : 0))
                // What comes after the cut is appended in the place of what was cut off.
                #expect(other.append(entries[cut].0 + 2, at: entries[cut].1 + 2))
                try other.seal()
                #expect(try openSealed().lastEntry?.position == entries[cut].1 + 2)
            }
        }
    }

    @Test("truncation at the extremes of Int64 keeps all or nothing")
    func truncationExtremes() throws {
        let index = try create()
        index.append(Self.base + 1, at: 10)
        index.truncate(removingFrom: Offset(.max))
        index.truncate(removingFromPosition: .max)
        #expect(index.entryCount == 1)
        #expect(index.floor(offset: Offset(.max))?.position == 10 && index.floor(offset: Offset(.min)) == nil)
        #expect(index.floor(position: .max)?.position == 10 && index.floor(position: .min) == nil)
        index.truncate(removingFrom: Offset(.min))
        #expect(index.entryCount == 0)
        index.append(Self.base + 1, at: 10)
        index.truncate(removingFromPosition: .min)
        #expect(index.entryCount == 0)
    }

    @Test(
        "the file grows from a page by doubling to steps of 1 MiB, to the maximum, and is trimmed at the end"
    )
    func growth() throws {
        let maximumByteCount = 5 << 20
        let index = try create(maximumByteCount)
        var sizes: [Int64] = []
        var count: Int64 = 0
        while index.append(Self.base + count, at: count) {
            count += 1
            guard count % 128 == 0 else { continue }
            let size = try #require(try volume.fileSystem.attributes(of: volume.path("i.index"))).byteCount
            if size != sizes.last { sizes.append(size) }
        }
        #expect(sizes.prefix(9) == [4096, 8192, 16384, 32768, 65536, 131_072, 262_144, 524_288, 1_048_576])
        #expect(sizes.dropFirst(9) == [2 << 20, 3 << 20, 4 << 20, 5 << 20])
        #expect(index.isFull && index.entryCount == maximumByteCount / 8)
        index.truncate(removingFrom: Self.base + 1000)
        #expect(!index.isFull && index.append(Self.base + 5000, at: 5000))
        try index.seal()
        #expect(try volume.bytes("i.index").count == 1001 * 8)
        #expect(try openSealed().floor(offset: Self.base + 4999)?.position == 999)
    }

    @Test("values that the fields do not hold, and entries that do not come after the last one, are skipped")
    func refusedEntries() throws {
        let index = try create()
        #expect(!index.append(Self.base - 1, at: 0))
        #expect(!index.append(Self.base + (Int64(Int32.max) + 1), at: 0))
        #expect(!index.append(Self.base, at: Int64(Int32.max) + 1))
        #expect(!index.append(Self.base, at: -1))
        #expect(!index.append(Offset(.max), at: 0) && !index.append(Offset(.min), at: 0))
        #expect(index.entryCount == 0)
        #expect(index.append(Self.base + 5, at: 100))
        #expect(!index.append(Self.base + 5, at: 101) && !index.append(Self.base + 6, at: 100))
        #expect(!index.append(Self.base + 4, at: 101))
        #expect(index.append(Self.base + Int64(Int32.max), at: Int64(Int32.max)))
        #expect(index.lastEntry?.position == Int64(Int32.max))
        #expect(index.entryCount == 2)
    }

    @Test("creating an index replaces the one that was there, whose readers go on")
    func createReplaces() throws {
        let old = try create()
        old.append(Self.base + 1, at: 10)
        try old.seal()
        let reader = try openSealed()
        let new = try create()
        #expect(new.entryCount == 0)
        #expect(reader.lastEntry?.position == 10)
    }

    @Test("an index that Kafka left preallocated is refused by the checks rather than read as entries")
    func preallocated() throws {
        try volume.write(
            bigEndianBytes(Int32(5)) + bigEndianBytes(Int32(77)) + [UInt8](repeating: 0, count: 4088),
            "i.index")
        #expect(try openSealed().damage(logByteCount: 100) != nil)
        #expect(try openForAppend().damage(logByteCount: 100) != nil)
    }

    @Test("only sealing is trusted: an index that was not sealed does not look sane")
    func unsealed() throws {
        let index = try create()
        for entry in 1...5 as ClosedRange<Int64> { index.append(Self.base + entry, at: entry * 10) }
        try index.sync()
        #expect(try openSealed().damage(logByteCount: 1000) != nil)
    }

    @Test("damage is found: ragged size, order, offsets and positions out of range")
    func damage() throws {
        func damage(_ pairs: [(Int32, Int32)], extra: Int = 0, thorough: Bool = true) throws -> String? {
            let bytes = pairs.flatMap { bigEndianBytes($0.0) + bigEndianBytes($0.1) }
            try volume.write(bytes + [UInt8](repeating: 1, count: extra), "i.index")
            let sealed = try openSealed().damage(logByteCount: 100, thorough: thorough)
            #expect(try openForAppend().damage(logByteCount: 100, thorough: thorough) == sealed)
            return sealed
        }
        #expect(try damage([(1, 10), (2, 20), (9, 99)]) == nil)
        #expect(try damage([(0, 0)]) == nil)
        #expect(try damage([(1, 10)], extra: 7)?.contains("multiple of 8") == true)
        #expect(try damage([], extra: 1)?.contains("multiple of 8") == true)
        #expect(try damage([(1, 10), (1, 20), (2, 30)])?.contains("come after") == true)
        #expect(try damage([(1, 10), (2, 10), (3, 30)])?.contains("come after") == true)
        #expect(try damage([(3, 10), (2, 20), (5, 30)])?.contains("come after") == true)
        #expect(try damage([(1, 10), (2, 100)])?.contains("the log has 100 bytes") == true)
        #expect(try damage([(1, 10), (2, -1)])?.contains("the log has 100 bytes") == true)
        #expect(try damage([(1, 10), (-2, 20)])?.contains("below the base offset") == true)
        // The cheap check looks at the ends only.
        #expect(try damage([(1, 10), (7, 3), (9, 99)], thorough: false) == nil)
        #expect(try damage([(1, 10), (7, 3), (1, 99)], thorough: false) != nil)
    }

    @Test("any bytes are read without a trap", arguments: 0..<200 as Range<UInt64>)
    func anyBytes(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let bytes = (0..<Int(generator.next() % 300)).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        try volume.write(bytes, "i.index")
        let index = try openForAppend()
        _ = index.damage(logByteCount: 1000, thorough: true)
        for _ in 0..<20 {
            let target = Int64(bitPattern: generator.next() >> (generator.next() % 40))
            _ = index.floor(offset: Offset(target))
            _ = index.floor(position: target)
        }
        index.append(Self.base + 4_000, at: 1 << 30)
        index.truncate(removingFrom: Self.base + 1_000)
        try index.seal()
    }

    @Test("a file that is not there is an error that says so")
    func missing() throws {
        let error = #expect(throws: IOError.self) { _ = try openSealed() }
        #expect(error?.errno == .noSuchFile)
        #expect(throws: IOError.self) { _ = try openForAppend() }
    }
}
