import Base
import DMQClient
import RecordFormat
import SystemIO

/// `dmq produce`: writes records.
enum ProduceCommand {
    static let command = Subcommand(description: description) { command in
        let options = try ProduceOptions(command)
        return try await ClientOptions.withClient(command) { client in
            try await ProduceRun(options, client).run()
            return 0
        }
    }

    private static let description = CommandDescription(
        name: "produce", summary: "Writes lines of the standard input, or of files, as records.",
        options: ClientOptions.all + [
            ClientOptions.json,
            CommandOption(
                "file", .text, placeholder: "FILE", repeats: true, summary: "read this, not the input"),
            CommandOption("whole-file", .flag, summary: "each file is one record"),
            CommandOption(
                "delimiter", short: "d", .text, default: "\\n", summary: "what ends a record"),
            CommandOption(
                "key-separator", short: "K", .text,
                summary: "a record is KEY, this, VALUE; without it in a record there is no key"),
            CommandOption("key", short: "k", .text, summary: "the key of every record"),
            CommandOption(
                "header", short: "H", .text, placeholder: "KEY=VALUE", repeats: true,
                summary: "a header of every record"),
            CommandOption(
                "partition", short: "p", .integer(0...Int(Int32.max)),
                summary: "write to this partition, whatever the key"),
            CommandOption("null", short: "Z", .flag, summary: "empty keys and values become null"),
            CommandOption(
                "timestamp", .text, placeholder: "TIME",
                summary: "the time of every record: milliseconds or ISO 8601 [now]"),
            CommandOption(
                "repeat", .integer(1...Int.max), default: "1", summary: "write it all so many times"),
            CommandOption(
                "codec", short: "z", .choice(["none", "gzip", "snappy", "lz4", "zstd"]), default: "none",
                summary: "how batches are compressed"),
            CommandOption("level", .integer(-131_072...22), summary: "the codec's level"),
            CommandOption(
                "acks", .choice(["0", "1", "all"]), default: "all",
                summary: "who must have a record before it counts: nobody, the leader, all in-sync replicas"),
            CommandOption("batch", .byteCount, default: "64KiB", summary: "how large a batch may get"),
            CommandOption("linger", .duration, default: "5ms", summary: "how long a batch may wait for more"),
            CommandOption("no-idempotence", .flag, summary: "retries may write records twice"),
            CommandOption("print", .flag, summary: "print the partition and offset of every record"),
            CommandOption("no-progress", .flag, summary: "show no progress on the terminal"),
        ], arguments: CommandArguments("TOPIC", count: 1...1, "the topic"),
        examples: [
            CommandExample("echo hello | dmq produce greetings", "one record"),
            CommandExample(
                "printf 'a:1\\nb:2\\n' | dmq produce pairs --key-separator :", "two records with keys"),
            CommandExample(
                "dmq produce events --file events.log -z zstd --batch 1MiB",
                "every line of a file, compressed"),
            CommandExample("dmq produce blobs --whole-file --file picture.png", "a file as one record"),
        ])
}

/// What to write, and how.
struct ProduceOptions {
    let topic: String
    let files: [String]
    let isWholeFile: Bool
    let delimiter: [UInt8]
    let keySeparator: [UInt8]?
    let key: [UInt8]?
    let headers: [RecordHeader]
    let partition: Int32?
    let emptyIsNull: Bool
    let timestamp: Timestamp?
    let repetitions: Int
    let prints: Bool
    let writesJSON: Bool
    let showsProgress: Bool
    let configuration: ProducerConfiguration

    init(_ command: ParsedCommand) throws(CommandLineError) {
        topic = command.arguments[0]
        files = command.texts("file")
        isWholeFile = command.flag("whole-file")
        delimiter = try EscapedText.option(command, "delimiter") ?? [0x0A]
        keySeparator = try EscapedText.option(command, "key-separator")
        key = command.textIfGiven("key").map { Array($0.utf8) }
        if let key = command.textIfGiven("key"), keySeparator != nil {
            throw .badValue(
                option: "--key", value: key, reason: "--key-separator says already where keys are")
        }
        headers = try command.texts("header").map { (text) throws(CommandLineError) in
            guard let sign = text.firstIndex(of: "=") else {
                throw .badValue(option: "--header", value: text, reason: "write KEY=VALUE")
            }
            return RecordHeader(String(text[..<sign]), Array(text[text.index(after: sign)...].utf8))
        }
        partition = command.integerIfGiven("partition").map { Int32($0) }
        emptyIsNull = command.flag("null")
        timestamp = try Self.timestamp(command)
        repetitions = command.integer("repeat")
        if repetitions > 1 && files.isEmpty {
            throw .badValue(
                option: "--repeat", value: "\(repetitions)",
                reason: "the standard input can be read once only: name a --file")
        }
        prints = command.flag("print") || command.flag("json")
        writesJSON = command.flag("json")
        showsProgress = !command.flag("no-progress")
        configuration = try Self.configuration(command)
    }

    private static func timestamp(_ command: ParsedCommand) throws(CommandLineError) -> Timestamp? {
        guard let time = command.textIfGiven("timestamp") else { return nil }
        guard let milliseconds = CalendarTime.milliseconds(time) else {
            throw .badValue(
                option: "--timestamp", value: time,
                reason: "use milliseconds since 1970 or ISO 8601, 2026-01-31T23:59:59.123Z")
        }
        return Timestamp(milliseconds)
    }

    private static func configuration(_ command: ParsedCommand) throws(CommandLineError)
        -> ProducerConfiguration
    {
        var configuration = ProducerConfiguration()
        let codecs: [String: CompressionCodec] = [
            "none": .none, "gzip": .gzip, "snappy": .snappy, "lz4": .lz4, "zstd": .zstd,
        ]
        configuration.codec = codecs[command.text("codec")] ?? .none
        configuration.compressionLevel = command.integerIfGiven("level")
        let acknowledgements: [String: Acknowledgement] = ["0": .none, "1": .leader, "all": .all]
        configuration.acknowledgement = acknowledgements[command.text("acks")] ?? .all
        configuration.batchByteCount = Int(min(command.byteCount("batch"), 1 << 30))
        configuration.lingerMilliseconds = ClientOptions.milliseconds(command.duration("linger"))
        let timeout = ClientOptions.milliseconds(command.duration("timeout"))
        // What waits in the buffer behind other records needs more time than a single answer.
        configuration.deliveryMilliseconds = max(
            configuration.deliveryMilliseconds, timeout, configuration.lingerMilliseconds)
        configuration.topicMilliseconds = timeout
        if command.flag("no-idempotence") { configuration.isIdempotent = false }
        configuration.requestByteCount = max(64 << 20, configuration.batchByteCount)
        configuration.bufferByteCount = max(64 << 20, 2 * configuration.batchByteCount)
        return configuration
    }
}
