import Foundation
import Testing

/// `dmq transactions` against a broker that runs, with transactions of kcat's.
@Suite("dmq transactions")
struct TransactionsCommandTests {
    /// A broker with one transaction, which has ended in every partition.
    private func broker() throws -> BrokerProcess {
        let broker = try BrokerProcess(["num.partitions=2"])
        try broker.dmq("topic", "create", "events", "--partitions", "2")
        let written = try broker.kcat(
            ["-P", "-t", "events", "-p", "1", "-X", "transactional.id=writer"], input: Data("1\n2\n".utf8))
        #expect(written.status == 0, "\(written.errors)")
        // A client hears of the end when that is decided; the markers may be on their way.
        var state: String?
        while state != "CompleteCommit" {
            let listed = try broker.dmq("transactions", "list", "--json").objects()
            try #require(listed.map { $0["transactionalId"] as? String } == ["writer"])
            state = listed.first?["state"] as? String
        }
        return broker
    }

    @Test("transactional IDs are listed and described")
    func describe() throws {
        let broker = try broker()
        let listed = try broker.dmq("transactions", "list", "--json").objects()
        let producer = try #require(listed.first?["producerId"] as? Int)
        #expect(try broker.dmq("transactions", "list", "--state", "Ongoing").lines.isEmpty)
        #expect(try broker.dmq("transactions", "list", "--producer-id", "\(producer + 1)").lines.isEmpty)
        #expect(
            try broker.dmq("transactions", "list", "--producer-id", "\(producer)").text.contains("writer"))
        let described = try broker.dmq("transactions", "describe", "writer", "--json").objects()
        #expect(described.first?["producerId"] as? Int == producer)
        #expect(described.first?["producerEpoch"] as? Int == 0)
        #expect(try broker.dmq("transactions", "describe", "writer").text.contains("CompleteCommit"))
        let missing = try broker.dmq("transactions", "describe", "nobody")
        #expect(missing.status == 1 && missing.errors.contains("TRANSACTIONAL_ID_NOT_FOUND"))
        let read = try broker.kcat([
            "-C", "-q", "-e", "-t", "events", "-p", "1", "-X", "isolation.level=read_committed",
        ])
        #expect(read.lines == ["1", "2"])
    }

    @Test("what hangs is looked for, and only what there is can be aborted")
    func hanging() throws {
        let broker = try broker()
        let found = try broker.dmq("transactions", "find-hanging", "--open-for", "0s")
        #expect(found.status == 0 && found.lines.isEmpty)
        let none = try broker.dmq("transactions", "abort", "-t", "events:1", "--start-offset", "0")
        #expect(none.status == 1 && none.errors.contains("no transaction begins at offset 0"))
        let vague = try broker.dmq("transactions", "abort", "-t", "events:1")
        #expect(vague.status == 2 && vague.errors.contains("--producer-id"))
        let wrong = try broker.dmq("transactions", "abort", "-t", "events", "--start-offset", "0")
        #expect(wrong.status == 2 && wrong.errors.contains("TOPIC:PARTITION"))
        // A producer that no coordinator knows: its marker ends nothing, and is taken.
        let forced = try broker.dmq(
            "transactions", "abort", "-t", "events:1", "--producer-id", "4711", "--producer-epoch", "0")
        #expect(forced.status == 0, "\(forced.errors)")
    }
}
