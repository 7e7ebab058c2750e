import Base
import SystemIO

/// `dmq completion`: what a shell needs to complete the command line.
enum CompletionCommand {
    static let command = Subcommand(description: description) { command in
        try StandardStream.output.write(CompletionScript(Program.description).text(command.path.last ?? ""))
        return 0
    }

    private static let description = CommandDescription(
        name: "completion", summary: "Prints a script with which a shell completes the command line.",
        subcommands: [
            CommandDescription(
                name: "bash", summary: "For bash.",
                examples: [CommandExample("source <(dmq completion bash)", "in ~/.bashrc")]),
            CommandDescription(
                name: "zsh", summary: "For zsh.",
                examples: [CommandExample("source <(dmq completion zsh)", "in ~/.zshrc, behind compinit")]),
            CommandDescription(
                name: "fish", summary: "For fish.",
                examples: [CommandExample("dmq completion fish | source", "in config.fish")]),
        ])
}

/// The scripts, made from the description of the commands.
struct CompletionScript {
    private struct Place {
        let path: [String]
        let command: CommandDescription
        let options: [CommandOption]
    }

    private let places: [Place]
    private let name: String

    init(_ root: CommandDescription) {
        name = root.name
        var places: [Place] = []
        func walk(_ command: CommandDescription, _ path: [String], _ options: [CommandOption]) {
            let all = options + command.options
            places.append(Place(path: path, command: command, options: all))
            for child in command.subcommands { walk(child, path + [child.name], all) }
        }
        walk(root, [], [])
        self.places = places
    }

    func text(_ shell: String) -> String {
        switch shell {
        case "fish": fish
        case "zsh": "autoload -Uz bashcompinit && bashcompinit\n" + bash
        default: bash
        }
    }

    /// A function that finds the command by the words that are no options, and offers what fits there.
    private var bash: String {
        var lines = [
            "_\(name)() {", "    local word path=\"\" i previous=\"${COMP_WORDS[COMP_CWORD-1]}\"",
            "    for ((i = 1; i < COMP_CWORD; i++)); do", "        word=\"${COMP_WORDS[i]}\"",
            "        case \"$path $word\" in",
        ]
        for place in places where !place.path.isEmpty {
            let before = place.path.dropLast().map { "/" + $0 }.joined()
            lines.append("            \"\(before) \(place.path.last ?? "")\") path=\"$path/$word\" ;;")
        }
        lines += ["        esac", "    done", "    local words=\"\"", "    case \"$path\" in"]
        for place in places {
            let path = place.path.map { "/" + $0 }.joined()
            let words =
                place.command.subcommands.map(\.name) + place.options.map { "--\($0.name)" } + ["--help"]
            lines.append("        \"\(path)\") words=\"\(words.joined(separator: " "))\" ;;")
        }
        lines += ["    esac", "    case \"$previous\" in"]
        var seen: Set<String> = []
        for option in places.flatMap(\.options) {
            guard case .choice(let choices) = option.kind, seen.insert(option.name).inserted else { continue }
            let short = option.short.map { "|-\($0)" } ?? ""
            lines.append("        --\(option.name)\(short)) words=\"\(choices.joined(separator: " "))\" ;;")
        }
        if places.contains(where: { $0.options.contains { $0.name == "file" } }) {
            lines.append(
                "        --file) COMPREPLY=($(compgen -f -- \"${COMP_WORDS[COMP_CWORD]}\")); return ;;")
        }
        lines += [
            "    esac", "    COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))", "}",
            "complete -F _\(name) \(name)", "",
        ]
        return lines.joined(separator: "\n")
    }

    private var fish: String {
        var lines = ["complete -c \(name) -f"]
        for place in places {
            let seen = place.path.map { "__fish_seen_subcommand_from \($0)" }
            let children = place.command.subcommands.map(\.name)
            var condition = seen
            if !children.isEmpty {
                condition.append("not __fish_seen_subcommand_from \(children.joined(separator: " "))")
            }
            let prefix = "complete -c \(name) -n '\(condition.joined(separator: "; and "))'"
            for child in place.command.subcommands {
                lines.append("\(prefix) -a \(child.name) -d '\(quoted(child.summary))'")
            }
            if !children.isEmpty { continue }
            for option in place.options {
                var line = "\(prefix) -l \(option.name) -d '\(quoted(option.summary))'"
                if let short = option.short { line += " -s \(short)" }
                if case .choice(let words) = option.kind {
                    line += " -x -a '\(words.joined(separator: " "))'"
                }
                if option.kind != .flag && option.name == "file" { line += " -r -F" }
                lines.append(line)
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func quoted(_ text: String) -> String {
        text.reduce(into: "") { result, letter in
            if letter == "'" || letter == "\\" { result.append("\\") }
            result.append(letter)
        }
    }
}
