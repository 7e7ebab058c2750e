import Base
import DMQClient
import SystemIO

/// `dmq log-dirs`: where brokers keep their logs, and how much there is.
enum LogDirectoriesCommand {
    static let command = Subcommand(description: description) { command in
        try await ClientOptions.withClient(command) { client in
            let broker = command.integerIfGiven("broker").map { Int32(clamping: $0) }
            let directories = try await Admin(client).describeLogDirectories(broker: broker)
            let output = Output()
            for directory in directories {
                if command.flag("json") {
                    try json(directory, output)
                } else {
                    try text(directory, isDetailed: command.flag("partitions"), output)
                }
            }
            try output.flush()
            return directories.allSatisfy { $0.fault == nil } ? 0 : 1
        }
    }

    private static let description = CommandDescription(
        name: "log-dirs", summary: "Shows the log directories of brokers.",
        options: ClientOptions.all + [
            ClientOptions.json,
            CommandOption(
                "broker", .integer(0...Int(Int32.max)), placeholder: "ID", summary: "of this broker only"),
            CommandOption(
                "partitions", short: "p", .flag, summary: "what lies in them, partition by partition"),
        ], examples: [CommandExample("dmq log-dirs --partitions", "every partition with its size")])

    private static func json(_ directory: LogDirectoryDescription, _ output: Output) throws {
        try output.json { json in
            json.field("broker", directory.broker)
            json.field("path", directory.path)
            json.field("error", directory.fault)
            json.field("totalByteCount", directory.totalByteCount)
            json.field("usableByteCount", directory.usableByteCount)
            json.array("partitions") { json in
                for replica in directory.replicas {
                    json.object { json in
                        json.field("topic", replica.partition.topic)
                        json.field("partition", replica.partition.partition)
                        json.field("byteCount", replica.byteCount)
                        json.field("offsetLag", replica.offsetLag)
                        json.field("future", replica.isFuture)
                    }
                }
            }
        }
    }

    private static func text(
        _ directory: LogDirectoryDescription, isDetailed: Bool, _ output: Output
    ) throws {
        let total = directory.replicas.reduce(0) { $0 + $1.byteCount }
        var line = "broker \(directory.broker)  \(directory.path)  "
        if let fault = directory.fault {
            line += "out of use: \(fault)"
        } else {
            line +=
                "\(ByteCountText.format(total)), \(TopicCommand.count(directory.replicas.count, "partition"))"
            if let usable = directory.usableByteCount { line += ", \(ByteCountText.format(usable)) free" }
        }
        try output.line(line)
        if !isDetailed { return }
        var table = TextTable(columns: [("partition", .left), ("size", .right), ("lag", .right), ("", .left)])
        for replica in directory.replicas {
            table.append([
                "\(replica.partition)", ByteCountText.format(replica.byteCount), "\(replica.offsetLag)",
                replica.isFuture ? "being moved here" : "",
            ])
        }
        try output.write(Array(table.shown.utf8))
    }
}
