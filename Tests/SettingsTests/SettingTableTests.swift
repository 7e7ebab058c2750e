import Base
import Foundation
import Testing

@testable import Settings

@Suite("the table of settings")
struct SettingTableTests {
    @Test("every default is Kafka's, or listed as different with a reason")
    func defaults() {
        func compare(_ settings: [SettingDescriptor], _ kafka: [String: String?]) {
            for setting in settings where !setting.name.hasPrefix("dmq.") {
                guard let expected = kafka[setting.name] else {
                    Issue.record("Kafka's default of \(setting.name) is not in the list")
                    continue
                }
                let difference = SettingsPage.differences.first { $0.name == setting.name }
                if isSame(setting, setting.defaultText, expected) {
                    #expect(difference == nil, "\(setting.name) is no different from Kafka's")
                } else {
                    #expect(
                        difference?.kafka == (expected ?? ""),
                        "\(setting.name): \(setting.defaultText ?? "-")")
                }
            }
            for name in kafka.keys where !settings.contains(where: { $0.name == name }) {
                Issue.record("\(name) is not in the table")
            }
        }
        compare(SettingTable.topicSettings, kafkaTopicDefaults)
        compare(SettingTable.brokerSettings, kafkaBrokerDefaults)
        for difference in SettingsPage.differences { #expect(difference.reason.count > 5) }
    }

    private func isSame(_ setting: SettingDescriptor, _ one: String?, _ other: String?) -> Bool {
        if setting.type == .double, let one, let other { return Double(one) == Double(other) }
        return one == other
    }

    @Test("every default is a value of its setting, and is told by a file as it is")
    func defaultsAreValid() throws {
        for setting in SettingTable.brokerSettings + SettingTable.topicSettings {
            guard let text = setting.defaultText else { continue }
            try setting.check(text)
            #expect(try setting.text(fromCommandLine: text) == text)
        }
    }

    @Test("every setting that is declared stands in the table")
    func complete() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../Sources/Settings/Table")
        var declared: [String] = []
        for file in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            let text = try String(contentsOf: folder.appending(path: file), encoding: .utf8)
            declared += text.matches(of: /public static let \w+ = (?:Broker|Topic)Setting<.*>\(\s*"([^"]+)"/)
                .map { String($0.1) }
        }
        let ofTopics = Set(TopicSettings.brokerDefaults.map(\.name))
        let inTable =
            SettingTable.topicSettings + SettingTable.brokerSettings.filter { !ofTopics.contains($0.name) }
        #expect(declared.sorted() == inTable.map(\.name).sorted())
        #expect(declared.count > 120)
    }

    @Test("descriptions are sentences in one voice")
    func meanings() {
        for setting in SettingTable.brokerSettings + SettingTable.topicSettings {
            let meaning = setting.meaning
            #expect(meaning.count > 8 && !meaning.hasSuffix("."), "\(setting.name): \(meaning)")
            #expect(!meaning.contains("  ") && !meaning.contains(" ,"), "\(setting.name): \(meaning)")
        }
        for key in UnservedKey.all {
            #expect(!key.reason.isEmpty && !key.reason.hasSuffix("."), "\(key.name)")
            if !key.isPrefix { #expect(SettingTable.descriptor(key.name, key.scope) == nil, "\(key.name)") }
        }
    }

    @Test("a key with one letter wrong, missing or too many is told the right one")
    func suggestions() throws {
        var generator = SeededGenerator(seed: 7)
        let known = (SettingTable.brokerSettings + SettingTable.topicSettings).filter { $0.name.count > 4 }
        var found = 0
        var tried = 0
        while tried < 100 {
            let setting = known[Int.random(in: 0..<known.count, using: &generator)]
            let wrong = misspelt(setting.name, &generator)
            if SettingTable.descriptor(wrong, setting.scope) != nil { continue }
            tried += 1
            let error = #expect(throws: SettingError.self) {
                _ = try SettingTable.meaning(of: wrong, value: "1", setting.scope)
            }
            // Another setting may be as near; the one that was meant is as good as it.
            let text = try #require(error).description
            if text.contains("did you mean \(setting.name)?") { found += 1 }
        }
        #expect(found >= 97)
    }

    private func misspelt(_ name: String, _ generator: inout SeededGenerator) -> String {
        var letters = Array(name)
        let place = Int.random(in: 0..<letters.count, using: &generator)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: letters[place] = "q"
        case 1: letters.remove(at: place)
        case 2: letters.insert("x", at: place)
        default: letters.swapAt(place, max(0, place - 1))
        }
        return String(letters)
    }

    @Test("a topic's key in a broker's file and a broker's key at a topic are told where they belong")
    func misplaced() {
        #expect(
            SettingTable.unknown("retention.ms", .broker).description
                == "retention.ms is a setting of topics; for all topics of a broker it is log.retention.ms or"
                + " log.retention.minutes or log.retention.hours")
        #expect(
            SettingTable.unknown("log.retention.hours", .topic).description
                == "log.retention.hours is a setting of brokers, not of a topic; for a topic it is"
                + " retention.ms"
        )
        #expect(
            SettingTable.unknown("node.id", .topic).description
                == "node.id is a setting of brokers, not of a topic")
        #expect(
            SettingTable.unknown("zzz", .topic).description
                == "\"zzz\" is no setting of a topic; dmq config list names them all, and comments begin"
                + " with #"
        )
        #expect(SettingTable.nearest(to: String(repeating: "a", count: 100_000), .broker) == nil)
    }

    @Test(
        "values that do not fit are refused with the value and what to write",
        arguments: [
            (
                "segment.bytes", "x",
                "segment.bytes cannot be \"x\": it must be a whole number of bytes, at least 14"
            ),
            ("segment.bytes", "13", "at least 14"),
            ("segment.bytes", "2147483648", "a whole number of bytes"),
            ("segment.bytes", "1GiB", "at least 14; write 1073741824"),
            ("retention.ms", "14d", "a whole number of milliseconds, at least -1; write 1209600000"),
            ("retention.ms", "-2", "at least -1"), ("retention.ms", "", "cannot be \"\""),
            ("compression.type", "brotli", "it must be uncompressed, zstd, lz4, snappy, gzip or producer"),
            ("cleanup.policy", "compact,keep", "words out of compact, delete, with commas between them"),
            ("cleanup.policy", "delete,delete", "each of them once"),
            ("min.cleanable.dirty.ratio", "1.5", "a number, 0.0 ... 1.0"),
            ("min.cleanable.dirty.ratio", "nan", "a number"),
            ("preallocate", "yes", "true or false"), ("compression.gzip.level", "0", "-1 or 1 ... 9"),
            ("follower.replication.throttled.replicas", "1:x", "PARTITION:BROKER, or *"),
        ])
    func refused(name: String, value: String, text: String) throws {
        let setting = try #require(SettingTable.descriptor(name, .topic))
        let error = #expect(throws: SettingError.self) { try setting.check(value) }
        #expect(try #require(error).description.contains(text), "\(error as Any)")
    }

    @Test(
        "values that fit are taken as Kafka takes them",
        arguments: [
            ("segment.bytes", " 14 "), ("segment.bytes", "+20"), ("preallocate", "TRUE"),
            ("cleanup.policy", "compact, delete"), ("cleanup.policy", ""), ("retention.ms", "-1"),
            ("min.cleanable.dirty.ratio", "1"), ("min.cleanable.dirty.ratio", "5e-1"),
            ("leader.replication.throttled.replicas", "*"),
            ("leader.replication.throttled.replicas", "0:1,1:2"),
        ])
    func taken(name: String, value: String) throws {
        try #require(SettingTable.descriptor(name, .topic)).check(value)
    }

    @Test(
        "a command line may give units",
        arguments: [
            ("retention.ms", "14d", "1209600000"), ("retention.ms", "90 s", "90000"),
            ("retention.ms", "7", "7"),
            ("segment.bytes", "64KiB", "65536"), ("segment.bytes", "1mb", "1000000"),
            ("retention.bytes", "-1", "-1"), ("compression.type", " zstd", "zstd"),
        ])
    func units(name: String, input: String, text: String) throws {
        let setting = try #require(SettingTable.descriptor(name, .topic))
        #expect(try setting.text(fromCommandLine: input) == text)
    }

    @Test("units of larger settings come out whole or not at all")
    func wholeUnits() throws {
        let hours = try #require(SettingTable.descriptor("log.retention.hours", .broker))
        #expect(try hours.text(fromCommandLine: "2d") == "48")
        #expect(throws: SettingError.self) { _ = try hours.text(fromCommandLine: "90m") }
        let rate = try #require(SettingTable.descriptor("leader.replication.throttled.rate", .broker))
        #expect(try rate.text(fromCommandLine: "10MB/s") == "10000000")
        let size = try #require(SettingTable.descriptor("segment.bytes", .topic))
        let error = #expect(throws: SettingError.self) { _ = try size.text(fromCommandLine: "4GiB") }
        #expect(try #require(error).description.hasPrefix("segment.bytes cannot be \"4GiB\": it must be"))
        #expect(throws: SettingError.self) { _ = try size.text(fromCommandLine: "4d") }
    }

    @Test("every value is written as it is read")
    func roundTrips() {
        func check<Value: SettingValue>(_ value: Value) {
            guard let text = value.settingText else { return }
            #expect(Value(settingText: text) == value, "\(text)")
        }
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<500 {
            check(Bool.random(using: &generator))
            check(Int(Int32.random(in: .min ... .max, using: &generator)))
            check(Int16.random(in: .min ... .max, using: &generator))
            check(Int64.random(in: .min ... .max, using: &generator))
            check(Double.random(in: -1e300...1e300, using: &generator))
            check([CleanupChoice.compact, .delete])
            let port = UInt16.random(in: 0...UInt16.max, using: &generator)
            for host in ["a-b.c", "10.0.0.1", "::1", "fe80::1%eth0"] {
                let address = HostAndPort(host: host, port: port)
                check(address)
                check([
                    ListenerAddress(name: "A_B", address: address),
                    ListenerAddress(name: "C", address: address),
                ])
                check([QuorumVoter(nodeID: Int32(port), address: address)])
            }
            check([
                ConnectionLimit(host: "10.0.0.1", count: Int(port)), ConnectionLimit(host: "::1", count: 2),
            ])
            check(SecurityProtocol.allCases.map { ListenerProtocol(name: "X", $0) })
        }
        check(Int64?.some(3))
        #expect(Int64?.none.settingText == nil)
        #expect([String]?(settingText: " ") == .some(nil))
        #expect(Int64?(settingText: "") == nil)
    }
}
