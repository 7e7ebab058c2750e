import Base
import DMQClient

/// `dmq-bench produce|consume|end-to-end|mixed`: measures a broker from outside, ours or another.
enum TrafficCommand {
    static func description(_ kind: TrafficKind) -> CommandDescription {
        CommandDescription(
            name: "dmq-bench \(kind.rawValue)", summary: summary(kind), options: options,
            examples: examples(kind),
            notes: [
                "Any broker that speaks Kafka's protocol can be measured.",
                "With --rate a record's latency counts from when it was due, so that a stall shows in all "
                    + "records that it held up. Without, a record in \(TrafficOptions.sampledRecords) is "
                    + "timed, from when it was handed to the client.",
                "Exit status: 0 measured, 1 something failed or records were lost, 2 used wrongly.",
            ])
    }

    static func run(_ kind: TrafficKind, _ arguments: [String]) async throws -> Int32 {
        switch try CommandLineParser(description(kind)).parse(arguments) {
        case .help(let text):
            print(text, terminator: "")
            return 0
        case .run(let command):
            let result = try await TrafficRun(TrafficOptions(kind, command)).run()
            print(command.flag("json") ? result.json : result.text, terminator: "")
            return result.isClean ? 0 : 1
        }
    }

    private static func summary(_ kind: TrafficKind) -> String {
        switch kind {
        case .produce: "Writes records to a broker as fast as it goes, or at a rate."
        case .consume: "Reads a topic from its beginning to its end."
        case .endToEnd: "Writes records at a rate and times them until a consumer has them."
        case .mixed: "Writes and reads at once."
        }
    }

    private static func examples(_ kind: TrafficKind) -> [CommandExample] {
        switch kind {
        case .produce:
            [
                CommandExample(
                    "dmq-bench produce --record-bytes 100 --records 5000000", "five million small records"),
                CommandExample(
                    "dmq-bench produce --connections 1000 --linger 0ms --rate 50000",
                    "many small producers"),
            ]
        case .consume: [CommandExample("dmq-bench consume --broker-pid 4711", "with the broker's CPU time")]
        case .endToEnd: [CommandExample("dmq-bench end-to-end --rate 1000 --duration 30s", "1,000 a second")]
        case .mixed:
            [CommandExample("dmq-bench mixed --producers 10 --consumers 50", "fifty consumers on the tail")]
        }
    }

    private static let options = [
        CommandOption(
            "bootstrap", short: "b", .text, placeholder: "HOST:PORT,...", default: "127.0.0.1:9092",
            summary: "brokers to begin with"),
        CommandOption("topic", short: "t", .text, default: "dmq-bench", summary: "made if it is missing"),
        CommandOption("partitions", .integer(1...100_000), default: "6", summary: "of a topic that is made"),
        CommandOption("replicas", .integer(1...1000), summary: "of a topic that is made"),
        CommandOption("record-bytes", .byteCount, default: "1KiB", summary: "size of a value"),
        CommandOption(
            "keys", .integer(0...100_000_000), default: "0", summary: "distinct keys; 0 for no keys"),
        CommandOption("batch", .byteCount, default: "64KiB", summary: "how large a batch may get"),
        CommandOption(
            "linger", .duration, summary: "how long a batch waits for more (5ms; 0 for end-to-end)"),
        CommandOption(
            "codec", short: "z", .choice(StorageOptions.codecs.map(\.name)), default: "none",
            summary: "how batches are compressed"),
        CommandOption("level", .integer(-131_072...22), summary: "the codec's level"),
        CommandOption("acks", .choice(["0", "1", "all"]), default: "all", summary: "who must have a record"),
        CommandOption("no-idempotence", .flag, summary: "records without numbers"),
        CommandOption("in-flight", .integer(1...1000), default: "5", summary: "requests of a connection"),
        CommandOption("buffer", .byteCount, default: "32MiB", summary: "records that wait, of a producer"),
        CommandOption(
            "connections", short: "c", .integer(1...100_000), default: "1",
            summary: "producers, consumers, each with a connection and a thread of its own"),
        CommandOption(
            "producers", .integer(1...100_000), summary: "producers, where there are consumers too"),
        CommandOption(
            "consumers", .integer(1...100_000), summary: "consumers, where there are producers too"),
        CommandOption(
            "rate", .integer(1...1_000_000_000), summary: "records a second over all producers [unlimited]"),
        CommandOption("records", .integer(1...Int.max), summary: "end after so many records"),
        CommandOption("duration", .duration, default: "10s", summary: "else end after so long"),
        CommandOption("warm-up", .duration, default: "1s", summary: "write so long before measuring"),
        CommandOption("fetch-min", .byteCount, default: "1", summary: "bytes that a broker waits for"),
        CommandOption("fetch-wait", .duration, default: "500ms", summary: "how long it waits for them"),
        CommandOption("prefetch", .byteCount, default: "32MiB", summary: "fetched ahead, of a consumer"),
        CommandOption("no-checksums", .flag, summary: "do not compare checksums of what is read"),
        CommandOption(
            "broker-pid", .integer(1...Int.max), summary: "a broker on this machine: its CPU time too"),
        CommandOption("json", .flag, summary: "print JSON"),
        CommandOption("no-progress", .flag, summary: "show no progress on the terminal"),
    ]
}
