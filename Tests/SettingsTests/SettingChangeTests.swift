import Base
import Testing

@testable import Settings

@Suite("changes of settings")
struct SettingChangeTests {
    private func apply(
        _ changes: [SettingChange], _ own: [String: String] = [:], broker: SettingValues = SettingValues()
    ) throws -> [String: String] {
        try SettingChanges.apply(changes, toTopic: own, broker: broker).values
    }

    @Test("set, delete, append and subtract do what Kafka's do")
    func operations() throws {
        #expect(try apply([SettingChange("retention.ms", .set, "5")]) == ["retention.ms": "5"])
        #expect(try apply([SettingChange("retention.ms", .delete, nil)], ["retention.ms": "5"]) == [:])
        #expect(try apply([SettingChange("retention.ms", .delete, nil)]) == [:])
        let policy = "cleanup.policy"
        #expect(try apply([SettingChange(policy, .append, "compact")]) == [policy: "delete,compact"])
        #expect(
            try apply([SettingChange(policy, .append, "compact")], [policy: "compact"]) == [policy: "compact"]
        )
        #expect(
            try apply([SettingChange(policy, .subtract, "delete, x")], [policy: "delete,compact"])
                == [policy: "compact"])
        #expect(try apply([SettingChange(policy, .subtract, "delete")]) == [policy: ""])
        let broker = try startingValues("log.cleanup.policy=compact")
        #expect(
            try apply([SettingChange(policy, .append, "delete")], broker: broker) == [
                policy: "compact,delete"
            ])
    }

    @Test("a change that is refused leaves nothing changed and says why")
    func refused() throws {
        func error(_ changes: [SettingChange], _ own: [String: String] = [:]) throws -> SettingError {
            try #require(#expect(throws: SettingError.self) { _ = try apply(changes, own) })
        }
        #expect(try error([SettingChange("retention.ms", .append, "5")]) == .notAList(name: "retention.ms"))
        #expect(try error([SettingChange("retention.ms", .set, nil)]) == .missingValue(name: "retention.ms"))
        #expect(
            try error([SettingChange("retention.ms", .set, "1"), SettingChange("retention.ms", .delete, nil)])
                == .givenTwice(name: "retention.ms"))
        #expect(
            try error([SettingChange("retention.m", .delete, nil)])
                == .unknown(name: "retention.m", scope: .topic))
        #expect(
            try error([SettingChange("cleanup.policy", .append, "keep")]).description.contains("delete,keep"))
        #expect(
            try error([SettingChange("min.compaction.lag.ms", .set, "9")], ["max.compaction.lag.ms": "8"])
                .description.contains("min.compaction.lag.ms (9) is above max.compaction.lag.ms (8)"))
        #expect(
            try error([SettingChange("remote.storage.enable", .set, "true")]).description
                == "remote.storage.enable is not served: there is no tiered storage; remove the key")
    }

    @Test("what is stored and not known any more may go")
    func deletesUnknown() throws {
        #expect(try apply([SettingChange("later.key", .delete, nil)], ["later.key": "1"]) == [:])
    }

    @Test("keys that do nothing are taken and not stored")
    func ignored() throws {
        let result = try SettingChanges.apply(
            [
                SettingChange("message.format.version", .set, "2.8"),
                SettingChange("remote.storage.enable", .set, "false"),
            ],
            toTopic: [:], broker: SettingValues())
        #expect(result.values.isEmpty && result.warnings.count == 2)
        let created = try TopicSettingValues.check(
            [("segment.bytes", "100"), ("message.downconversion.enable", "true")], broker: SettingValues())
        #expect(created.values == ["segment.bytes": "100"] && created.warnings.count == 1)
        #expect(throws: SettingError.missingValue(name: "segment.bytes")) {
            _ = try TopicSettingValues.check([("segment.bytes", nil)], broker: SettingValues())
        }
    }

    @Test("a broker's settings change only as far as they may")
    func brokers() throws {
        func apply(
            _ name: String, _ value: String, _ target: SettingChanges.BrokerTarget
        ) throws -> [String: String] {
            try SettingChanges.apply(
                [SettingChange(name, .set, value)], toBroker: [:], target, values: SettingValues()
            ).values
        }
        #expect(try apply("log.cleaner.threads", "2", .allBrokers) == ["log.cleaner.threads": "2"])
        #expect(try apply("log.cleaner.threads", "2", .thisBroker) == ["log.cleaner.threads": "2"])
        #expect(throws: SettingError.readOnly(name: "node.id")) { _ = try apply("node.id", "2", .thisBroker) }
        #expect(throws: SettingError.self) {
            _ = try apply("log.cleaner.max.compaction.lag.ms", "0", .allBrokers)
        }
        let values = SettingValues().replacing(.allBrokers, with: ["log.cleaner.min.compaction.lag.ms": "7"])
            .values
        #expect(throws: SettingError.self) {
            _ = try SettingChanges.apply(
                [SettingChange("log.cleaner.max.compaction.lag.ms", .set, "6")], toBroker: [:], .thisBroker,
                values: values)
        }
        #expect(
            try SettingChanges.replace(brokerBy: [("max.connections", "5")], .thisBroker, values: values)
                .values
                == ["max.connections": "5"])
    }

    @Test("random changes come out as in a slow model")
    func model() throws {
        var generator = SeededGenerator(seed: 11)
        let words = ["compact", "delete"]
        var own: [String: String] = [:]
        for _ in 0..<2000 {
            let word = words[Int.random(in: 0..<2, using: &generator)]
            let operation = SettingChange.Operation.allCases[Int.random(in: 0..<4, using: &generator)]
            let before = own["cleanup.policy"]?.split(separator: ",").map(String.init) ?? ["delete"]
            let expected: [String]? =
                switch operation {
                case .set: [word]
                case .delete: nil
                case .append: before.contains(word) ? before : before + [word]
                case .subtract: before.filter { $0 != word }
                }
            own = try apply([SettingChange("cleanup.policy", operation, word)], own)
            #expect(own["cleanup.policy"] == expected?.joined(separator: ","))
        }
    }
}
