import Base
import DMQClient
import RecordFormat
import SystemIO

/// What `dmq transactions find-hanging` prints: transactions that are open on a partition while no
/// coordinator has them open there, so that nobody will end them.
struct HangingTransactions {
    private let command: ParsedCommand
    private let client: Client
    private let output: Output

    init(_ command: ParsedCommand, _ client: Client, _ output: Output) {
        self.command = command
        self.client = client
        self.output = output
    }

    /// - Returns: whether there is none.
    func run() async throws -> Bool {
        let admin = Admin(client)
        let choice = try PartitionChoice(command.texts("topic"))
        let oldest = ClientOptions.milliseconds(command.duration("open-for"))
        let now = SystemClock().wallClockMilliseconds()
        var suspects: [ProducerDescription] = []
        for partition in try await partitions(choice, admin) {
            suspects += try await admin.describeProducers(of: partition).filter {
                $0.transactionStart != nil && now - $0.lastTimestamp >= oldest
            }
        }
        let hanging = try await unknown(suspects, admin)
        for one in hanging { try show(one) }
        return hanging.isEmpty
    }

    private func partitions(_ choice: PartitionChoice, _ admin: Admin) async throws -> [TopicPartition] {
        let names = choice.topics.isEmpty ? nil : choice.topics.keys.sorted()
        var result: [TopicPartition] = []
        for (name, described) in try await admin.describeTopics(names).sorted(by: { $0.key < $1.key }) {
            for partition in try described.get().partitions {
                let one = TopicPartition(topic: name, partition: partition.partition)
                if choice.contains(one) { result.append(one) }
            }
        }
        return result
    }

    /// Those that their coordinators do not have open on the partition.
    private func unknown(
        _ suspects: [ProducerDescription], _ admin: Admin
    ) async throws -> [ProducerDescription] {
        if suspects.isEmpty { return [] }
        let listed = try await admin.listTransactions(producerIDs: suspects.map(\.producerID))
        var known: Set<ProducerDescription> = []
        for transaction in listed {
            let own = suspects.filter { $0.producerID == transaction.producerID }
            if own.isEmpty { continue }
            let described = try await admin.describeTransaction(transaction.id)
            for one in own where described.partitions.contains(one.partition) { known.insert(one) }
        }
        return suspects.filter { !known.contains($0) }
    }

    private func show(_ one: ProducerDescription) throws {
        let start = one.transactionStart?.rawValue ?? 0
        if command.flag("json") {
            return try output.json { json in
                json.field("topic", one.partition.topic)
                json.field("partition", one.partition.partition)
                json.field("producerId", one.producerID.rawValue)
                json.field("producerEpoch", one.producerEpoch.rawValue)
                json.field("coordinatorEpoch", one.coordinatorEpoch)
                json.field("startOffset", start)
                json.field("lastTimestamp", one.lastTimestamp)
            }
        }
        let last = CalendarTime.text(ofMilliseconds: one.lastTimestamp) ?? "\(one.lastTimestamp)"
        try output.line(
            "\(one.partition)  producer \(one.producerID) epoch \(one.producerEpoch)"
                + "  from offset \(start)  last written \(last)")
        try output.line(
            "  to end it: dmq transactions abort -t \(one.partition.topic):\(one.partition.partition)"
                + " --start-offset \(start)")
    }
}
