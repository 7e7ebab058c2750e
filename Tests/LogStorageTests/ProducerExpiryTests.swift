import Base
import LogStorage
import RecordFormat
import Testing

private final class Lines: LogSink {
    private let lines = Locked<[String]>([])

    func write(level: LogLevel, line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
}

@Suite("Forgetting producers")
struct ProducerExpiryTests {
    @Test("a producer is forgotten when its last batch is as old as the expiration")
    func expiration() throws {
        var states = ProducerStates(expirationMilliseconds: 100)
        try states.append(producer: 1, sequence: 0, timestamp: 1_000)
        try states.append(producer: 2, sequence: 0, timestamp: 1_001)
        states.removeExpired(now: Timestamp(1_099))
        #expect(states.count == 2)
        states.removeExpired(now: Timestamp(1_100))
        #expect(states.entries.map(\.producerID.rawValue) == [2])
        // Forgotten, it may go on anywhere (KIP-360), and its old batch is not recognised.
        let duplicate = try states.append(producer: 1, sequence: 0, timestamp: 1_100)
        #expect(duplicate == nil)
    }

    @Test("a producer with an open transaction is not forgotten until the transaction has ended")
    func openTransaction() throws {
        var states = ProducerStates(expirationMilliseconds: 100)
        try states.append(producer: 1, sequence: 0, timestamp: 0, isTransactional: true)
        states.removeExpired(now: Timestamp(1_000_000))
        #expect(states.firstUndecidedOffset == Offset(0))
        #expect(states.count == 1)
        try states.end(producer: 1, timestamp: 1_000_000)
        states.removeExpired(now: Timestamp(1_000_099))
        #expect(states.count == 1)
        states.removeExpired(now: Timestamp(1_000_100))
        #expect(states.count == 0)
        // Its transaction is unstable all the same.
        #expect(states.firstUnstableOffset == Offset(0))
    }

    @Test("the default expiration is a day")
    func defaultExpiration() throws {
        var states = ProducerStates()
        try states.append(producer: 1, sequence: 0, timestamp: 0)
        states.removeExpired(now: Timestamp(86_399_999))
        #expect(states.count == 1)
        states.removeExpired(now: Timestamp(86_400_000))
        #expect(states.count == 0)
    }

    @Test("timestamps at the ends of their range neither trap nor confuse")
    func extremeTimestamps() throws {
        var states = ProducerStates(expirationMilliseconds: 100)
        try states.append(producer: 1, sequence: 0, timestamp: .min)
        try states.append(producer: 2, sequence: 0, timestamp: .max)
        try states.append(producer: 3, sequence: 0, timestamp: -1)
        states.removeExpired(now: Timestamp(1_000))
        #expect(states.entries.map(\.producerID.rawValue) == [2])
        states.removeExpired(now: Timestamp(.min))
        #expect(states.count == 1)
    }

    @Test("forgetting some leaves the others as they were")
    func removal() throws {
        var generator = SeededGenerator(seed: 7)
        var states = ProducerStates(expirationMilliseconds: 100)
        for producer in 0..<1_000 as Range<Int64> {
            try states.append(
                producer: producer, sequence: 0, timestamp: Int64.random(in: 0...200, using: &generator))
        }
        let before = states.entries
        states.removeExpired(now: Timestamp(200))
        let remaining = before.filter { $0.lastTimestamp > Timestamp(100) }
        #expect(states.count == remaining.count && (300...700).contains(remaining.count))
        for entry in before {
            #expect(
                states.entry(of: entry.producerID) == (entry.lastTimestamp > Timestamp(100) ? entry : nil))
        }
    }

    @Test("a full table forgets the producers that were silent for the longest, and says so")
    func eviction() throws {
        let lines = Lines()
        var states = ProducerStates(maximumCount: 32, logger: Logger(component: "log", sink: lines))
        for producer in 0..<32 as Range<Int64> {
            try states.append(producer: producer, sequence: 0, timestamp: 1_000 + (producer + 16) % 32)
        }
        #expect(states.count == 32 && lines.all.isEmpty)
        try states.append(producer: 100, sequence: 0, timestamp: 2_000)
        // A sixteenth of the table, two, and room for the new one.
        #expect(states.count == 31)
        #expect(states.entry(of: ProducerID(16)) == nil && states.entry(of: ProducerID(17)) == nil)
        #expect(states.entry(of: ProducerID(18)) != nil && states.entry(of: ProducerID(0)) != nil)
        #expect(lines.all.count == 1)
        #expect(lines.all.allSatisfy { $0.contains("forgotten=2 held=30 maximum=32") }, "\(lines.all)")
    }

    @Test("a table full of open transactions grows rather than lose one")
    func evictionOfTransactions() throws {
        let lines = Lines()
        var states = ProducerStates(maximumCount: 32, logger: Logger(component: "log", sink: lines))
        for producer in 0..<1_000 as Range<Int64> {
            try states.append(producer: producer, sequence: 0, timestamp: producer, isTransactional: true)
        }
        #expect(states.count == 1_000 && states.ongoingTransactionCount == 1_000)
        // Half as many searches as new producers: one for each sixteenth of the table.
        #expect(lines.all.count == (1_000 - 32 + 1) / 2)
        for producer in 0..<1_000 as Range<Int64> { try states.end(producer: producer, timestamp: producer) }
        for producer in 1_000..<1_010 as Range<Int64> { try states.append(producer: producer, sequence: 0) }
        #expect(states.count <= 32)
    }

    @Test("many producers that come once do not fill the table")
    func bound() throws {
        var states = ProducerStates(maximumCount: 100)
        for producer in 0..<10_000 as Range<Int64> {
            try states.append(producer: producer, sequence: 0, timestamp: producer)
            #expect(states.count <= 100)
        }
        // The latest is always known.
        #expect(states.entry(of: ProducerID(9_999)) != nil)
    }

    @Test("removing everything begins anew at an offset")
    func removeAll() throws {
        var states = ProducerStates()
        try states.append(producer: 1, sequence: 0, isTransactional: true)
        try states.end(producer: 1)
        try states.append(producer: 1, sequence: 1, isTransactional: true)
        states.removeAll(endOffset: Offset(70))
        #expect(states.count == 0 && states.firstUnstableOffset == nil && states.firstUndecidedOffset == nil)
        #expect(states.mapEndOffset == Offset(70))
        try states.append(producer: 1, sequence: 9, isTransactional: true)
        #expect(states.firstUndecidedOffset == Offset(70))
        states.removeAll()
        #expect(states.mapEndOffset == Offset(0))
    }

    @Test("loading a snapshot leaves out what has expired and finds the open transactions")
    func load() throws {
        var before = ProducerStates(expirationMilliseconds: 100)
        try before.append(producer: 1, sequence: 0, timestamp: 0)
        try before.append(producer: 3, sequence: 0, timestamp: 500, isTransactional: true)
        try before.append(producer: 2, sequence: 0, timestamp: 0, isTransactional: true)
        var states = ProducerStates(expirationMilliseconds: 100)
        // In another order than that of the offsets, as Kafka may write them.
        states.load(before.entries.reversed(), endOffset: before.mapEndOffset, now: Timestamp(550))
        #expect(Set(states.entries.map(\.producerID.rawValue)) == [2, 3])
        #expect(states.mapEndOffset == Offset(3))
        #expect(states.firstUndecidedOffset == Offset(1))
        try states.end(producer: 3)
        #expect(states.firstUndecidedOffset == Offset(2))
        try states.end(producer: 2)
        #expect(states.firstUndecidedOffset == nil)
        #expect(states.firstUnstableOffset == Offset(1))
    }
}
