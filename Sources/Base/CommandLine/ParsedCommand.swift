/// A command line that was understood: the subcommand, its options' values and its arguments.
///
/// The typed readers below give the value, else the option's default. Asking for an option that the command
/// does not have, or for the value of one that has neither value nor default, is a programmer error; where
/// there may be none, ask with `has` first or use the `...IfGiven` readers.
public struct ParsedCommand: Sendable {
    /// The names of the subcommands chosen, outermost first; empty for a command without.
    public let path: [String]
    public let arguments: [String]
    private let options: [CommandOption]
    private let values: [String: [String]]

    init(path: [String], arguments: [String], options: [CommandOption], values: [String: [String]]) {
        self.path = path
        self.arguments = arguments
        self.options = options
        self.values = values
    }

    /// Whether a flag is set.
    public func flag(_ name: String) -> Bool { !given(name).isEmpty }

    /// Whether an option was given, as opposed to left at its default.
    public func has(_ name: String) -> Bool { !given(name).isEmpty }

    /// The last value given, else the default. So the three that follow.
    public func text(_ name: String) -> String { present(name, textIfGiven(name)) }
    public func integer(_ name: String) -> Int { present(name, integerIfGiven(name)) }
    public func byteCount(_ name: String) -> Int64 { present(name, byteCountIfGiven(name)) }
    public func duration(_ name: String) -> Duration { present(name, durationIfGiven(name)) }

    /// The last value given, else the default, else nil. So the three that follow.
    public func textIfGiven(_ name: String) -> String? { given(name).last ?? option(name).defaultValue }
    public func integerIfGiven(_ name: String) -> Int? { textIfGiven(name).flatMap { Int($0) } }
    public func byteCountIfGiven(_ name: String) -> Int64? {
        textIfGiven(name).flatMap { ByteCountText.parse($0) }
    }
    public func durationIfGiven(_ name: String) -> Duration? {
        textIfGiven(name).flatMap { DurationText.parse($0) }
    }

    /// All values of an option that repeats, in the order given; the default when there is none.
    public func texts(_ name: String) -> [String] {
        let all = given(name)
        return all.isEmpty ? option(name).defaultValue.map { [$0] } ?? [] : all
    }

    private func given(_ name: String) -> [String] {
        _ = option(name)
        return values[name] ?? []
    }

    private func option(_ name: String) -> CommandOption {
        guard let option = options.first(where: { $0.name == name }) else {
            invariantFailed("the command \(path) has no option --\(name)")
        }
        return option
    }

    private func present<Value>(_ name: String, _ value: Value?) -> Value {
        guard let value else { invariantFailed("--\(name) has neither a value nor a default of its kind") }
        return value
    }
}
