import LogStorage
import RecordFormat
import Testing

private let one = ProducerID(1)

/// A produce request for a transaction: the question to the coordinator, then the append.
private struct Request {
    let header: RecordBatchHeader
    let verification: TransactionVerification?

    init(
        _ states: inout ProducerStates, epoch: Int16 = 0, sequence: Int32 = 0, count: Int32 = 1,
        supportsEpochBump: Bool = false, now: Int64 = 0
    ) {
        header = ProducerBatches.data(
            producer: 1, epoch: epoch, sequence: sequence, count: count, isTransactional: true)
        verification = states.beginVerification(
            producerID: one, producerEpoch: ProducerEpoch(epoch), sequence: SequenceNumber(sequence),
            supportsEpochBump: supportsEpochBump, now: Timestamp(now))
    }

    @discardableResult
    func append(to states: inout ProducerStates, origin: AppendOrigin = .client) throws -> AppendedBatch? {
        var header = header
        header.baseOffset = states.mapEndOffset
        let duplicate = try states.check(header, origin: origin, verification: .verified(by: verification))
        if duplicate == nil { states.update(header) }
        return duplicate
    }
}

private func unverified(epoch: Int16 = 0) -> ProducerStateError {
    .unverifiedTransaction(producerID: one, producerEpoch: ProducerEpoch(epoch))
}

@Suite("Verification of transactions")
struct TransactionVerificationsTests {
    @Test("the first batch needs a verification, the others do not")
    func firstBatch() throws {
        var states = ProducerStates()
        let bare = ProducerBatches.data(producer: 1, sequence: 0, isTransactional: true)
        #expect(throws: unverified()) {
            try states.check(bare, origin: .client, verification: .verified(by: nil))
        }
        #expect(throws: unverified()) {
            try states.check(bare, origin: .coordinator, verification: .verified(by: nil))
        }
        // A follower's leader has asked.
        _ = try states.check(bare, origin: .replication, verification: .verified(by: nil))

        try Request(&states).append(to: &states)
        let second = Request(&states, sequence: 1)
        #expect(second.verification == nil)
        try second.append(to: &states)
        #expect(states.entry(of: one)?.lastSequence == SequenceNumber(1))
    }

    @Test("batches outside of transactions need none")
    func plainBatch() throws {
        var states = ProducerStates()
        let plain = ProducerBatches.data(producer: 1, sequence: 0)
        let duplicate = try states.check(plain, origin: .client, verification: .verified(by: nil))
        #expect(duplicate == nil)
    }

    @Test("requests that ask at the same time share a verification")
    func shared() throws {
        var states = ProducerStates()
        let first = Request(&states, sequence: 0)
        let second = Request(&states, sequence: 1)
        #expect(first.verification != nil && first.verification == second.verification)
        try first.append(to: &states)
        // The transaction is open by now.
        try second.append(to: &states)
        #expect(states.ongoingTransactionCount == 1)
    }

    @Test("the lowest sequence that waits goes first")
    func lowestSequence() throws {
        var states = ProducerStates()
        let second = Request(&states, sequence: 1)
        let first = Request(&states, sequence: 0)
        #expect(
            throws: ProducerStateError.outOfOrderSequence(
                producerID: one, producerEpoch: ProducerEpoch(0), expected: SequenceNumber(0),
                received: SequenceNumber(1))
        ) { try second.append(to: &states) }
        try first.append(to: &states)
        try second.append(to: &states)
    }

    @Test("a new epoch begins its own lowest sequence")
    func lowestSequenceOfEpoch() throws {
        var states = ProducerStates()
        _ = Request(&states, epoch: 0, sequence: 0)
        let later = Request(&states, epoch: 1, sequence: 5)
        // Asked again for the older epoch, nothing changes.
        _ = Request(&states, epoch: 0, sequence: 2)
        try later.append(to: &states)
        #expect(states.entry(of: one)?.producerEpoch == ProducerEpoch(1))
    }

    @Test("a marker makes the verification under way void")
    func marker() throws {
        var states = ProducerStates()
        let late = Request(&states)
        try states.end(producer: 1, .abort)
        #expect(throws: unverified()) { try late.append(to: &states) }
        // Nor does it serve for the transaction that begins after it.
        let next = Request(&states)
        #expect(next.verification != late.verification)
        #expect(throws: unverified()) { try late.append(to: &states) }
        try next.append(to: &states)
    }

    @Test("a verification from before the state was loaded anew is void")
    func reloaded() throws {
        var states = ProducerStates()
        let old = Request(&states)
        states.load([], endOffset: .zero, now: .none)
        var other = ProducerStates()
        #expect(throws: unverified()) { try old.append(to: &states) }
        #expect(Request(&states).verification != old.verification)
        #expect(Request(&other).verification != old.verification)
    }

    @Test("a transaction open in an older epoch is not the batch's")
    func otherEpoch() throws {
        var states = ProducerStates()
        try Request(&states).append(to: &states)
        let newer = Request(&states, epoch: 1)
        #expect(newer.verification != nil)
        let bare = ProducerBatches.data(producer: 1, epoch: 1, sequence: 0, isTransactional: true)
        #expect(throws: unverified(epoch: 1)) {
            try states.check(bare, origin: .client, verification: .verified(by: nil))
        }
    }

    @Test("a batch that was appended before is a duplicate, verified or not")
    func duplicate() throws {
        var states = ProducerStates()
        let request = Request(&states)
        try request.append(to: &states)
        try states.end(producer: 1, .commit)
        let answer = try request.append(to: &states)
        #expect(answer?.firstOffset == Offset(0))
    }

    @Test("with transaction version 2 a producer without retained batches begins at 0")
    func epochBump() throws {
        var states = ProducerStates()
        let request = Request(&states, sequence: 7, supportsEpochBump: true)
        #expect(
            throws: ProducerStateError.outOfOrderSequence(
                producerID: one, producerEpoch: ProducerEpoch(0), expected: SequenceNumber(0),
                received: SequenceNumber(7))
        ) { try request.append(to: &states) }
        var others = ProducerStates()
        try Request(&others, sequence: 7, supportsEpochBump: false).append(to: &others)
        #expect(others.entry(of: one)?.lastSequence == SequenceNumber(7))
    }

    @Test("a verification that is never used is forgotten with the producers")
    func expiration() throws {
        var states = ProducerStates(expirationMilliseconds: 100)
        let request = Request(&states, now: 1_000)
        states.removeExpired(now: Timestamp(1_099))
        var kept = states
        try request.append(to: &kept)
        states.removeExpired(now: Timestamp(1_100))
        #expect(throws: unverified()) { try request.append(to: &states) }
    }

    @Test("too many verifications push out the oldest")
    func bound() throws {
        var states = ProducerStates()
        let request = Request(&states, now: 0)
        func ask(_ producer: Int64, _ states: inout ProducerStates) -> TransactionVerification? {
            states.beginVerification(
                producerID: ProducerID(producer), producerEpoch: ProducerEpoch(0),
                sequence: SequenceNumber(0),
                supportsEpochBump: false, now: Timestamp(producer))
        }
        for producer in 2..<10_001 as Range<Int64> { _ = ask(producer, &states) }
        let latest = ask(10_000, &states)
        var kept = states
        try request.append(to: &kept)
        #expect(ask(10_000, &states) == latest)
        _ = ask(10_001, &states)
        #expect(throws: unverified()) { try request.append(to: &states) }
        #expect(ask(10_000, &states) == latest)
    }
}
