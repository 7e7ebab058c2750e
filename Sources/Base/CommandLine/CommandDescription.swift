// What a command understands, as a value: the parser reads it, the help text is made from it, tests compare
// with it.

/// What may follow an option, and how it is checked.
public enum OptionKind: Sendable, Equatable {
    /// Takes no value: there or not.
    case flag
    /// Any text.
    case text
    /// A whole number within a range.
    case integer(ClosedRange<Int>)
    /// A number of bytes: `4096`, `64KiB`, `1MB` (see `ByteCountText`).
    case byteCount
    /// A length of time: `250us`, `10s`, `14d` (see `DurationText`).
    case duration
    /// One of the words.
    case choice([String])
}

/// One option of a command, `--name` and perhaps `-n`.
public struct CommandOption: Sendable {
    /// Without dashes.
    public let name: String
    public let short: Character?
    public let kind: OptionKind
    /// Stands in the help for the value: `BYTES`, `FILE`.
    public let placeholder: String
    /// What holds when the option is not given, in the words of the command line.
    public let defaultValue: String?
    /// The command refuses to run without it.
    public let isRequired: Bool
    /// May be given several times; otherwise a second time is an error.
    public let repeats: Bool
    /// Half a sentence for the help, without a stop at its end.
    public let summary: String

    /// - Parameter placeholder: nil takes the word that fits the kind.
    public init(
        _ name: String, short: Character? = nil, _ kind: OptionKind, placeholder: String? = nil,
        default defaultValue: String? = nil, isRequired: Bool = false, repeats: Bool = false, summary: String
    ) {
        self.name = name
        self.short = short
        self.kind = kind
        self.placeholder = placeholder ?? Self.placeholder(for: kind)
        self.defaultValue = defaultValue
        self.isRequired = isRequired
        self.repeats = repeats
        self.summary = summary
    }

    private static func placeholder(for kind: OptionKind) -> String {
        switch kind {
        case .flag: ""
        case .text: "TEXT"
        case .integer: "NUMBER"
        case .byteCount: "BYTES"
        case .duration: "TIME"
        case .choice(let words): words.joined(separator: "|")
        }
    }
}

/// What stands on the line without dashes.
public struct CommandArguments: Sendable {
    /// Stands in the help: `FILE`.
    public let placeholder: String
    /// How many there must be.
    public let count: ClosedRange<Int>
    public let summary: String

    public init(_ placeholder: String, count: ClosedRange<Int>, _ summary: String) {
        self.placeholder = placeholder
        self.count = count
        self.summary = summary
    }
}

/// A line to copy, and what it does.
public struct CommandExample: Sendable {
    public let line: String
    public let summary: String

    public init(_ line: String, _ summary: String) {
        self.line = line
        self.summary = summary
    }
}

/// A command or a subcommand. With subcommands one of them must be named. Options of a command may be given
/// before or after the name of a subcommand.
public struct CommandDescription: Sendable {
    public let name: String
    /// One sentence.
    public let summary: String
    public let options: [CommandOption]
    /// Nil: takes none.
    public let arguments: CommandArguments?
    public let subcommands: [CommandDescription]
    public let examples: [CommandExample]
    /// Paragraphs that end the help text, for exit statuses and the like.
    public let notes: [String]

    public init(
        name: String, summary: String, options: [CommandOption] = [], arguments: CommandArguments? = nil,
        subcommands: [CommandDescription] = [], examples: [CommandExample] = [], notes: [String] = []
    ) {
        self.name = name
        self.summary = summary
        self.options = options
        self.arguments = arguments
        self.subcommands = subcommands
        self.examples = examples
        self.notes = notes
    }
}
