/// The text that `--help` prints.
struct CommandHelp {
    private let command: CommandDescription
    private let path: [String]
    private let options: [CommandOption]

    /// Lines are wrapped to this many columns.
    private static let width = 100

    init(_ command: CommandDescription, path: [String], options: [CommandOption]) {
        self.command = command
        self.path = path
        self.options = options
    }

    var text: String {
        var sections = [command.summary, "usage: \(usage)"]
        if !command.subcommands.isEmpty {
            sections.append(listing("commands:", command.subcommands.map { ($0.name, $0.summary) }))
        }
        if let arguments = command.arguments {
            sections.append(listing("arguments:", [(arguments.placeholder, arguments.summary)]))
        }
        sections.append(listing("options:", optionRows))
        if !command.examples.isEmpty {
            let lines = command.examples.map { "  \($0.line)\n      \($0.summary)" }
            sections.append("examples:\n" + lines.joined(separator: "\n"))
        }
        sections += command.notes.map { Self.wrapped($0, indent: 0) }
        return sections.joined(separator: "\n\n") + "\n"
    }

    private var usage: String {
        var words = path
        if !command.subcommands.isEmpty { words.append("COMMAND") }
        words += options.filter(\.isRequired).map { "--\($0.name) \($0.placeholder)" }
        words.append("[OPTIONS]")
        if let arguments = command.arguments {
            let name = arguments.placeholder + (arguments.count.upperBound > 1 ? "..." : "")
            words.append(arguments.count.lowerBound == 0 ? "[\(name)]" : name)
        }
        return words.joined(separator: " ")
    }

    private var optionRows: [(String, String)] {
        var rows = options.map { option in
            let short = option.short.map { "-\($0), " } ?? "    "
            let value = option.kind == .flag ? "" : " \(option.placeholder)"
            var summary = option.summary
            if option.isRequired { summary += " (required)" }
            if option.repeats { summary += " (may be given several times)" }
            if let value = option.defaultValue { summary += " [\(value)]" }
            return ("\(short)--\(option.name)\(value)", summary)
        }
        rows.append(("-h, --help", "print this text"))
        return rows
    }

    /// Rows of a name and a text, the texts below each other. A name too long for its column has a line of
    /// its own.
    private func listing(_ title: String, _ rows: [(String, String)]) -> String {
        let column = min(34, (rows.map(\.0.count).max() ?? 0) + 4)
        var lines = [title]
        for (name, summary) in rows {
            let text = Self.wrapped(summary, indent: column)
            if name.count + 4 > column {
                lines.append("  \(name)")
                lines.append(text)
            } else {
                let padding = String(repeating: " ", count: column - 2 - name.count)
                lines.append("  \(name)\(padding)" + text.dropFirst(column))
            }
        }
        return lines.joined(separator: "\n")
    }

    /// Text in lines of at most `width` columns, each after `indent` spaces.
    private static func wrapped(_ text: String, indent: Int) -> String {
        let margin = String(repeating: " ", count: indent)
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty && indent + line.count + 1 + word.count > width {
                lines.append(margin + line)
                line = ""
            }
            line += line.isEmpty ? String(word) : " \(word)"
        }
        lines.append(margin + line)
        return lines.joined(separator: "\n")
    }
}
