import Base
import Foundation
import RecordFormat
import Testing

@testable import dmq_dump_log

@Suite("dmq-dump-log on damage")
struct DumpLogDamageTests {
    private static let log = "00000000000000000000.log"

    private func batches(_ bytes: [UInt8]) throws -> [(position: Int, header: RecordBatchHeader)] {
        var result: [(Int, RecordBatchHeader)] = []
        var position = 0
        while position < bytes.count {
            let header = try RecordBatchHeader(parsing: bytes.span.bytes.extracting(position..<bytes.count))
            result.append((position, header))
            position += header.byteCount
        }
        return result
    }

    @Test(
        "a flipped bit that the checksum covers is found, with its batch, and all other batches are seen"
    )
    func flippedBits() throws {
        var random = SeededGenerator(seed: 7)
        let copy = try DumpCopy(partition: "golden-none-0")
        let original = try copy.bytes(Self.log)
        let batches = try batches(original)
        for _ in 0..<60 {
            let (position, header) = batches[Int(random.next() % UInt64(batches.count))]
            let covered = RecordBatchHeader.checksummedFrom..<header.byteCount
            let place = position + covered.lowerBound + Int(random.next() % UInt64(covered.count))
            let bit = UInt8(1) << UInt8(random.next() % 8)
            try copy.change(Self.log) { $0[place] ^= bit }
            let found = try copy.verify()
            #expect(found.status == 1)
            #expect(found.damages.count == 1)
            #expect(found.damages.first?["position"] as? Int == position)
            #expect(found.damages.first?["byteCount"] as? Int == header.byteCount)
            let seen = try DumpResult(["--json", copy.file(Self.log)]).objects("batch")
            #expect(seen.count == batches.count - 1)
            try copy.write(original, Self.log)
        }
        #expect(try copy.verify().status == 0)
    }

    @Test("a length that lies costs only its batch", arguments: [8, 9, 10, 11, 16])
    func lyingLength(place: Int) throws {
        let copy = try DumpCopy(partition: "golden-lz4-0")
        let batches = try batches(try copy.bytes(Self.log))
        let middle = batches[batches.count / 2]
        try copy.change(Self.log) { $0[middle.position + place] ^= 0x41 }
        let found = try copy.verify()
        #expect(found.status == 1)
        #expect(found.damages.map { $0["position"] as? Int } == [middle.position])
        #expect(found.damages.first?["byteCount"] as? Int == middle.header.byteCount)
    }

    @Test("a log that was cut off is damaged where its last batch begins")
    func cutOff() throws {
        let copy = try DumpCopy(partition: "golden-logappendtime-0")
        let original = try copy.bytes(Self.log)
        let last = try #require(try batches(original).last)
        for left in [12, 60, 61, last.header.byteCount - 1] {
            try copy.write(Array(original[..<(last.position + left)]), Self.log)
            let found = try copy.verify()
            #expect(found.status == 1)
            let damage = found.damages.first { ($0["file"] as? String)?.hasSuffix(".log") == true }
            #expect(damage?["position"] as? Int == last.position)
            // Zeros at the end of what is left could as well be blocks that were allocated ahead.
            let ahead = found.information.compactMap { $0["byteCount"] as? Int }.reduce(0, +)
            #expect((damage?["byteCount"] as? Int).map { $0 + ahead } == left)
        }
    }

    @Test("a wrong entry of an index is found, whichever byte is wrong")
    func wrongEntries() throws {
        let copy = try DumpCopy(partition: "golden-txn-0")
        for (name, entryByteCount, harmless) in [
            ("00000000000000000040.index", 8, 0..<0), ("00000000000000000040.timeindex", 12, 0..<0),
            ("00000000000000000040.txnindex", 34, 26..<34),
        ] {
            let original = try copy.bytes(name)
            for place in original.indices where !harmless.contains(place % entryByteCount) {
                try copy.change(name) { $0[place] ^= 0x05 }
                let found = try copy.verify()
                #expect(found.status == 1, "\(name), byte \(place)")
                let positions = found.damages.filter { ($0["file"] as? String)?.hasSuffix(name) == true }
                    .compactMap { $0["position"] as? Int }
                #expect(
                    positions.contains {
                        abs($0 - place / entryByteCount * entryByteCount) <= entryByteCount
                    },
                    "\(name), byte \(place): \(positions)")
            }
            try copy.write(original, name)
        }
    }

    @Test("a missing index, an index without its log and half an entry are found")
    func missingFiles() throws {
        let copy = try DumpCopy(partition: "golden-none-0")
        try FileManager.default.removeItem(atPath: copy.file("00000000000000000150.index"))
        var found = try copy.verify()
        #expect(found.status == 1)
        #expect(found.damages.map { ($0["file"] as? String)?.hasSuffix("150.index") } == [true])
        try copy.write([1, 2, 3], "00000000000000000150.index")
        #expect(try copy.verify().damages.count == 1)
        try FileManager.default.removeItem(atPath: copy.file("00000000000000000150.log"))
        found = try copy.verify()
        #expect(found.damages.count == 2)
    }

    @Test("a damaged snapshot and damaged checkpoints are found")
    func stateFiles() throws {
        let copy = try DumpCopy(partition: "golden-idempotent-0")
        try copy.change("00000000000000000300.snapshot") { $0[20] ^= 1 }
        try copy.change("leader-epoch-checkpoint") { $0.removeLast() }
        try copy.change("partition.metadata") { $0.removeAll() }
        let found = try copy.verify()
        #expect(found.status == 1)
        #expect(found.damages.count == 3)
    }

    @Test("a batch whose base offset goes back or far ahead is found")
    func wrongBaseOffset() throws {
        let copy = try DumpCopy(partition: "golden-none-0")
        let name = "00000000000000000150.log"
        let original = try copy.bytes(name)
        let third = try batches(original)[2]
        for (place, bit) in [(0, UInt8(0x40)), (3, 1), (7, 0x80), (6, 0x01)] {
            try copy.change(name) { $0[third.position + place] ^= bit }
            let found = try copy.verify()
            #expect(found.status == 1, "byte \(place)")
            try copy.write(original, name)
        }
    }

    @Test("zeros behind the last segment are allocated ahead; in an earlier one they are damage")
    func zeros() throws {
        let copy = try DumpCopy(partition: "golden-none-0")
        let last = "00000000000000000575.log"
        let end = try copy.bytes(last).count
        try copy.change(last) { $0 += [UInt8](repeating: 0, count: 5000) }
        var found = try copy.verify()
        #expect(found.status == 0)
        #expect(found.information.count == 1)
        #expect(found.information.first?["position"] as? Int == end)
        #expect(found.information.first?["byteCount"] as? Int == 5000)
        // A batch that was torn in front of them is damage all the same.
        try copy.change(last) { $0[end - 1] ^= 1 }
        #expect(try copy.verify().status == 1)
        try copy.change(last) { $0[end - 1] ^= 1 }
        try copy.change(Self.log) { $0 += [UInt8](repeating: 0, count: 5000) }
        found = try copy.verify()
        #expect(found.status == 1)
    }

    @Test("what a recycled file held before is no damage behind the last segment's batches")
    func recycledTail() throws {
        let copy = try DumpCopy(partition: "golden-none-0")
        let last = "00000000000000000575.log"
        let end = try copy.bytes(last).count
        // The recycled file's batches begin elsewhere: the first of them is half overwritten.
        let old = try copy.bytes(Self.log)
        try copy.change(last) { $0 += old[100...] }
        let found = try copy.verify()
        #expect(found.status == 0, "\(found.damages)")
        #expect(found.information.map { $0["position"] as? Int } == [end])
        try copy.change(Self.log) { $0 += old[100...] }
        #expect(try copy.verify().status == 1)
    }

    @Test("a whole batch within the value of a damaged record is not taken for the log's")
    func batchWithinABatch() throws {
        let copy = try DumpCopy(partition: "golden-none-0")
        let name = "00000000000000000575.log"
        let inner = try DumpBatches.batch(baseOffset: 600, value: [1, 2, 3])
        let outerBytes = try DumpBatches.batch(baseOffset: 600, value: inner)
        let nextBytes = try DumpBatches.batch(baseOffset: 601, value: [4])
        let start = try copy.bytes(name).count
        try copy.change(name) { bytes in
            bytes += outerBytes
            bytes[start + 22] ^= 0x10
            bytes += nextBytes
        }
        let found = try copy.verify()
        #expect(found.damages.map { $0["position"] as? Int } == [start])
        #expect(found.damages.first?["byteCount"] as? Int == outerBytes.count)
    }

    @Test("exit statuses: 0 clean, 1 damaged, 2 used wrongly or not to be read")
    func exitStatuses() throws {
        let golden = DumpGolden.directory
        #expect(DumpResult([golden]).status == 0)
        #expect(DumpResult([]).status == 2)
        #expect(DumpResult(["--wrong", golden]).status == 2)
        #expect(DumpResult(["/nowhere/at/all"]).status == 2)
        #expect(DumpResult(["\(golden)/expected.json"]).status == 2)
        #expect(DumpResult(["--verify", "--offset", "3", golden]).status == 2)
        #expect(DumpResult(["--offset", "3", "--from-time", "0", golden]).status == 2)
        #expect(DumpResult(["--from-time", "yesterday", golden]).status == 2)
        let both = DumpResult(["--json", "/nowhere/at/all", "\(golden)/meta.properties"])
        #expect(both.status == 2)
        #expect(both.errors.contains("/nowhere/at/all"))
        #expect(try both.objects("property").count > 2)
        #expect(DumpResult(["--help"]).text.contains("--print-data-log"))
    }
}
