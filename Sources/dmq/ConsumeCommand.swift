import Base
import DMQClient
import RecordFormat
import SystemIO

/// `dmq consume`: prints records.
enum ConsumeCommand {
    static let command = Subcommand(description: description) { command in
        let options = try ConsumeOptions(command)
        return try await ClientOptions.withClient(command) { client in
            try await ConsumeRun(options, client).run()
            return 0
        }
    }

    private static let description = CommandDescription(
        name: "consume", summary: "Prints records of a topic.",
        options: ClientOptions.all + [
            ClientOptions.json,
            CommandOption(
                "partition", short: "p", .integer(0...Int(Int32.max)), repeats: true,
                summary: "of this partition only"),
            CommandOption(
                "from", short: "o", .text, placeholder: "beginning|end|OFFSET", default: "beginning",
                summary: "where to begin; a negative offset counts from the end"),
            CommandOption(
                "from-time", .text, placeholder: "TIME",
                summary: "begin with the first record this young: milliseconds or ISO 8601"),
            CommandOption(
                "last", .integer(1...Int.max), placeholder: "NUMBER",
                summary: "begin so many records before the end of each partition"),
            CommandOption("count", short: "n", .integer(1...Int.max), summary: "end after so many records"),
            CommandOption(
                "exit", short: "e", .flag,
                summary: "end when everything is printed that was there at the start"),
            CommandOption(
                "format", short: "f", .text, default: "%v\\n",
                summary: "how a record is printed: \(RecordFormatter.help)"),
            CommandOption("committed", .flag, summary: "no records of open and aborted transactions"),
            CommandOption("no-checksums", .flag, summary: "do not compare the checksums of batches"),
        ], arguments: CommandArguments("TOPIC", count: 1...1, "the topic"),
        examples: [
            CommandExample("dmq consume events --exit", "prints all values, one a line"),
            CommandExample("dmq consume events --from end", "waits for new records"),
            CommandExample(
                "dmq consume events --last 10 -e -f '%t/%p@%o %D %k=%v\\n'", "the last ten"),
            CommandExample("dmq consume events -e --json", "one JSON object a record"),
        ])
}

/// What to print, and how.
struct ConsumeOptions {
    let topic: String
    let partitions: [Int32]
    let start: StartPosition
    let count: Int
    let exits: Bool
    let writesJSON: Bool
    let formatter: RecordFormatter
    let configuration: ConsumerConfiguration

    init(_ command: ParsedCommand) throws(CommandLineError) {
        topic = command.arguments[0]
        partitions = command.texts("partition").compactMap { Int32($0) }
        start = try Self.start(command)
        count = command.integerIfGiven("count") ?? .max
        exits = command.flag("exit")
        writesJSON = command.flag("json")
        formatter = try RecordFormatter(command.text("format"))
        var configuration = ConsumerConfiguration()
        configuration.isolation = command.flag("committed") ? .readCommitted : .readUncommitted
        configuration.checksChecksums = !command.flag("no-checksums")
        self.configuration = configuration
    }

    private static func start(_ command: ParsedCommand) throws(CommandLineError) -> StartPosition {
        let given = ["from", "from-time", "last"].filter { command.has($0) }
        if given.count > 1 {
            throw .badValue(
                option: "--\(given[1])", value: command.text(given[1]),
                reason: "--\(given[0]) says already where to begin")
        }
        if let count = command.integerIfGiven("last") { return .last(Int64(count)) }
        if let time = command.textIfGiven("from-time") {
            guard let milliseconds = CalendarTime.milliseconds(time) else {
                throw .badValue(
                    option: "--from-time", value: time,
                    reason: "use milliseconds since 1970 or ISO 8601, 2026-01-31T23:59:59.123Z")
            }
            return .timestamp(Timestamp(milliseconds))
        }
        switch command.text("from") {
        case "beginning", "earliest": return .earliest
        case "end", "latest": return .latest
        case let text:
            guard let number = Int64(text) else {
                throw .badValue(option: "--from", value: text, reason: "use beginning, end or an offset")
            }
            return number < 0 ? .last(number == .min ? .max : -number) : .offset(Offset(number))
        }
    }
}

/// One run of `dmq consume`.
final class ConsumeRun {
    private let options: ConsumeOptions
    private let client: Client
    private let output = Output()
    private let decompressor = Decompressor()
    private var left: Int
    /// Where each partition ends for us; empty when it never does.
    private var ends: [TopicPartition: Offset] = [:]
    private var text: [UInt8] = []
    private var json = JSONText()

    init(_ options: ConsumeOptions, _ client: Client) {
        self.options = options
        self.client = client
        left = options.count
    }

    func run() async throws {
        let topic = try await client.topic(options.topic)
        let numbers = options.partitions.isEmpty ? topic.partitions.map(\.partition) : options.partitions
        let partitions = numbers.map { TopicPartition(topic: options.topic, partition: $0) }
        var starts = Dictionary(
            partitions.map { ($0, options.start) }, uniquingKeysWith: { first, _ in first })
        if options.exits { try await findEnds(&starts) }
        if starts.isEmpty { return }
        let consumer = try Consumer(client, options.configuration)
        defer { consumer.close() }
        consumer.assign(starts)
        for try await records in consumer.batches {
            do {
                try print(records)
            } catch {
                try? output.flush()
                throw error
            }
            // Who waits for the next record sees all there is.
            try output.flush()
            if left == 0 { return }
            if options.exits, let end = ends[records.partition], records.nextPosition >= end {
                ends[records.partition] = nil
                if ends.isEmpty { return }
            }
        }
    }

    /// Finds out where each partition begins and ends for us; those in which nothing lies are left out.
    private func findEnds(_ starts: inout [TopicPartition: StartPosition]) async throws {
        let partitions = Array(starts.keys)
        let isolation = options.configuration.isolation
        let last = try await client.offsets(partitions, .latest, isolation: isolation)
        let first = try await client.offsets(partitions, .earliest)
        var timed: [TopicPartition: FoundOffset] = [:]
        if case .timestamp(let time) = options.start {
            timed = try await client.offsets(partitions, .timestamp(time), isolation: isolation)
        }
        for partition in partitions {
            let end = last[partition]?.offset ?? .zero
            let begin = first[partition]?.offset ?? .zero
            let start: Offset
            switch options.start {
            case .earliest: start = begin
            case .latest: start = end
            case .offset(let offset): start = offset
            case .last(let count): start = max(begin, Offset(max(0, end.rawValue - count)))
            case .timestamp:
                let found = timed[partition]?.offset ?? Offset(-1)
                start = found.rawValue < 0 ? end : found
            }
            if start < end {
                starts[partition] = .offset(start)
                ends[partition] = end
            } else {
                starts[partition] = nil
            }
        }
    }

    private func print(_ records: FetchedRecords) throws {
        let end = options.exits ? ends[records.partition] ?? .zero : Offset(.max)
        var failure: (any Error)?
        try records.forEach(decompressor) { record, type in
            if left == 0 || record.offset >= end { return false }
            left -= 1
            do {
                if options.writesJSON {
                    try writeJSON(record, type, records.partition)
                } else {
                    text.removeAll(keepingCapacity: true)
                    options.formatter.append(record, records.partition, to: &text)
                    try output.write(text)
                }
                return true
            } catch {
                failure = error
                return false
            }
        }
        if let failure { throw failure }
    }

    private func writeJSON(
        _ view: borrowing RecordView, _ type: TimestampType, _ partition: TopicPartition
    ) throws {
        let record = Record(view)
        json.removeAll()
        json.object { json in
            json.field("topic", partition.topic)
            json.field("partition", partition.partition)
            json.field("offset", record.offset.rawValue)
            json.field("timestamp", record.timestamp.rawValue)
            json.field("timestampType", type.name)
            json.bytesField("key", record.key)
            json.bytesField("value", record.value)
            json.array("headers") { json in
                for header in record.headers {
                    json.object { json in
                        json.field("key", header.name)
                        json.bytesField("value", header.value)
                    }
                }
            }
        }
        try output.line(json.text)
    }
}
