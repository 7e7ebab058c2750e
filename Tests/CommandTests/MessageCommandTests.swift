import Base
import RecordFormat
import Testing

@testable import dmq

/// Formats and separators of `dmq produce` and `dmq consume`, and what the command line refuses.
@Suite struct MessageCommandTests {
    private func formatted(_ format: String, _ record: Record) throws -> String {
        var builder = RecordBatchBuilder(baseOffset: record.offset)
        builder.append(record)
        let batch = try builder.finish(compressor: Compressor())
        let header = try RecordBatchHeader(parsing: batch.span.bytes)
        var cursor = try RecordCursor(batch.span.bytes, header: header, decompressor: Decompressor())
        var output: [UInt8] = []
        let formatter = try RecordFormatter(format)
        while let view = try cursor.next() {
            formatter.append(view, TopicPartition(topic: "events", partition: 3), to: &output)
        }
        return String(decoding: output, as: UTF8.self)
    }

    private let record = Record(
        offset: Offset(12), timestamp: Timestamp(1_700_000_000_123), key: Array("k".utf8),
        value: Array("hello".utf8),
        headers: [RecordHeader("a", Array("1".utf8)), RecordHeader("b", nil)])

    @Test(
        "a format puts the parts of a record where it says",
        arguments: [
            ("%v\\n", "hello\n"), ("%s", "hello"), ("%t/%p@%o", "events/3@12"), ("%k=%v", "k=hello"),
            ("%K %S", "1 5"), ("%T", "1700000000123"), ("%D", "2023-11-14T22:13:20.123Z"),
            ("%h", "a=1,b=NULL"),
            ("100%%\\t\\x41", "100%\tA"), ("", ""), ("%R%v", "\0\0\0\u{5}hello"),
        ])
    func formats(format: String, expected: String) throws {
        #expect(try formatted(format, record) == expected)
    }

    @Test("null is nothing, and its length -1")
    func null() throws {
        let tombstone = Record(offset: .zero, timestamp: Timestamp(0), key: nil, value: nil)
        #expect(try formatted("[%k][%v]%K,%S", tombstone) == "[][]-1,-1")
    }

    @Test("a format that cannot be is refused", arguments: ["%", "%x", "\\", "\\q", "\\x4"])
    func badFormats(format: String) {
        #expect(throws: CommandLineError.self) { try RecordFormatter(format) }
    }

    @Test("bytes in pieces of any size fall into the same records", arguments: 1...9)
    func splitting(size: Int) {
        for (delimiter, input, expected) in [
            ("\n", "a\nbb\n\nccc", ["a", "bb", "", "ccc"]), ("\n", "a\n", ["a"]), ("\n", "", []),
            ("::", "a::b:c::::d:", ["a", "b:c", "", "d:"]), ("aab", "aaabxaab", ["a", "x"]),
        ] as [(String, String, [String])] {
            var splitter = RecordSplitter(delimiter: Array(delimiter.utf8))
            var found: [String] = []
            let bytes = Array(input.utf8)
            for start in stride(from: 0, to: bytes.count, by: size) {
                let piece = Array(bytes[start..<min(start + size, bytes.count)])
                splitter.append(piece.span.bytes)
                while let record = splitter.next() { found.append(String(decoding: record, as: UTF8.self)) }
            }
            if let rest = splitter.rest() { found.append(String(decoding: rest, as: UTF8.self)) }
            #expect(found == expected, "\(input) by \(delimiter)")
        }
    }

    private func parse(_ words: [String]) throws -> ParsedCommand {
        guard case .run(let command) = try CommandLineParser(Program.description).parse(words) else {
            throw CommandLineError.missingSubcommand(known: [])
        }
        return command
    }

    @Test("where reading begins")
    func starts() throws {
        #expect(try ConsumeOptions(parse(["consume", "t"])).start == .earliest)
        #expect(try ConsumeOptions(parse(["consume", "t", "-o", "end"])).start == .latest)
        #expect(try ConsumeOptions(parse(["consume", "t", "--from", "42"])).start == .offset(Offset(42)))
        #expect(try ConsumeOptions(parse(["consume", "t", "-o", "-5"])).start == .last(5))
        #expect(try ConsumeOptions(parse(["consume", "t", "--last", "7"])).start == .last(7))
        #expect(
            try ConsumeOptions(parse(["consume", "t", "--from-time", "1970-01-01T00:00:01Z"])).start
                == .timestamp(Timestamp(1000)))
        for words in [["-o", "x"], ["--from-time", "x"], ["--last", "1", "-o", "end"]] {
            #expect(throws: CommandLineError.self) { try ConsumeOptions(parse(["consume", "t"] + words)) }
        }
    }

    @Test("what produce cannot do is refused before anything is sent")
    func produceOptions() throws {
        let options = try ProduceOptions(
            parse([
                "produce", "t", "-z", "zstd", "--acks", "1", "-K", "\\t", "-H", "a=b=c", "--batch", "1MiB",
            ]))
        #expect(options.configuration.codec == .zstd && options.configuration.acknowledgement == .leader)
        #expect(options.keySeparator == [9] && options.configuration.batchByteCount == 1 << 20)
        #expect(options.headers == [RecordHeader("a", Array("b=c".utf8))])
        for words in [
            ["--repeat", "2"], ["-H", "x"], ["-K", "\\q"], ["-K", ":", "-k", "x"], ["--timestamp", "soon"],
        ] {
            #expect(throws: CommandLineError.self) { try ProduceOptions(parse(["produce", "t"] + words)) }
        }
    }

    @Test("every command is in the scripts for shells", arguments: ["bash", "zsh", "fish"])
    func completion(shell: String) {
        let text = CompletionScript(Program.description).text(shell)
        for word in [
            "topic", "create", "produce", "consume", "log-dirs", "partitions", "gzip snappy lz4 zstd",
        ] {
            #expect(text.contains(word))
        }
    }

    @Test("used wrongly is status 2, help is status 0")
    func statuses() async {
        #expect(await Program.run(["topic", "crate", "x"]) == 2)
        #expect(await Program.run(["consume", "t", "--format", "%y"]) == 2)
        #expect(await Program.run(["config", "list"]) == 2)
    }
}
