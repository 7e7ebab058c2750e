import Base
import Foundation
import Testing

/// `dmq produce` and `dmq consume`, as a person uses them, against a broker that runs.
@Suite("dmq produce and dmq consume")
struct RecordsOfUsersTests {
    /// Text with keys, empty values, bytes that are not UTF-8, and lines of all lengths.
    private func lines(seed: UInt64, count: Int) -> Data {
        var generator = SeededGenerator(seed: seed)
        var data = Data()
        for number in 0..<count {
            if number % 7 != 0 { data += Data("key\(generator.next() % 50)".utf8) }
            data.append(9)
            for _ in 0..<(generator.next() % 300) {
                // No separator and no line end.
                data.append(UInt8(truncatingIfNeeded: 32 + generator.next() % 224))
            }
            data.append(10)
        }
        return data
    }

    @Test("kcat reads what dmq wrote and dmq what kcat wrote, byte for byte, with every codec")
    func kcat() throws {
        let broker = try BrokerProcess()
        for (number, codec) in ["none", "gzip", "snappy", "lz4", "zstd"].enumerated() {
            let input = lines(seed: UInt64(number), count: 2000)
            let file = broker.directory / "input-\(codec)"
            try input.write(to: URL(fileURLWithPath: file))
            let (ours, theirs) = ("ours-\(codec)", "theirs-\(codec)")
            let wrote = try broker.dmq("produce", ours, "-z", codec, "-K", "\\t", "--file", file)
            #expect(wrote.status == 0, "\(wrote.errors)")
            let read = try broker.kcat(["-C", "-t", ours, "-e", "-q", "-f", "%k\t%s\n"])
            #expect(read.output == input, "\(codec): \(read.output.count) of \(input.count) bytes")
            try broker.kcat(["-P", "-t", theirs, "-z", codec, "-K", "\t", "-l", file])
            let back = try broker.dmq("consume", theirs, "--exit", "--format", "%k\\t%v\\n")
            #expect(back.output == input, "\(codec): \(back.output.count) of \(input.count) bytes")
        }
    }

    @Test("lines of the standard input become records, with keys, headers, times and nulls as told")
    func produce() throws {
        let broker = try BrokerProcess()
        let printed = try broker.dmq(
            "produce", "t", "-K", ":", "--null", "-H", "h=1", "--timestamp", "2026-01-31T12:00:00Z",
            "--print",
            input: "a:1\nb:\nc\n")
        #expect(printed.text == "t/0@0\nt/0@1\nt/0@2\n")
        let read = try broker.dmq("consume", "t", "-e", "-f", "%p@%o %D %k=%v %K,%S %h\\n")
        #expect(
            read.text == """
                0@0 2026-01-31T12:00:00.000Z a=1 1,1 h=1
                0@1 2026-01-31T12:00:00.000Z b= 1,-1 h=1
                0@2 2026-01-31T12:00:00.000Z =c -1,1 h=1

                """)
    }

    @Test("files are written line by line, as often as told, or whole")
    func files() throws {
        let broker = try BrokerProcess()
        let file = broker.directory / "file"
        try Data("one;two;".utf8).write(to: URL(fileURLWithPath: file))
        try broker.dmq("produce", "parts", "--file", file, "-d", ";", "--repeat", "3")
        #expect(try broker.dmq("consume", "parts", "-e").lines == ["one", "two", "one", "two", "one", "two"])
        try broker.dmq("produce", "whole", "--whole-file", "--file", file, "--key", "name")
        #expect(try broker.dmq("consume", "whole", "-e", "-f", "%k %v").text == "name one;two;")
    }

    @Test("reading begins where it is told to, and ends after what is asked for")
    func positions() throws {
        let broker = try BrokerProcess()
        // Each record a second after the one before.
        for number in 0..<20 {
            try broker.dmq("produce", "t", "--timestamp", "\(number * 1000)", input: "\(number)\n")
        }
        let cases: [([String], Range<Int>)] = [
            (["-e"], 0..<20), (["--from", "beginning", "-n", "3"], 0..<3), (["--from", "7", "-e"], 7..<20),
            (["--from", "-4", "-e"], 16..<20), (["--last", "2", "-n", "2"], 18..<20),
            (["--last", "99", "-e"], 0..<20), (["--from", "end", "-e"], 20..<20),
            (["--from-time", "5000", "-e"], 5..<20),
            (["--from-time", "1970-01-01T00:00:17.5Z", "-e"], 18..<20),
            (["--from-time", "2100-01-01T00:00:00Z", "-e"], 20..<20),
        ]
        for (options, expected) in cases {
            let read = try broker.dmq(["consume", "t"] + options)
            #expect(read.lines == expected.map { "\($0)" }, "\(options): \(read.errors)")
        }
    }

    @Test("a reader at the end gets what comes later")
    func tail() throws {
        let broker = try BrokerProcess()
        try broker.dmq("produce", "t", input: "old\n")
        let reader = Programs.process(
            Programs.built("dmq"), ["consume", "t", "--from", "end", "-n", "3", "-b", broker.address])
        let output = Pipe()
        reader.standardOutput = output
        try reader.run()
        // Nobody says when the reader has found the end: what is written before then is not for it.
        while reader.isRunning { try broker.dmq("produce", "t", input: "new\n") }
        let said = output.fileHandleForReading.readDataToEndOfFile()
        #expect(String(decoding: said, as: UTF8.self) == "new\nnew\nnew\n")
        #expect(reader.terminationStatus == 0)
    }

    @Test("JSON has one object a record, with bytes that are no text in hexadecimal")
    func json() throws {
        let broker = try BrokerProcess()
        var input = Data("k:v\n".utf8)
        input += Data([0x6B, 0x3A, 0xFF, 0x0A])
        let written = try broker.dmq(["produce", "t", "-K", ":", "--json", "-H", "a=b"], input: input)
        #expect(try written.objects().map { $0["offset"] as? Int } == [0, 1])
        let read = try broker.dmq("consume", "t", "-e", "--json").objects()
        #expect(read.map { $0["key"] as? String } == ["k", "k"])
        #expect(read[0]["value"] as? String == "v" && read[1]["valueHex"] as? String == "ff")
        #expect((read[0]["headers"] as? [[String: String]]) == [["key": "a", "value": "b"]])
        #expect(read[0]["timestampType"] as? String == "CreateTime")
    }

    @Test("what cannot be is said with the name, the place and what to do, on the standard error")
    func refusals() throws {
        let broker = try BrokerProcess(["auto.create.topics.enable=false"])
        let unknown = try broker.dmq("consume", "nothing", "-e", "--timeout", "1s")
        #expect(unknown.status == 1 && unknown.output.isEmpty)
        #expect(unknown.errors.hasPrefix("dmq: ") && unknown.errors.contains("topic nothing"))
        #expect(unknown.errors.contains("create the topic, or check its name"))
        #expect(!unknown.errors.contains("\u{1B}"))
        let produced = try broker.dmq("produce", "nothing", "--timeout", "1s", input: "x\n")
        #expect(produced.status == 1 && produced.errors.contains("UNKNOWN_TOPIC_OR_PARTITION"))
        let nobody = try Programs.run(
            Programs.built("dmq"), ["cluster", "info", "-b", "127.0.0.1:1", "--timeout", "1s"])
        #expect(nobody.status == 1 && nobody.errors.contains("127.0.0.1:1"))
        for words in [
            ["consume"], ["produce", "a", "b"], ["topic", "crate"], ["consume", "t", "-f", "%y"],
        ] {
            #expect(try broker.dmq(words).status == 2)
        }
    }

    @Test("a partition that is not there, and an offset that is not, are refused")
    func places() throws {
        let broker = try BrokerProcess()
        try broker.dmq("produce", "t", input: "x\n")
        let partition = try broker.dmq("consume", "t", "-p", "7", "-e")
        #expect(partition.status == 1 && partition.errors.contains("it has 1 partitions"))
        let offset = try broker.dmq("consume", "t", "--from", "1000", "-n", "1")
        #expect(offset.status == 1 && offset.errors.contains("offset 1000 is not in the log of t-0"))
        let written = try broker.dmq("produce", "t", "-p", "3", input: "x\n")
        #expect(written.status == 1 && written.errors.contains("no partition 3 of topic t"))
    }

    @Test("a broker that is killed while records are written: each is there once, in order")
    func kills() throws {
        let broker = try BrokerProcess(["num.partitions=2"])
        let count = 100_000
        let file = broker.directory / "numbers"
        try Data((0..<count).map { "\($0 % 2):\($0)\n" }.joined().utf8).write(to: URL(fileURLWithPath: file))
        let writer = Programs.process(
            Programs.built("dmq"),
            [
                "produce", "t", "-b", broker.address, "--file", file, "-K", ":", "--batch", "1KiB",
                "--linger",
                "0s",
            ])
        try writer.run()
        var rounds = 0
        while writer.isRunning && rounds < 5 {
            // Something of this round has arrived when the end has moved.
            let before = try broker.dmq("topic", "describe", "t", "--offsets", "--json").text
            while writer.isRunning,
                try broker.dmq("topic", "describe", "t", "--offsets", "--json").text == before
            {}
            try broker.killAndRestart()
            rounds += 1
        }
        writer.waitUntilExit()
        #expect(writer.terminationStatus == 0 && rounds > 0)
        for key in 0..<2 {
            // With two keys both may go to one partition.
            let read = try broker.dmq("consume", "t", "-e", "-f", "%k %v\\n").lines.filter {
                $0.hasPrefix("\(key) ")
            }
            #expect(read == stride(from: key, to: count, by: 2).map { "\(key) \($0)" })
        }
    }

    @Test("a reader of the output that has enough is no failure")
    func brokenPipe() throws {
        let broker = try BrokerProcess()
        try broker.dmq(["produce", "t"], input: Data(String(repeating: "line\n", count: 50_000).utf8))
        let dmq = Programs.built("dmq").path
        let shell = try Programs.run(
            URL(fileURLWithPath: "/bin/bash"),
            ["-c", "set -o pipefail; '\(dmq)' consume t -b \(broker.address) -e | head -n 2"])
        #expect(shell.status == 0 && shell.text == "line\nline\n", "\(shell.errors)")
    }
}
