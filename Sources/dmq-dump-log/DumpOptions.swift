import Base
import RecordFormat

/// What is shown, and from where on.
struct DumpOptions {
    /// Where reading begins.
    enum Start: Equatable {
        case beginning
        case offset(Offset)
        case timestamp(Timestamp)
    }

    var paths: [String] = []
    var printsRecords = false
    var keyFormat = ByteFormat.text
    var valueFormat = ByteFormat.text
    var verifies = false
    var writesJSON = false
    var start = Start.beginning
    /// Bytes of batches that are shown of each log file.
    var maximumByteCount = Int64.max
    /// Batches that are shown of each log file.
    var maximumBatchCount = Int.max
    var showsProgress = true
    var decodesInternalTopics = true

    init() {}

    /// Reads what the parser has checked; throws what is wrong with it as a sentence.
    init(_ command: ParsedCommand) throws(CommandLineError) {
        paths = command.arguments
        printsRecords = command.flag("print-data-log") || command.flag("cluster-metadata-decoder")
        verifies = command.flag("verify")
        writesJSON = command.flag("json")
        showsProgress = !command.flag("no-progress")
        decodesInternalTopics = !command.flag("raw")
        let both = command.textIfGiven("format")
        keyFormat = Self.format(command.textIfGiven("key-format") ?? both)
        valueFormat = Self.format(command.textIfGiven("value-format") ?? both)
        if let bytes = command.byteCountIfGiven("max-bytes") { maximumByteCount = bytes }
        if let batches = command.integerIfGiven("max-batches") { maximumBatchCount = batches }
        if let offset = command.integerIfGiven("offset") { start = .offset(Offset(Int64(offset))) }
        if let time = command.textIfGiven("from-time") {
            guard start == .beginning else {
                throw .badValue(
                    option: "--from-time", value: time, reason: "--offset says already where to begin")
            }
            guard let milliseconds = CalendarTime.milliseconds(time) else {
                throw .badValue(
                    option: "--from-time", value: time,
                    reason: "use milliseconds since 1970 or ISO 8601, 2026-01-31T23:59:59.123Z")
            }
            start = .timestamp(Timestamp(milliseconds))
        }
        for name in ["offset", "from-time", "max-bytes", "max-batches"] where verifies && command.has(name) {
            throw .badValue(
                option: "--\(name)", value: command.text(name), reason: "--verify looks at whole files")
        }
    }

    private static func format(_ name: String?) -> ByteFormat {
        name.flatMap { ByteFormat(rawValue: $0) } ?? .text
    }
}
