import Base
import DMQClient
import RecordFormat
import SystemIO

/// What `dmq group describe` prints.
struct GroupReport {
    /// How far a group has come in one partition, and how far it has to go.
    struct Line {
        let partition: TopicPartition
        let committed: Offset?
        let end: Offset?
        let metadata: String
        let member: GroupDescription.Member?
        /// The time of the first record that is not done; nil where all are.
        var oldest: Timestamp?

        var lag: Int64? {
            guard let committed, let end else { return nil }
            return max(0, end - committed)
        }
    }

    private let command: ParsedCommand
    private let client: Client
    private let output: Output

    init(_ command: ParsedCommand, _ client: Client, _ output: Output) {
        self.command = command
        self.client = client
        self.output = output
    }

    /// - Returns: whether there are all the groups.
    func run() async throws -> Bool {
        let admin = Admin(client)
        var isClean = true
        for id in command.arguments {
            let group = try await admin.describeGroup(id)
            if group.state == "Dead" {
                Program.complain("there is no group \(id); dmq group list shows those that there are")
                isClean = false
                continue
            }
            let lines = command.flag("members") ? [] : try await lines(group, admin)
            let now = Timestamp(SystemClock().wallClockMilliseconds())
            if command.flag("json") {
                try json(group, lines, now)
            } else {
                try text(group, lines, now)
            }
        }
        return isClean
    }

    private func lines(_ group: GroupDescription, _ admin: Admin) async throws -> [Line] {
        let stored = try await admin.groupOffsets(of: group.id)
        var readers: [TopicPartition: GroupDescription.Member] = [:]
        for member in group.members {
            for partition in member.partitions ?? [] { readers[partition] = member }
        }
        let all = Set(stored.keys).union(readers.keys).inOrder()
        // Topics that are gone have no ends, and their offsets stay for a while.
        let known = try await admin.describeTopics(Set(all.map(\.topic)).sorted())
        let living = all.filter { if case .success = known[$0.topic] { true } else { false } }
        let ends = living.isEmpty ? [:] : try await client.offsets(living, .latest)
        let lines = all.map { partition in
            Line(
                partition: partition, committed: stored[partition]?.offset, end: ends[partition]?.offset,
                metadata: stored[partition]?.metadata ?? "", member: readers[partition], oldest: nil)
        }
        return try await timed(lines)
    }

    /// How long is waited for the records that tell the lag in time.
    private static let recordNanoseconds: UInt64 = 3_000_000_000

    /// Reads the first record that is not done, of each partition that has one.
    private func timed(_ lines: [Line]) async throws -> [Line] {
        var result = lines
        var places: [TopicPartition: Int] = [:]
        var starts: [TopicPartition: StartPosition] = [:]
        for (place, line) in lines.enumerated() {
            guard let committed = line.committed, let lag = line.lag, lag > 0 else { continue }
            places[line.partition] = place
            starts[line.partition] = .offset(committed)
        }
        if starts.isEmpty { return result }
        var configuration = ConsumerConfiguration()
        configuration.partitionByteCount = 1
        configuration.resetPosition = .earliest
        let consumer = try Consumer(client, configuration)
        consumer.assign(starts)
        let clock = SystemClock()
        let deadline = clock.monotonicNanoseconds() + Self.recordNanoseconds
        while !places.isEmpty && clock.monotonicNanoseconds() < deadline {
            let records = try await consumer.poll(milliseconds: 200)
            guard let first = records.first, let place = places.removeValue(forKey: first.partition) else {
                continue
            }
            result[place].oldest = first.timestamp
        }
        consumer.close()
        return result
    }

    // MARK: JSON

    private func json(_ group: GroupDescription, _ lines: [Line], _ now: Timestamp) throws {
        try output.json { json in
            json.field("group", group.id)
            json.field("state", group.state)
            json.field("protocolType", group.protocolType)
            json.field("assignor", group.assignor)
            json.field("coordinator", group.coordinator)
            if let epochs = group.epochs {
                json.field("epoch", epochs.group)
                json.field("assignmentEpoch", epochs.assignment)
            }
            json.array("members") { json in
                for member in group.members {
                    json.object { json in
                        json.field("member", member.id)
                        json.field("instance", member.instanceID)
                        json.field("client", member.clientID)
                        json.field("host", member.host)
                        json.array("partitions") { json in
                            for partition in member.partitions ?? [] { json.value("\(partition)") }
                        }
                        guard let epoch = member.epoch else { return }
                        json.field("epoch", epoch)
                        json.array("target") { json in
                            for partition in member.target ?? [] { json.value("\(partition)") }
                        }
                    }
                }
            }
            if command.flag("members") { return }
            json.array("offsets") { json in
                for line in lines {
                    json.object { json in
                        json.field("topic", line.partition.topic)
                        json.field("partition", line.partition.partition)
                        json.field("committed", line.committed?.rawValue)
                        json.field("end", line.end?.rawValue)
                        json.field("lag", line.lag)
                        json.field("lagMilliseconds", Self.age(line, now))
                        json.field("metadata", line.metadata)
                        json.field("member", line.member?.id)
                    }
                }
            }
        }
    }

    /// How long the first record that is not done has waited; nil where that is not known.
    private static func age(_ line: Line, _ now: Timestamp) -> Int64? {
        if line.lag == 0 { return 0 }
        guard let oldest = line.oldest, oldest.rawValue >= 0 else { return nil }
        return max(0, now.rawValue - oldest.rawValue)
    }

    // MARK: Text

    private func text(_ group: GroupDescription, _ lines: [Line], _ now: Timestamp) throws {
        let count = TopicCommand.count(group.members.count, "member")
        let assignor = group.assignor.isEmpty ? "" : "  assignor \(group.assignor)"
        let epochs = group.epochs.map { "  epoch \($0.group), assigned \($0.assignment)" } ?? ""
        let kept = "coordinator \(group.coordinator)"
        try output.line("group \(group.id)  \(group.state)  \(count)\(assignor)\(epochs)  \(kept)")
        if command.flag("members") { return try members(group) }
        if lines.isEmpty { return }
        var table = TextTable(
            columns: [
                ("partition", .left), ("committed", .right), ("end", .right), ("lag", .right),
                ("behind", .right),
                ("client", .left), ("host", .left), ("member", .left),
            ])
        for line in lines {
            table.append([
                "\(line.partition)", line.committed.map { "\($0)" } ?? "-", line.end.map { "\($0)" } ?? "-",
                line.lag.map { "\($0)" } ?? "-",
                Self.behind(line, now),
                line.member?.clientID ?? "-", line.member?.host ?? "-", line.member?.id ?? "-",
            ])
        }
        try output.write(Array(table.shown.utf8))
    }

    private static func behind(_ line: Line, _ now: Timestamp) -> String {
        guard let milliseconds = age(line, now) else { return "-" }
        if milliseconds == 0 { return "0 s" }
        return DurationText.format(nanoseconds: UInt64(milliseconds) * 1_000_000)
    }

    private func members(_ group: GroupDescription) throws {
        if group.members.isEmpty { return }
        let hasEpochs = group.epochs != nil
        var table = TextTable(
            columns: [
                ("member", .left), ("instance", .left), ("client", .left), ("host", .left),
            ] + (hasEpochs ? [("epoch", .right)] : []) + [("partitions", .left)]
                + (hasEpochs ? [("target", .left)] : []))
        func list(_ partitions: [TopicPartition]?) -> String {
            (partitions ?? []).map { "\($0)" }.joined(separator: " ")
        }
        for member in group.members.sorted(by: { $0.id < $1.id }) {
            let who = [member.id, member.instanceID ?? "-", member.clientID, member.host]
            let epoch = hasEpochs ? [member.epoch.map { "\($0)" } ?? "-"] : []
            table.append(
                who + epoch + [list(member.partitions)] + (hasEpochs ? [list(member.target)] : []))
        }
        try output.write(Array(table.shown.utf8))
    }
}
