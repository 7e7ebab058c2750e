import Testing

@testable import Settings

@Suite("checks of settings that are to be stored")
struct SettingChecksTests {
    private func error(
        _ entries: [(key: String, value: String?)], broker: SettingValues = SettingValues()
    ) throws -> SettingError {
        try #require(
            #expect(throws: SettingError.self) { _ = try TopicSettingValues.check(entries, broker: broker) })
    }

    @Test("what a topic may not have is refused with what to do")
    func refused() throws {
        #expect(try error([("retention.ms", nil)]) == .missingValue(name: "retention.ms"))
        #expect(
            try error([("retention.ms", "1"), ("retention.ms", "1")]) == .givenTwice(name: "retention.ms"))
        #expect(try error([("retention.m", nil)]) == .unknown(name: "retention.m", scope: .topic))
        #expect(try error([("cleanup.policy", "delete,keep")]).description.contains("delete,keep"))
        let both = "min.compaction.lag.ms (9) is above max.compaction.lag.ms (8)"
        #expect(
            try error([("max.compaction.lag.ms", "8"), ("min.compaction.lag.ms", "9")]).description
                .contains(both))
        let broker = try startingValues("log.cleaner.max.compaction.lag.ms=8")
        #expect(try error([("min.compaction.lag.ms", "9")], broker: broker).description.contains(both))
        #expect(
            try error([("remote.storage.enable", "true")]).description
                == "remote.storage.enable is not served: there is no tiered storage; remove the key")
    }

    @Test("keys that do nothing are taken and not stored")
    func ignored() throws {
        let result = try TopicSettingValues.check(
            [
                ("message.format.version", "2.8"), ("remote.storage.enable", "false"),
                ("segment.bytes", " 100 "),
            ], broker: SettingValues())
        #expect(result.values == ["segment.bytes": "100"] && result.warnings.count == 2)
    }

    @Test("a broker's settings change only as far as they may")
    func brokers() throws {
        func check(
            _ name: String, _ value: String, _ target: BrokerTarget,
            of values: SettingValues = SettingValues()
        ) throws -> [String: String] {
            try values.check(stored: [(name, value)], for: target).values
        }
        #expect(try check("log.cleaner.threads", "2", .allBrokers) == ["log.cleaner.threads": "2"])
        #expect(try check("log.cleaner.threads", "2", .thisBroker) == ["log.cleaner.threads": "2"])
        #expect(throws: SettingError.readOnly(name: "node.id")) { _ = try check("node.id", "2", .thisBroker) }
        #expect(throws: SettingError.self) {
            _ = try check("log.cleaner.max.compaction.lag.ms", "0", .allBrokers)
        }
        let values = SettingValues().replacing(.allBrokers, with: ["log.cleaner.min.compaction.lag.ms": "7"])
            .values
        #expect(throws: SettingError.self) {
            _ = try check("log.cleaner.max.compaction.lag.ms", "6", .thisBroker, of: values)
        }
        #expect(try check("max.connections", "5", .thisBroker, of: values) == ["max.connections": "5"])
    }
}
