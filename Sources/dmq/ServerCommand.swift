import Base
import Broker
import Settings
import SystemIO

/// `dmq server`: a broker, until it is told to stop.
enum ServerCommand {
    static let name = "server"
    static let command = Subcommand(description: description) { run($0) }

    private static let description = CommandDescription(
        name: name, summary: "Runs a broker.",
        options: [
            CommandOption(
                "config", .text, placeholder: "FILE", summary: "settings, as in Kafka's server.properties"),
            CommandOption(
                "set", .text, placeholder: "KEY=VALUE", repeats: true,
                summary: "a setting; goes before the file's"),
            CommandOption(
                "data-dir", .text, placeholder: "PATH", summary: "where the data lie (log.dirs; ./dmq-data)"),
            CommandOption(
                "listen", .text, placeholder: "HOST:PORT", repeats: true,
                summary: "where clients connect (listeners; all addresses, port 9092)"),
        ],
        examples: [
            CommandExample("dmq server", "on port 9092, with its data in ./dmq-data"),
            CommandExample(
                "dmq server --listen 127.0.0.1:19092 --data-dir /tmp/dmq", "for this machine only"),
            CommandExample(
                "dmq server --config server.properties --set log.retention.ms=7d",
                "as the file says, but one thing"
            ),
        ],
        notes: [
            "SIGTERM, SIGINT (Ctrl-C) and SIGHUP end it in order: requests in flight are answered, logs "
                + "closed."
        ])

    private static func run(_ command: ParsedCommand) -> Int32 {
        let settings: SettingValues
        let warnings: [SettingWarning]
        do {
            (settings, warnings) = try self.settings(command)
        } catch {
            Program.complain("\(error)")
            return CommandLineError.exitStatus
        }
        let logger = Logger(
            component: "dmq", minimumLevel: settings[BrokerSettings.logLevel].level,
            sink: StandardErrorLog(format: settings[BrokerSettings.logFormat] == .json ? .json : .text))
        for warning in warnings { logger.log(.warn, "setting ignored", [LogField("reason", warning)]) }
        do {
            try OpenFileLimit.raise()
        } catch {
            logger.log(.warn, "limit of open files not raised", [LogField("reason", error)])
        }
        return serve(settings, logger)
    }

    private static func serve(_ settings: SettingValues, _ logger: Logger) -> Int32 {
        let stopSignals: StopSignalReader
        do {
            stopSignals = try StopSignals.catchAll()
        } catch {
            Program.complain("\(error)")
            return 1
        }
        let here = Machine.currentDirectory ?? "/"
        let configuration: BrokerConfiguration
        do {
            configuration = try BrokerConfiguration(
                settings, directoryPaths: settings.logDirectoryPaths.map { absolute($0, from: here) },
                coreCount: Machine.coreCount)
        } catch {
            Program.complain("\(error)")
            return CommandLineError.exitStatus
        }
        let node: BrokerNode
        do throws(BrokerStartError) {
            node = try BrokerNode(
                configuration, fileSystem: PosixFileSystem(), timeSource: SystemClock(), logger: logger)
            try node.start()
        } catch {
            Program.complain("\(error)")
            return 1
        }
        _ = try? StandardStream.output.write(ServerBanner.text(node))
        let signal = stopSignals.wait()
        logger.log(.info, "stopping", [LogField("signal", signal)])
        node.stop()
        logger.log(.info, "stopped")
        return 0
    }

    // MARK: Settings

    /// A file that cannot be read, or an option that is none.
    private struct UsageError: Error, CustomStringConvertible {
        let description: String
    }

    private static func settings(_ command: ParsedCommand) throws -> (SettingValues, [SettingWarning]) {
        var pairs: [(key: String, value: String)] = []
        for text in command.texts("set") {
            guard let equals = text.firstIndex(of: "=") else {
                throw UsageError(description: "--set needs KEY=VALUE, not \"\(text)\"")
            }
            pairs.append((String(text[..<equals]), String(text[text.index(after: equals)...])))
        }
        if let path = command.textIfGiven("data-dir") {
            pairs.append((BrokerSettings.logDirectories.name, path))
        }
        pairs += try listeners(command.texts("listen"))
        let file = try command.textIfGiven("config").map(read)
        let (values, warnings) = try SettingValues.starting(file: file, commandLine: pairs)
        return (values, warnings)
    }

    /// The first is called PLAINTEXT, the others PLAINTEXT2 and so on.
    private static func listeners(_ texts: [String]) throws -> [(key: String, value: String)] {
        if texts.isEmpty { return [] }
        let listeners = try texts.enumerated().map { number, text in
            guard let address = HostAndPort(text) ?? HostAndPort(":\(text)") else {
                throw UsageError(description: "--listen needs HOST:PORT or PORT, not \"\(text)\"")
            }
            return (name: number == 0 ? "PLAINTEXT" : "PLAINTEXT\(number + 1)", address: address)
        }
        let addresses = listeners.map { "\($0.name)://\($0.address)" }.joined(separator: ",")
        let protocols = listeners.map { "\($0.name):PLAINTEXT" }.joined(separator: ",")
        return [
            (BrokerSettings.listeners.name, addresses),
            (BrokerSettings.securityProtocolMap.name, protocols),
        ]
    }

    private static func read(_ path: String) throws -> [UInt8] {
        let file = try PosixFileSystem().open(path, .read)
        let byteCount = Int(try file.byteCount())
        guard byteCount <= SettingValues.maximumFileByteCount else {
            throw UsageError(description: "\(path) has \(byteCount) bytes; that is no file of settings")
        }
        let buffer = IOBuffer(byteCount: max(byteCount, 1))
        let count = try file.read(into: buffer, 0..<byteCount, at: 0)
        let bytes = buffer.bytes
        return (0..<count).map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
    }

    /// A path from where the program was started, without `.` and `..` at its beginning.
    static func absolute(_ path: String, from directory: String) -> String {
        if path.hasPrefix("/") { return path }
        var rest = path[...]
        var base = directory
        while true {
            if rest.hasPrefix("./") {
                rest = rest.dropFirst(2)
            } else if rest.hasPrefix("../") {
                rest = rest.dropFirst(3)
                base = base.lastIndex(of: "/").map { String(base[..<$0]) } ?? base
            } else {
                break
            }
        }
        return rest == "." || rest.isEmpty ? base : "\(base == "/" ? "" : base)/\(rest)"
    }
}
