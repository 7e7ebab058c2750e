internal import Base

/// The tables of docs/configuration.md, out of the table of settings.
///
/// The page keeps its own words: what is written here goes between a line `<!-- table: NAME -->` and the next
/// line `<!-- end -->`.
public enum SettingsPage {
    /// A default that is not Kafka's.
    public struct Difference: Sendable {
        public let name: String
        /// Kafka's default, as Kafka writes it.
        public let kafka: String
        public let reason: String
    }

    /// Where a default is not that of Kafka 4.1, and why.
    public static let differences: [Difference] = [
        Difference(name: "process.roles", kafka: "", reason: "a node without settings is a whole cluster"),
        Difference(name: "node.id", kafka: "-1", reason: "a node without settings works"),
        Difference(name: "broker.id", kafka: "-1", reason: "not set"),
        Difference(name: "log.dir", kafka: "/tmp/kafka-logs", reason: "/tmp is emptied by many systems"),
        Difference(name: "retention.ms", kafka: "604800000", reason: "two weeks survive a holiday"),
        Difference(name: "log.retention.hours", kafka: "168", reason: "two weeks survive a holiday"),
        Difference(
            name: "min.insync.replicas", kafka: "1",
            reason: "acknowledged records are on two machines, where there are two"),
        Difference(
            name: "default.replication.factor", kafka: "1",
            reason: "topics are replicated where they can"
                + " be"),
        Difference(
            name: "offsets.topic.replication.factor", kafka: "3",
            reason: "a cluster of fewer than three brokers works"),
        Difference(
            name: "transaction.state.log.replication.factor", kafka: "3",
            reason: "a cluster of fewer than three brokers works"),
        Difference(
            name: "transaction.state.log.min.isr", kafka: "2",
            reason: "a cluster of fewer than three brokers works"),
        Difference(
            name: "replica.lag.time.max.ms", kafka: "30000",
            reason: "a follower that hangs holds producers up for ten seconds, not for thirty"),
        Difference(
            name: "socket.send.buffer.bytes", kafka: "102400",
            reason: "records go out with fewer system calls"),
        Difference(
            name: "socket.receive.buffer.bytes", kafka: "102400",
            reason: "the kernel fits them to the connection"),
        Difference(
            name: "group.coordinator.rebalance.protocols", kafka: "classic,consumer,streams",
            reason: "there is no protocol for streams"),
    ]

    /// The names of all tables.
    public static let tables = ["topic", "broker", "differences", "unserved"]

    /// - Parameter table: one of `tables`.
    /// - Returns: Markdown with a line end after every line.
    public static func text(of table: String) -> String {
        switch table {
        case "topic": topicTable()
        case "broker": BrokerSettings.families.map(familyText).joined(separator: "\n")
        case "differences": differencesTable()
        case "unserved": unservedTable()
        default: invariantFailed("there is no table \(table)")
        }
    }

    /// The page with its tables as they are now.
    public static func updated(_ page: String) -> String {
        var result: [Substring] = []
        var isOld = false
        for line in page.split(separator: "\n", omittingEmptySubsequences: false) {
            if line == "<!-- end -->" { isOld = false }
            if !isOld { result.append(line) }
            for table in tables where line == "<!-- table: \(table) -->" {
                isOld = true
                let text = text(of: table)
                result += [""] + text.split(separator: "\n", omittingEmptySubsequences: false)
            }
        }
        return result.joined(separator: "\n")
    }

    private static func topicTable() -> String {
        var text =
            "| key | default | values | for all topics of a broker | meaning |\n| --- | --- | --- | --- |"
            + " --- |\n"
        for setting in TopicSettings.all {
            let keys = setting.synonyms.map { "`\($0.name)`" }.joined(separator: ", ")
            text += row([key(setting), shown(setting), values(setting), keys, setting.meaning])
        }
        return text
    }

    private static func familyText(_ family: SettingFamily) -> String {
        var text = "### \(family.title)\n\n"
        if !family.introduction.isEmpty { text += family.introduction.replacing("\n", with: " ") + "\n\n" }
        text += "| key | default | values | change | meaning |\n| --- | --- | --- | --- | --- |\n"
        for setting in family.settings {
            let mode = setting.updateMode?.rawValue ?? ""
            text += row([key(setting), shown(setting), values(setting), mode, setting.meaning])
        }
        return text
    }

    private static func differencesTable() -> String {
        var text = "| key | dmq | Kafka | because |\n| --- | --- | --- | --- |\n"
        for difference in differences {
            let setting =
                SettingTable.descriptor(difference.name, .topic)
                ?? SettingTable.descriptor(difference.name, .broker)
            guard let setting else { invariantFailed("there is no setting \(difference.name)") }
            let kafka = setting.readable(difference.kafka) ?? difference.kafka
            text += row([key(setting), shown(setting), kafka, difference.reason])
        }
        return text
    }

    private static func unservedTable() -> String {
        var text = "| key | of | what happens | because |\n| --- | --- | --- | --- |\n"
        for entry in UnservedKey.all {
            let treatment =
                switch entry.treatment {
                case .ignored: "ignored"
                case .refused: "error"
                case .refusedUnless([""]): "error, unless it is empty"
                case .refusedUnless(let values): "error, unless it is \(values.joined(separator: " or "))"
                }
            text += row([
                "`\(entry.name)\(entry.isPrefix ? "*" : "")`", entry.scope.name, treatment, entry.reason,
            ])
        }
        return text
    }

    private static func key(_ setting: SettingDescriptor) -> String { "`\(setting.name)`" }

    private static func shown(_ setting: SettingDescriptor) -> String {
        guard let text = setting.defaultText else { return "" }
        return setting.readable(text) ?? text
    }

    /// The type or the words, the unit, the bounds.
    private static func values(_ setting: SettingDescriptor) -> String {
        let isPlain = setting.type == .string && setting.form == "text"
        var text = setting.type == .string && !isPlain ? setting.form : setting.type.name
        if setting.unit != .none { text += ", \(setting.unit.rawValue)" }
        if let bounds = setting.bounds.text { text += ", \(bounds)" }
        return text
    }

    private static func row(_ cells: [String]) -> String {
        "|" + cells.map { $0.isEmpty ? " |" : " \($0.replacing("|", with: "\\|")) |" }.joined() + "\n"
    }
}
