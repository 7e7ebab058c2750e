/// Why a command line was refused. The exit status of a command that gets one is
/// `CommandLineError.exitStatus`.
public enum CommandLineError: Error, Equatable, CustomStringConvertible {
    /// What stands for "used wrongly" among exit statuses.
    public static let exitStatus: Int32 = 2

    /// - Parameter nearest: the known option closest in spelling, with its dashes; nil when none is close.
    case unknownOption(String, nearest: String?)
    case missingValue(option: String, expected: String)
    case unexpectedValue(option: String, value: String)
    /// - Parameter reason: what a right value looks like, as half a sentence.
    case badValue(option: String, value: String, reason: String)
    case givenTwice(option: String)
    case missingOption(String, expected: String)
    case unknownSubcommand(String, nearest: String?, known: [String])
    case missingSubcommand(known: [String])
    case tooManyArguments(first: String)
    case tooFewArguments(expected: String)

    public var description: String {
        switch self {
        case .unknownOption(let option, let nearest):
            "unknown option \(option)"
                + (nearest.map { "; did you mean \($0)?" } ?? "; --help lists the options")
        case .missingValue(let option, let expected): "\(option) needs a value: \(option) \(expected)"
        case .unexpectedValue(let option, let value): "\(option) takes no value, but was given \"\(value)\""
        case .badValue(let option, let value, let reason): "\(option) cannot be \"\(value)\": \(reason)"
        case .givenTwice(let option): "\(option) is given twice"
        case .missingOption(let option, let expected): "\(option) \(expected) is required"
        case .unknownSubcommand(let name, let nearest, let known):
            "unknown command \"\(name)\"; "
                + (nearest.map { "did you mean \($0)?" } ?? "there are: \(known.joined(separator: ", "))")
        case .missingSubcommand(let known): "name a command: \(known.joined(separator: ", "))"
        case .tooManyArguments(let first): "unexpected argument \"\(first)\""
        case .tooFewArguments(let expected): "\(expected) is missing"
        }
    }
}

/// What a command line asks for.
public enum CommandLineRequest: Sendable {
    case run(ParsedCommand)
    /// Print this text and end with status 0.
    case help(String)
}

/// Reads a command line against a `CommandDescription`. Pure: prints nothing and ends nothing.
///
/// Understands `--name value`, `--name=value`, `-n value`, `-n=value`, `--help` and `-h` anywhere, and `--`
/// before arguments that start with a dash. A lone `-` is an argument.
public struct CommandLineParser: Sendable {
    private let root: CommandDescription

    public init(_ command: CommandDescription) { root = command }

    /// - Parameter arguments: the command line without the program's own name.
    public func parse(_ arguments: [String]) throws(CommandLineError) -> CommandLineRequest {
        var scan = CommandLineScan(command: root, rest: arguments[...])
        return try scan.run()
    }
}

/// One pass over a command line.
private struct CommandLineScan {
    var command: CommandDescription
    var rest: ArraySlice<String>
    /// Names chosen so far, the program's own first.
    private var path: [String]
    /// Options of all commands on the path.
    private var options: [CommandOption]
    private var values: [String: [String]] = [:]
    private var arguments: [String] = []

    init(command: CommandDescription, rest: ArraySlice<String>) {
        self.command = command
        self.rest = rest
        path = [command.name]
        options = command.options
    }

    mutating func run() throws(CommandLineError) -> CommandLineRequest {
        var onlyArguments = false
        while let word = rest.popFirst() {
            if onlyArguments || word == "-" || !word.hasPrefix("-") {
                try takeWord(word)
            } else if word == "--" {
                onlyArguments = true
            } else if word == "--help" || word == "-h" {
                return .help(CommandHelp(command, path: path, options: options).text)
            } else {
                try takeOption(word)
            }
        }
        try checkComplete()
        return .run(
            ParsedCommand(
                path: Array(path.dropFirst()), arguments: arguments, options: options, values: values))
    }

    /// A subcommand's name, or an argument.
    private mutating func takeWord(_ word: String) throws(CommandLineError) {
        if !command.subcommands.isEmpty {
            guard let next = command.subcommands.first(where: { $0.name == word }) else {
                let known = command.subcommands.map(\.name)
                throw .unknownSubcommand(word, nearest: nearestSpelling(to: word, among: known), known: known)
            }
            command = next
            path.append(word)
            options += next.options
            return
        }
        arguments.append(word)
        if arguments.count > (command.arguments?.count.upperBound ?? 0) {
            throw .tooManyArguments(first: word)
        }
    }

    private mutating func takeOption(_ word: String) throws(CommandLineError) {
        let isLong = word.hasPrefix("--")
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let spelled = String(parts[0])
        let name = spelled.dropFirst(isLong ? 2 : 1)
        guard
            let option = options.first(where: {
                isLong ? $0.name == name : $0.short.map(String.init) == String(name)
            })
        else { throw .unknownOption(spelled, nearest: nearestOption(to: String(name))) }

        let attached = parts.count == 2 ? String(parts[1]) : nil
        let value = try takeValue(of: option, spelled: spelled, attached: attached)
        if let reason = option.kind.fault(in: value) {
            throw .badValue(option: spelled, value: value, reason: reason)
        }
        if !option.repeats && values[option.name] != nil { throw .givenTwice(option: "--\(option.name)") }
        values[option.name, default: []].append(value)
    }

    /// The text of an option's value; empty for a flag.
    private mutating func takeValue(
        of option: CommandOption, spelled: String, attached: String?
    ) throws(CommandLineError) -> String {
        if option.kind == .flag {
            if let attached { throw .unexpectedValue(option: spelled, value: attached) }
            return ""
        }
        if let attached { return attached }
        // What follows is the value also when it starts with a dash (`--offset -1`), but not when it is an
        // option.
        guard let next = rest.first, !isKnownOption(next) else {
            throw .missingValue(option: spelled, expected: option.placeholder)
        }
        rest.removeFirst()
        return next
    }

    private func isKnownOption(_ word: String) -> Bool {
        if word == "--help" || word == "-h" || word == "--" { return true }
        let name = word.prefix { $0 != "=" }
        return options.contains { option in
            name == "--\(option.name)" || option.short.map { name == "-\($0)" } ?? false
        }
    }

    private func nearestOption(to name: String) -> String? {
        let known = options.map(\.name) + ["help"]
        return nearestSpelling(to: name, among: known).map { "--\($0)" }
    }

    private func checkComplete() throws(CommandLineError) {
        if !command.subcommands.isEmpty { throw .missingSubcommand(known: command.subcommands.map(\.name)) }
        for option in options where option.isRequired && values[option.name] == nil {
            throw .missingOption("--\(option.name)", expected: option.placeholder)
        }
        if let expected = command.arguments, arguments.count < expected.count.lowerBound {
            throw .tooFewArguments(expected: expected.placeholder)
        }
    }
}

extension OptionKind {
    /// What is wrong with a value of this kind, nil when nothing is.
    func fault(in value: String) -> String? {
        switch self {
        case .flag, .text: return nil
        case .integer(let range):
            if let number = Int(value), range.contains(number) { return nil }
            if range == Int.min...Int.max { return "it must be a whole number" }
            if range.upperBound == Int.max { return "it must be a whole number, \(range.lowerBound) or more" }
            return "it must be a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .byteCount:
            return ByteCountText.parse(value) == nil
                ? "it must be a number of bytes such as 4096, 64KiB or 1GB" : nil
        case .duration:
            return DurationText.parse(value) == nil
                ? "it must be a time with its unit such as 250us, 10s or 14d" : nil
        case .choice(let words):
            if words.contains(value) { return nil }
            let nearest = nearestSpelling(to: value, among: words).map { ", perhaps \($0)" } ?? ""
            return "it must be one of \(words.joined(separator: ", "))\(nearest)"
        }
    }
}
