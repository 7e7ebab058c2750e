import Base
import ClusterMetadata
import Foundation
import SystemIO
import Testing

@testable import Broker

struct RateMeterTests {
    private static let second: UInt64 = 1_000_000_000

    @Test("A meter has what was used in the last windows, whatever came before", arguments: 1...20)
    func windows(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let count = Int.random(in: 2...12, using: &generator)
        let seconds = Int.random(in: 1...3, using: &generator)
        let meter = RateMeter(windowCount: count, windowSeconds: seconds)
        let length = UInt64(seconds) * Self.second
        var uses: [(window: UInt64, amount: UInt64)] = []
        var now = UInt64.random(in: 0...(1 << 50), using: &generator)
        for _ in 0..<300 {
            let longest = Bool.random(using: &generator) ? length / 4 : length * UInt64(count + 2)
            now += UInt64.random(in: 0...longest, using: &generator)
            let window = now / length
            if Bool.random(using: &generator) {
                let amount = UInt64.random(in: 0...1_000_000, using: &generator)
                meter.record(amount, now: now)
                uses.append((window, amount))
            }
            let expected = uses.filter { $0.window + UInt64(count) > window }.reduce(0) { $0 + $1.amount }
            #expect(meter.total(now: now) == expected)
        }
    }

    @Test("Threads that count at the same time lose nothing")
    func threads() {
        let meter = RateMeter(windowCount: 3, windowSeconds: 1)
        WorkerThreads.forEach(4, threads: 4, name: "meter") { _ in
            for round in UInt64(0)..<30_000 { meter.record(3, now: round / 10_000 * Self.second) }
        }
        #expect(meter.total(now: 2 * Self.second) == 4 * 3 * 30_000)
        #expect(meter.total(now: 3 * Self.second) == 4 * 3 * 20_000)
    }

    @Test("Who waits as long as it is told stays at its rate, after a burst", arguments: [1, 2, 11], [1, 5])
    func obedience(count: Int, seconds: Int) {
        let meter = RateMeter(windowCount: count, windowSeconds: seconds)
        var generator = SeededGenerator(seed: UInt64(count * 10 + seconds))
        let rate = 1_000_000.0
        let began: UInt64 = 12_345_678_901
        var now = began
        var used = 0.0
        let span = Double(max(count, 2) * seconds)
        while now < began + 200 * Self.second {
            let amount = UInt64.random(in: 1...300_000, using: &generator)
            meter.record(amount, now: now)
            used += Double(amount)
            now += meter.excess(over: rate, now: now) + 1_000_000
            let passed = Double(now - began) / 1e9
            // What the last use was too much is forgotten with its window.
            #expect(used <= (rate * span + 300_000) * (passed / span + 2))
        }
        #expect(used > rate * 190)
    }

    @Test("An amount that no window can hold fills it")
    func saturation() {
        let meter = RateMeter(windowCount: 2, windowSeconds: 1)
        meter.record(.max, now: 0)
        meter.record(5, now: 0)
        #expect(meter.total(now: 0) == 1 << 48 - 1)
        #expect(meter.excess(over: 1, now: 0) == 86_400 * Self.second)
        #expect(meter.total(now: 2 * Self.second) == 0)
    }

    @Test("Meters are shared by who asks for the same, and bounded in number")
    func meters() {
        let meters = QuotaMeters(windowCount: 3, windowSeconds: 1)
        let scope = QuotaScope(user: nil, clientID: "a")
        let first = meters.meter(.produce, scope, now: 0)
        #expect(meters.meter(.produce, scope, now: 0) === first)
        #expect(meters.meter(.fetch, scope, now: 0) !== first)
        first.record(1, now: 0)
        for number in 0..<(2 * QuotaMeters.maximumCount) {
            _ = meters.meter(.produce, QuotaScope(user: nil, clientID: "c\(number)"), now: 0)
            #expect(meters.count <= QuotaMeters.maximumCount)
        }
        // The one that was used is still there.
        #expect(meters.meter(.produce, scope, now: 0) === first)
    }
}

@Suite struct QuotaRulesTests {
    @Test("The most particular quota holds, for each kind on its own", arguments: 1...40)
    func precedence(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        // The order of KIP-55, and who shares what is found there.
        let all = QuotaScope(user: "anna", clientID: "one")
        let user = QuotaScope(user: "anna", clientID: nil)
        let client = QuotaScope(user: nil, clientID: "one")
        let order: [(String?, String?, QuotaScope)] = [
            ("anna", "one", all), ("anna", "", all), ("anna", nil, user), ("", "one", all), ("", "", all),
            ("", nil, user), (nil, "one", client), (nil, "", client),
        ]
        var image = MetadataImage()
        var delta = MetadataDelta()
        var expected: [QuotaKind: (Double, QuotaScope)] = [:]
        for (index, (user, client, scope)) in order.enumerated() {
            var parts: [ClientQuotaEntity.Part] = []
            if let user { parts.append(.init(type: "user", name: user.isEmpty ? nil : user)) }
            if let client { parts.append(.init(type: "client-id", name: client.isEmpty ? nil : client)) }
            for kind in QuotaKind.allCases where Int.random(in: 0..<4, using: &generator) == 0 {
                let value = Double(index + 1)
                let record = ClientQuotaEntity(parts).record(kind.rawValue, value)
                try image.apply(.clientQuota(record), noting: &delta)
                if expected[kind] == nil { expected[kind] = (value, scope) }
            }
        }
        let rules = QuotaRules(image.clientQuotas)
        for kind in QuotaKind.allCases {
            let found = rules.limit(kind, user: "anna", clientID: "one")
            #expect(found?.perSecond == expected[kind]?.0)
            #expect(found?.scope == expected[kind]?.1)
        }
    }

    @Test("All responses that can tell of a pause are known for it")
    func responses() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Sources")
        let generated = folder.appending(path: "KafkaProtocol/Generated")
        var expected: [String] = []
        for file in try FileManager.default.contentsOfDirectory(atPath: generated.path)
        where file.hasSuffix(".swift") {
            let text = try String(contentsOf: generated.appending(path: file), encoding: .utf8)
            guard let name = text.firstMatch(of: /public struct (\w+): ResponseMessage/)?.1 else { continue }
            if text.contains("public var throttleTimeMilliseconds: Int32") { expected.append(String(name)) }
        }
        let list = folder.appending(path: "Broker/Quotas/ThrottledResponse.swift")
        let text = try String(contentsOf: list, encoding: .utf8)
        let listed = text.matches(of: /extension (\w+): ThrottledResponse/).map { String($0.1) }
        #expect(listed.sorted() == expected.sorted())
        #expect(expected.count > 70)
    }
}
