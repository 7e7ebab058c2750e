internal import RecordFormat
internal import Synchronization

/// Stands for one question to the transaction coordinator, whether a producer's transaction includes this
/// partition (KIP-890). The first batch of the transaction is appended with it. No two are equal in a
/// process, so that an answer that comes after the transaction has been aborted opens no other one.
public struct TransactionVerification: Hashable, Sendable {
    private static let count = Atomic<UInt64>(0)

    private let value: UInt64

    fileprivate init() { value = Self.count.add(1, ordering: .relaxed).newValue }

    /// Whether a batch that opens a transaction has to be verified.
    public enum Requirement: Hashable, Sendable {
        /// No: `transaction.partition.verification.enable` is off, or the origin has been verified otherwise.
        case none
        /// Yes, by this; nil where the batch came without, because a transaction was open when it was asked.
        case verified(by: TransactionVerification?)
    }
}

/// The questions to the transaction coordinator that are under way for one partition, at most one a producer.
struct TransactionVerifications: Sendable {
    struct Entry: Sendable {
        let verification: TransactionVerification
        let began: Timestamp
        /// Whether the client counts its epoch up for each transaction (transaction version 2), so that
        /// without any state here its sequence begins at 0.
        let supportsEpochBump: Bool
        var producerEpoch: ProducerEpoch
        /// Of the batches in `producerEpoch` that wait for the answer, or came while it was waited for.
        var lowestSequence: SequenceNumber
    }

    /// Questions held. Each belongs to a produce request that waits; more than this on one partition are
    /// forged, and the oldest give way, whose requests are refused then.
    static let maximumCount = 10_000

    private var entries: [ProducerID: Entry] = [:]

    var isEmpty: Bool { entries.isEmpty }

    /// Nil when none is under way.
    func entry(of producerID: ProducerID) -> Entry? { entries[producerID] }

    mutating func begin(
        producerID: ProducerID, producerEpoch: ProducerEpoch, sequence: SequenceNumber,
        supportsEpochBump: Bool,
        now: Timestamp
    ) -> TransactionVerification {
        if var entry = entries[producerID] {
            if producerEpoch > entry.producerEpoch {
                entry.producerEpoch = producerEpoch
                entry.lowestSequence = sequence
            } else if producerEpoch == entry.producerEpoch
                && sequence.rawValue < entry.lowestSequence.rawValue
            {
                entry.lowestSequence = sequence
            }
            entries[producerID] = entry
            return entry.verification
        }
        if entries.count >= Self.maximumCount { removeOldestHalf() }
        let entry = Entry(
            verification: TransactionVerification(), began: now, supportsEpochBump: supportsEpochBump,
            producerEpoch: producerEpoch, lowestSequence: sequence)
        entries[producerID] = entry
        return entry.verification
    }

    mutating func end(_ producerID: ProducerID) {
        if !entries.isEmpty { entries[producerID] = nil }
    }

    mutating func removeExpired(now: Timestamp, after milliseconds: Int64) {
        entries = entries.filter { now.rawValue - $0.value.began.rawValue < milliseconds }
    }

    mutating func removeAll() { entries.removeAll() }

    private mutating func removeOldestHalf() {
        let byAge = entries.sorted { $0.value.began < $1.value.began }
        for (producerID, _) in byAge.prefix((byAge.count + 1) / 2) { entries[producerID] = nil }
    }
}
