import Base
import LogStorage
import RecordFormat
import SystemIO
import Testing

/// The line that a text is refused at; nil when it is accepted.
private func refusedLine(_ parse: () throws -> Void) -> Int?? {
    do {
        try parse()
        return nil
    } catch let StateFileError.malformed(_, line, _) {
        return .some(line)
    } catch {
        Issue.record("\(error)")
        return nil
    }
}

@Suite("Checkpoints of offsets")
struct OffsetCheckpointTests {
    @Test(
        "what is not exactly an offset checkpoint is refused, naming the line",
        arguments: [
            ("", 1), ("0", 1), ("1\n0\n", 1), ("x\n0\n", 1), ("-1\n0\n", 1), ("0 \n0\n", 1), (" 0\n0\n", 1),
            ("0\r\n0\r\n", 1), ("99999999999999999999\n0\n", 1), ("0\n", 2), ("0\n0", 2), ("0\n-1\n", 2),
            ("0\n\n", 2), ("0\n2147483648\n", 2), ("0\n1\n", 3), ("0\n1\nt 0 5", 3), ("0\n1\nt 0 \n", 3),
            ("0\n1\nt 0\n", 3), ("0\n1\nt  0 5\n", 3), ("0\n1\nt 0 5 6\n", 3), ("0\n1\nt 0 -5\n", 3),
            ("0\n1\nt 0 +5\n", 3), ("0\n1\nt -1 5\n", 3), ("0\n1\nt 2147483648 5\n", 3),
            ("0\n1\nt 0 9223372036854775808\n", 3), ("0\n1\nt/u 0 5\n", 3), ("0\n1\n. 0 5\n", 3),
            ("0\n1\n 0 5\n", 3), ("0\n2\nt 0 5\nt 0 5\n", 4), ("0\n2\nt 0 5\nt 0 6\n", 4),
            ("0\n2\nt 0 5\n", 4),
            ("0\n1\nt 0 5\n\n", 4), ("0\n1\nt 0 5\nt 1 5\n", 4), ("0\n0\nx", 3), ("0\n2147483647\n", 3),
        ] as [(String, Int)])
    func malformed(text: String, line: Int) {
        let found = refusedLine { _ = try OffsetCheckpoint(parsing: Array(text.utf8), path: "p") }
        #expect(found == .some(line), "\(text.debugDescription)")
    }

    @Test("every prefix of a good file is refused: a cut number does not pass for a whole one")
    func prefixes() throws {
        let checkpoint = OffsetCheckpoint([
            .init(TopicPartition(topic: "a-b", partition: 0), Offset(12_345)),
            .init(TopicPartition(topic: "a-b", partition: 11), .zero),
            .init(TopicPartition(topic: "__x.y", partition: .max), Offset(.max)),
        ])
        let bytes = checkpoint.encoded()
        #expect(try OffsetCheckpoint(parsing: bytes, path: "p") == checkpoint)
        for count in 0..<bytes.count {
            #expect(throws: StateFileError.self) {
                _ = try OffsetCheckpoint(parsing: Array(bytes[..<count]), path: "p")
            }
        }
        #expect(checkpoint.offsets[TopicPartition(topic: "a-b", partition: 11)] == .zero)
    }

    @Test("random checkpoints come back as they went", arguments: 0..<50 as Range<UInt64>)
    func roundTrip(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let volume = try TestVolume.real()
        var entries: [OffsetCheckpoint.Entry] = []
        for number in 0..<Int32(generator.next() % 500) {
            let topic = String(repeating: "t", count: Int(generator.next() % 248) + 1)
            entries.append(
                .init(
                    TopicPartition(topic: topic, partition: number),
                    Offset(Int64(generator.next() >> (1 + generator.next() % 63)))))
        }
        let checkpoint = OffsetCheckpoint(entries)
        try checkpoint.write(to: volume.path("c"), volume.fileSystem)
        #expect(try OffsetCheckpoint.read(volume.path("c"), volume.fileSystem) == checkpoint)
        // Rewritten with less, nothing of the longer one is left.
        try OffsetCheckpoint().write(to: volume.path("c"), volume.fileSystem)
        #expect(try volume.bytes("c") == Array("0\n0\n".utf8))
    }

    @Test("the message names file, line and remedy, and shows no control characters")
    func message() throws {
        let error = #expect(throws: StateFileError.self) {
            _ = try OffsetCheckpoint(parsing: Array("0\n1\nt 0 5\u{1B}[2J\n".utf8), path: "/d/c")
        }
        let text = try #require(error).description
        #expect(
            text == "/d/c, line 3: the offset \"5?[2J\" is not a number of 0 or more;"
                + " restore the file or remove it, then its offsets are worked out anew")
    }

    @Test("a missing file is none, a file past the bound is refused unread")
    func bounds() throws {
        let volume = try TestVolume.real()
        #expect(try OffsetCheckpoint.read(volume.path("c"), volume.fileSystem) == nil)
        let file = try volume.fileSystem.open(volume.path("c"), .createNew)
        try file.truncate(to: 1 << 40)
        let error = #expect(throws: StateFileError.self) {
            _ = try OffsetCheckpoint.read(volume.path("c"), volume.fileSystem)
        }
        #expect(try #require(error).description.contains("larger than 67108864 bytes"))
        try volume.fileSystem.createDirectory(volume.path("d"))
        let other = #expect(throws: StateFileError.self) {
            _ = try OffsetCheckpoint.read(volume.path("d"), volume.fileSystem)
        }
        if case .malformed? = other { Issue.record("a directory is not a malformed file") }
    }
}

@Suite("partition.metadata")
struct PartitionMetadataTests {
    private let id = "IqhlkmDxS5KKvAK4WB8cAQ"

    @Test("it is read with and without a line end")
    func good() throws {
        let text = "version: 0\ntopic_id: \(id)"
        let metadata = try PartitionMetadata(parsing: Array(text.utf8), path: "p")
        #expect(metadata.topicID.description == id)
        #expect(metadata.encoded() == Array(text.utf8))
        #expect(try PartitionMetadata(parsing: Array((text + "\n").utf8), path: "p") == metadata)
    }

    @Test("anything else is refused, naming the line")
    func malformed() {
        let cases: [(String, Int?)] = [
            ("", nil), ("version: 0", nil), ("version: 0\ntopic_id: \(id)\n\n", nil),
            ("version: 1\ntopic_id: \(id)", 1), ("version: \ntopic_id: \(id)", 1),
            ("version 0\ntopic_id: \(id)", 1), ("topic_id: \(id)\nversion: 0", 1),
            ("version: 0\ntopic_id: \(id)x", 2), ("version: 0\ntopic_id: \(id.dropLast())", 2),
            ("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA", 2), ("version: 0\ntopic: \(id)", 2),
            ("version: 0\ntopic_id: \(id.dropLast())B", 2), ("version: 0\r\ntopic_id: \(id)", 1),
        ]
        for (text, line) in cases {
            let found = refusedLine { _ = try PartitionMetadata(parsing: Array(text.utf8), path: "p") }
            #expect(found == .some(line), "\(text.debugDescription)")
        }
    }
}

@Suite("The marker of a clean stop")
struct CleanShutdownMarkerTests {
    @Test("it is what Kafka writes")
    func bytes() {
        #expect(CleanShutdownMarker().encoded() == Array(#"{"version":0,"brokerEpoch":-1}"#.utf8))
        #expect(
            CleanShutdownMarker(brokerEpoch: 7).encoded() == Array(#"{"version":0,"brokerEpoch":7}"#.utf8))
    }

    @Test("an empty one, white space and either order are accepted")
    func good() throws {
        func epoch(_ text: String) throws -> Int64 {
            try CleanShutdownMarker(parsing: Array(text.utf8), path: "p").brokerEpoch
        }
        #expect(try epoch("") == -1 && epoch(" \n") == -1)
        #expect(try epoch(#"{"version":0,"brokerEpoch":-1}"#) == -1)
        #expect(try epoch("{ \"brokerEpoch\" : 12,\n\t\"version\" : 0 }\r\n") == 12)
        #expect(try epoch(#"{"version":0,"brokerEpoch":9223372036854775807}"#) == .max)
    }

    @Test(
        "anything else is refused, so that the stop is not taken for clean",
        arguments: [
            "{}", "{", "}", "{}{}", "0", "null", #"{"version":0}"#, #"{"brokerEpoch":1}"#,
            #"{"version":1,"brokerEpoch":1}"#, #"{"version":0,"brokerEpoch":-2}"#,
            #"{"version":0,"brokerEpoch":1,}"#, #"{"version":0,"version":0,"brokerEpoch":1}"#,
            #"{"version":0,"brokerEpoch":1,"more":2}"#, #"{"version":0,"brokerEpoch":"1"}"#,
            #"{"version":0,"brokerEpoch":9223372036854775808}"#, #"{"version":0,"brokerEpoch":1"#,
            #"{"version":0,"brokerEpoch":--1}"#, #"{"version":0,"brokerEpoch":-}"#,
        ])
    func malformed(text: String) {
        #expect(throws: StateFileError.self) {
            _ = try CleanShutdownMarker(parsing: Array(text.utf8), path: "p")
        }
    }

    @Test("it is written, read and removed; removing what is not there is fine")
    func file() throws {
        let volume = try TestVolume.real()
        let path = volume.path(LogLayout.cleanShutdownMarker)
        #expect(try CleanShutdownMarker.read(path, volume.fileSystem) == nil)
        try CleanShutdownMarker(brokerEpoch: 3).write(to: path, volume.fileSystem)
        #expect(try CleanShutdownMarker.read(path, volume.fileSystem)?.brokerEpoch == 3)
        try CleanShutdownMarker.remove(path, volume.fileSystem)
        try CleanShutdownMarker.remove(path, volume.fileSystem)
        #expect(try volume.fileSystem.contents(ofDirectory: volume.directory).isEmpty)
    }
}
