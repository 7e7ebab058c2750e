import Base
import Foundation
import LogStorage
import RecordFormat
import SystemIO
import Testing

/// The slow obvious time index: an array, with Kafka's rules spelled out.
private struct TimeIndexModel {
    let baseOffset: Int64
    let maximumCount: Int
    var entries: [TimestampOffset] = []

    mutating func append(_ timestamp: Int64, _ offset: Int64, force: Bool) -> Bool {
        let lastTimestamp = entries.last?.timestamp.rawValue ?? -1
        if timestamp <= lastTimestamp || offset == entries.last?.offset.rawValue { return true }
        if offset < entries.last?.offset.rawValue ?? baseOffset { return false }
        if offset - baseOffset > Int64(Int32.max) { return false }
        if !force && entries.count >= maximumCount - 1 { return false }
        entries.append(TimestampOffset(timestamp: Timestamp(timestamp), offset: Offset(offset)))
        return true
    }

    func floor(timestamp: Int64) -> TimestampOffset? { entries.last { $0.timestamp.rawValue <= timestamp } }

    var bytes: [UInt8] {
        entries.flatMap {
            bigEndianBytes($0.timestamp.rawValue) + bigEndianBytes(Int32($0.offset.rawValue - baseOffset))
        }
    }
}

@Suite("The time index")
struct TimeIndexTests {
    static let base = Offset(1_000)
    let volume: TestVolume

    init() throws { self.init(try TestVolume.real()) }

    private init(_ volume: TestVolume) { self.volume = volume }

    private func create(_ maximumByteCount: Int = 10 << 20) throws -> TimeIndex {
        try TimeIndex.create(
            at: volume.path("i.timeindex"), baseOffset: Self.base, maximumByteCount: maximumByteCount,
            volume.fileSystem)
    }

    private func openSealed() throws -> TimeIndex {
        try TimeIndex.openSealed(at: volume.path("i.timeindex"), baseOffset: Self.base, volume.fileSystem)
    }

    private func openForAppend(_ maximumByteCount: Int = 10 << 20) throws -> TimeIndex {
        try TimeIndex.openForAppend(
            at: volume.path("i.timeindex"), baseOffset: Self.base, maximumByteCount: maximumByteCount,
            volume.fileSystem)
    }

    @Test("an entry has 12 bytes")
    func entrySize() { #expect(TimeIndex.entryByteCount == 12) }

    @Test("random operations do as an array does", arguments: 0..<40 as Range<UInt64>)
    func randomOperations(seed: UInt64) throws {
        try TimeIndexTests(TestVolume.either(seed: seed)).runRandomOperations(seed)
    }

    private func runRandomOperations(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let maximumCount = [4, 400, 3_000][Int(seed % 3)]
        var model = TimeIndexModel(baseOffset: Self.base.rawValue, maximumCount: maximumCount)
        var index = try create(maximumCount * 12 + Int(seed % 12))
        for _ in 0..<1_500 {
            let last = model.entries.last ?? TimestampOffset(timestamp: Timestamp(500), offset: Self.base)
            switch generator.next() % 100 {
            case 0..<80:
                let timestamp = last.timestamp.rawValue + Int64(generator.next() % 100) - 10
                let offset = last.offset.rawValue + Int64(generator.next() % 30) - 1
                let force = generator.chance(1, in: 50)
                #expect(
                    index.append(Timestamp(timestamp), Offset(offset), force: force)
                        == model.append(timestamp, offset, force: force), "seed \(seed)")
            case 80..<93:
                let timestamp = Int64(generator.next() % UInt64(last.timestamp.rawValue + 100)) - 5
                #expect(
                    index.floor(timestamp: Timestamp(timestamp)) == model.floor(timestamp: timestamp),
                    "seed \(seed)")
            case 93..<97:
                let offset = last.offset.rawValue + 2 - Int64(generator.next() % 300)
                index.truncate(removingFrom: Offset(offset))
                model.entries.removeAll { $0.offset.rawValue >= offset }
            default:
                try index.seal()
                #expect(try volume.bytes("i.timeindex") == model.bytes)
                let sealed = try openSealed()
                #expect((0..<sealed.entryCount).map { sealed.entry($0) } == model.entries)
                #expect(sealed.damage(nextOffset: last.offset + 1, thorough: true) == nil)
                index = try openForAppend(maximumCount * 12)
            }
            #expect(index.isFull == (model.entries.count >= maximumCount - 1))
        }
        #expect((0..<index.entryCount).map { index.entry($0) } == model.entries, "seed \(seed)")
    }

    @Test("truncation at each entry, before and after it, keeps exactly those below")
    func truncationAtEachEntry() throws {
        let entries: [(Timestamp, Offset)] = (0..<40 as Range<Int64>).map { number in
            (Timestamp(number * 100 + 50), Offset(1_003 + number * 7))
        }
        for cut in 0..<40 {
            for shift in -1...1 {
                let index = try create()
                for (timestamp, offset) in entries { #expect(index.append(timestamp, offset)) }
                index.truncate(removingFrom: entries[cut].1 + Int64(shift))
                #expect(index.entryCount == cut + (shift == 1 ? 1 : 0))
            }
        }
        let index = try create()
        index.append(Timestamp(5), Self.base)
        index.truncate(removingFrom: Offset(.max))
        #expect(index.entryCount == 1)
        index.truncate(removingFrom: Offset(.min))
        #expect(index.entryCount == 0)
    }

    @Test("a timestamp that is not above the last one, and the same offset again, add nothing and are fine")
    func entriesThatAreNotDue() throws {
        let index = try create()
        #expect(index.append(.none, Self.base) && index.append(Timestamp(-2), Self.base))
        #expect(index.entryCount == 0)
        #expect(index.append(Timestamp(100), Self.base + 5))
        #expect(index.append(Timestamp(100), Self.base + 9) && index.append(Timestamp(99), Self.base + 9))
        #expect(index.append(Timestamp(101), Self.base + 5))
        #expect(index.entryCount == 1)
        #expect(!index.append(Timestamp(101), Self.base + 4))
        #expect(!index.append(Timestamp(101), Self.base + (Int64(Int32.max) + 1)))
        #expect(!index.append(Timestamp(101), Offset(.max)) && index.entryCount == 1)
    }

    @Test("the last entry is kept for sealing")
    func reservedEntry() throws {
        let index = try create(3 * 12)
        #expect(index.append(Timestamp(1), Self.base + 1) && !index.isFull)
        #expect(index.append(Timestamp(2), Self.base + 2) && index.isFull)
        #expect(!index.append(Timestamp(3), Self.base + 3))
        #expect(index.append(Timestamp(3), Self.base + 3, force: true))
        try index.seal()
        #expect(try openSealed().lastEntry == TimestampOffset(timestamp: Timestamp(3), offset: Self.base + 3))
    }

    @Test("entries that lie across pages survive growth")
    func growth() throws {
        let index = try create()
        for number in 1...100_000 as ClosedRange<Int64> {
            #expect(index.append(Timestamp(number * 3), Self.base + number))
        }
        try index.seal()
        let sealed = try openSealed()
        #expect(sealed.damage(nextOffset: Self.base + 100_001, thorough: true) == nil)
        for number in 1...100_000 as ClosedRange<Int64> {
            let expected = TimestampOffset(timestamp: Timestamp(number * 3), offset: Self.base + number)
            #expect(sealed.floor(timestamp: Timestamp(number * 3 + 2)) == expected)
        }
        #expect(sealed.floor(timestamp: Timestamp(2)) == nil)
    }

    @Test("damage is found: ragged size, order, offsets out of range")
    func damage() throws {
        func damage(_ pairs: [(Int64, Int32)], extra: Int = 0, thorough: Bool = true) throws -> String? {
            let bytes = pairs.flatMap { bigEndianBytes($0.0) + bigEndianBytes($0.1) }
            try volume.write(bytes + [UInt8](repeating: 1, count: extra), "i.timeindex")
            return try openSealed().damage(nextOffset: Self.base + 100, thorough: thorough)
        }
        #expect(try damage([(1, 10), (2, 20), (9, 99)]) == nil)
        #expect(try damage([(1, 10), (2, 10)]) == nil)
        #expect(try damage([(1, 10)], extra: 11)?.contains("multiple of 12") == true)
        #expect(try damage([(1, 10), (1, 20)])?.contains("come after") == true)
        #expect(try damage([(1, 10), (2, 9)])?.contains("come after") == true)
        #expect(try damage([(1, 10), (2, 100)])?.contains("ends before") == true)
        #expect(try damage([(1, 10), (2, -1)])?.contains("below the base offset") == true)
        #expect(try damage([(1, 10), (0, 0), (9, 99)], thorough: false) == nil)
        #expect(try damage([(0, 0), (0, 0), (0, 0)], thorough: false) != nil)
    }
}
