import Base
import DMQClient
import RecordFormat
import SystemIO

/// `dmq transactions`: shows transactions, finds those that hang, and ends them.
enum TransactionsCommand {
    static let command = Subcommand(description: description) { command in
        try await ClientOptions.withClient(command) { client in
            let output = Output()
            let isClean: Bool
            switch command.path.last {
            case "list": isClean = try await list(command, Admin(client), output)
            case "describe": isClean = try await describe(command, Admin(client), output)
            case "find-hanging": isClean = try await HangingTransactions(command, client, output).run()
            default: isClean = try await abort(command, Admin(client), output)
            }
            try output.flush()
            return isClean ? 0 : 1
        }
    }

    private static let description = CommandDescription(
        name: "transactions", summary: "Shows transactions, finds those that hang, and ends them.",
        options: ClientOptions.all + [ClientOptions.json],
        subcommands: [
            CommandDescription(
                name: "list", summary: "Lists transactional IDs.",
                options: [
                    CommandOption(
                        "state", .text, placeholder: "STATE", repeats: true,
                        summary: "only those in this state: Ongoing, PrepareCommit, CompleteAbort, ..."),
                    CommandOption(
                        "producer-id", .integer(0...Int.max), placeholder: "ID", repeats: true,
                        summary: "only those of this producer"),
                ]),
            CommandDescription(
                name: "describe", summary: "Shows transactional IDs with their transactions.",
                arguments: CommandArguments("ID", count: 1...1000, "transactional IDs"),
                examples: [CommandExample("dmq transactions describe orders-1", "state and partitions")]),
            CommandDescription(
                name: "find-hanging",
                summary: "Finds transactions that are open on a partition and that no coordinator knows.",
                options: [
                    CommandOption(
                        "topic", short: "t", .text, placeholder: "TOPIC[:PARTITION,...]", repeats: true,
                        summary: "on this topic only, or on these partitions of it"),
                    CommandOption(
                        "open-for", .duration, default: "15m",
                        summary: "nothing written for at least so long"),
                ],
                notes: ["Readers of committed records wait in front of such a transaction for ever."]),
            CommandDescription(
                name: "abort", summary: "Ends a transaction on one partition, as aborted.",
                options: [
                    CommandOption(
                        "topic", short: "t", .text, placeholder: "TOPIC:PARTITION", isRequired: true,
                        summary: "the partition that it is open on"),
                    CommandOption(
                        "start-offset", .integer(0...Int.max), placeholder: "OFFSET",
                        summary: "where the transaction begins; its producer is found by that"),
                    CommandOption(
                        "producer-id", .integer(0...Int.max), placeholder: "ID", summary: "its producer"),
                    CommandOption(
                        "producer-epoch", .integer(0...Int(Int16.max)), placeholder: "EPOCH",
                        summary: "and that one's epoch"),
                    CommandOption(
                        "coordinator-epoch", .integer(0...Int(Int32.max)), placeholder: "EPOCH",
                        default: "0", summary: "of the coordinator, where the producer is given"),
                ],
                examples: [
                    CommandExample(
                        "dmq transactions abort -t events:3 --start-offset 1000",
                        "the one that find-hanging has shown")
                ],
                notes: [
                    "Only for transactions that find-hanging shows: any other is its coordinator's to end."
                ]),
        ])

    // MARK: list

    private static func list(
        _ command: ParsedCommand, _ admin: Admin, _ output: Output
    ) async throws -> Bool {
        let found = try await admin.listTransactions(
            states: command.texts("state"),
            producerIDs: command.texts("producer-id").compactMap { Int64($0).map { ProducerID($0) } })
        try output.list(
            found, asJSON: command.flag("json"),
            [
                .text("transactional id", "transactionalId") { $0.id }, .text("state", "state") { $0.state },
                .number("producer", "producerId") { $0.producerID.rawValue },
                .number("coordinator", "coordinator") { $0.coordinator },
            ])
        return true
    }

    // MARK: describe

    private static func describe(
        _ command: ParsedCommand, _ admin: Admin, _ output: Output
    ) async throws -> Bool {
        var isClean = true
        for id in command.arguments {
            let found: TransactionDescription
            do throws(ClientError) {
                found = try await admin.describeTransaction(id)
            } catch {
                Program.complain("\(error)")
                isClean = false
                continue
            }
            if command.flag("json") {
                try output.json { json in
                    json.field("transactionalId", found.id)
                    json.field("state", found.state)
                    json.field("producerId", found.producerID.rawValue)
                    json.field("producerEpoch", found.producerEpoch.rawValue)
                    json.field("timeoutMilliseconds", found.timeoutMilliseconds)
                    json.field("startTimestamp", found.startTimestamp)
                    json.field("coordinator", found.coordinator)
                    json.array("partitions") { json in
                        for partition in found.partitions { json.value("\(partition)") }
                    }
                }
                continue
            }
            let since = found.startTimestamp.flatMap(CalendarTime.text(ofMilliseconds:))
            try output.line(
                "\(found.id)  \(found.state)  producer \(found.producerID) epoch \(found.producerEpoch)"
                    + "  time-out \(found.timeoutMilliseconds) ms"
                    + (since.map { "  since \($0)" } ?? "") + "  coordinator \(found.coordinator)")
            for partition in found.partitions { try output.line("  \(partition)") }
        }
        return isClean
    }

    // MARK: abort

    private static func abort(
        _ command: ParsedCommand, _ admin: Admin, _ output: Output
    ) async throws -> Bool {
        let partition = try partition(command.text("topic"))
        let producer: ProducerID
        let epoch: ProducerEpoch
        let coordinatorEpoch: Int32
        if let start = command.integerIfGiven("start-offset") {
            let open = try await admin.describeProducers(of: partition)
                .first { $0.transactionStart == Offset(Int64(start)) }
            guard let open else {
                throw CommandFailure("no transaction begins at offset \(start) of \(partition)")
            }
            producer = open.producerID
            epoch = open.producerEpoch
            coordinatorEpoch = open.coordinatorEpoch ?? 0
        } else if let id = command.integerIfGiven("producer-id"),
            let number = command.integerIfGiven("producer-epoch")
        {
            producer = ProducerID(Int64(id))
            epoch = ProducerEpoch(Int16(clamping: number))
            coordinatorEpoch = Int32(clamping: command.integer("coordinator-epoch"))
        } else {
            throw CommandLineError.badValue(
                option: "--start-offset", value: "",
                reason: "say where the transaction begins, or --producer-id and --producer-epoch")
        }
        try await admin.abortTransaction(
            of: producer, epoch: epoch, coordinatorEpoch: coordinatorEpoch, on: partition)
        if command.flag("json") {
            try output.json { json in
                json.field("topic", partition.topic)
                json.field("partition", partition.partition)
                json.field("producerId", producer.rawValue)
                json.field("producerEpoch", epoch.rawValue)
                json.field("aborted", true)
            }
        } else {
            try output.line("transaction of producer \(producer) epoch \(epoch) on \(partition) aborted")
        }
        return true
    }

    private static func partition(_ text: String) throws(CommandLineError) -> TopicPartition {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let number = Int32(parts[1]), number >= 0 else {
            throw .badValue(option: "--topic", value: text, reason: "use TOPIC:PARTITION")
        }
        return TopicPartition(topic: String(parts[0]), partition: number)
    }
}
