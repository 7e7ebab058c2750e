internal import RecordFormat

/// Follows the transactions of a log from its beginning and says what compaction may do with their batches.
///
/// A transaction's marker stays for as long as a batch of it is in the log, also an empty one: without the
/// marker the batches would look like an open transaction. Once no batch of it is left it has
/// `delete.retention.ms` to go, like a tombstone, for readers who have seen a batch and wait for its end.
struct TransactionRetention {
    /// By producer, in the order of their offsets; they do not overlap.
    private let aborted: [ProducerID: [AbortedTransaction]]
    /// Last offsets of aborted transactions of which a batch was met.
    private var observed: Set<Offset> = []
    /// Producers of whom a batch was met that belongs to no aborted transaction and had no marker yet; true
    /// when it had records.
    private var undecided: [ProducerID: Bool] = [:]

    init(_ transactions: [AbortedTransaction]) {
        aborted = Dictionary(grouping: transactions, by: \.producerID).mapValues { transactions in
            transactions.sorted { $0.lastOffset < $1.lastOffset }
        }
    }

    /// Takes note of a batch that is no control batch.
    /// - Returns: true when its transaction was aborted.
    mutating func readData(_ header: RecordBatchHeader) -> Bool {
        guard header.attributes.isTransactional else { return false }
        if let transaction = abortedTransaction(of: header.producerID, holding: header.baseOffset) {
            observed.insert(transaction.lastOffset)
            return true
        }
        undecided[header.producerID] = header.recordCount > 0 || undecided[header.producerID] ?? false
        return false
    }

    enum MarkerFate: Equatable {
        /// Batches of the transaction are in the log. With an aborted one its entry for the transaction
        /// index.
        case needed(AbortedTransaction?)
        /// No batch of the transaction is left.
        case obsolete
        /// An abort marker, but no transaction index calls the records before it aborted.
        case contradiction
    }

    /// Takes note of the marker in a control batch.
    mutating func readMarker(_ marker: TransactionMarker, _ header: RecordBatchHeader) -> MarkerFate {
        let hadRecords = undecided.removeValue(forKey: header.producerID)
        guard marker.isAbort else { return hadRecords == nil ? .obsolete : .needed(nil) }
        if hadRecords == true { return .contradiction }
        if observed.remove(header.baseOffset) != nil {
            return .needed(abortedTransaction(of: header.producerID, holding: header.baseOffset))
        }
        return hadRecords == nil ? .obsolete : .needed(nil)
    }

    private func abortedTransaction(of producerID: ProducerID, holding offset: Offset) -> AbortedTransaction?
    {
        guard let transactions = aborted[producerID] else { return nil }
        var low = 0
        var high = transactions.count
        while low < high {
            let middle = (low + high) / 2
            if transactions[middle].lastOffset < offset { low = middle + 1 } else { high = middle }
        }
        guard low < transactions.count, transactions[low].firstOffset <= offset else { return nil }
        return transactions[low]
    }
}
