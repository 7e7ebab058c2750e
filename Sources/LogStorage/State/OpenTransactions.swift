internal import RecordFormat

/// The transactions of a partition that have no marker yet, by their first offset.
///
/// Transactions begin in the order of their offsets, so a sorted array that grows at its end is a complete
/// order: the oldest is found at once, any other by bisection. Decided ones are marked, skipped at the front,
/// and swept out when they are half of the array; every operation is constant or logarithmic, amortised, and
/// none allocates once the array has its size.
struct OngoingTransactions: Sendable {
    struct Transaction: Sendable {
        let producerID: ProducerID
        let firstOffset: Offset
        var isDecided = false
    }

    /// Arrays shorter than this are not worth sweeping.
    private static let smallestSweptCount = 64

    private var transactions: [Transaction] = []
    /// Everything before it is decided.
    private var head = 0
    private var decidedCount = 0

    var count: Int { transactions.count - decidedCount }

    /// The transaction that began first.
    var first: Transaction? { head < transactions.count ? transactions[head] : nil }

    /// The transaction that began first among those of other producers.
    func first(notOf producerID: ProducerID) -> Transaction? {
        var index = head
        while index < transactions.count {
            let transaction = transactions[index]
            if !transaction.isDecided && transaction.producerID != producerID { return transaction }
            index += 1
        }
        return nil
    }

    mutating func begin(producerID: ProducerID, firstOffset: Offset) {
        let transaction = Transaction(producerID: producerID, firstOffset: firstOffset)
        if !transactions.isEmpty && transactions[transactions.count - 1].firstOffset >= firstOffset {
            // Only a snapshot, whose entries are in no order, gets here.
            let index = lowerBound(firstOffset)
            transactions.insert(transaction, at: index)
            head = min(head, index)
        } else {
            transactions.append(transaction)
        }
    }

    /// Takes a transaction out. Returns whether it was there.
    mutating func decide(producerID: ProducerID, firstOffset: Offset) -> Bool {
        var index = lowerBound(firstOffset)
        while index < transactions.count, transactions[index].firstOffset == firstOffset {
            if transactions[index].producerID == producerID && !transactions[index].isDecided {
                transactions[index].isDecided = true
                decidedCount += 1
                dropDecided()
                return true
            }
            index += 1
        }
        return false
    }

    mutating func removeAll() {
        transactions.removeAll(keepingCapacity: true)
        head = 0
        decidedCount = 0
    }

    private mutating func dropDecided() {
        while head < transactions.count, transactions[head].isDecided { head += 1 }
        if head == transactions.count {
            removeAll()
        } else if transactions.count >= Self.smallestSweptCount && decidedCount * 2 > transactions.count {
            sweep()
        }
    }

    /// Moves the open transactions together, in their order.
    private mutating func sweep() {
        var end = 0
        var index = head
        while index < transactions.count {
            if !transactions[index].isDecided {
                transactions[end] = transactions[index]
                end += 1
            }
            index += 1
        }
        transactions.removeLast(transactions.count - end)
        head = 0
        decidedCount = 0
    }

    /// Place of the first transaction, decided or not, that begins at `firstOffset` or later.
    private func lowerBound(_ firstOffset: Offset) -> Int {
        var low = 0
        var high = transactions.count
        while low < high {
            let middle = low + (high - low) / 2
            if transactions[middle].firstOffset < firstOffset { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// The transactions whose markers the high watermark has not passed: decided, but the decision could still be
/// lost with this leader.
///
/// Only the smallest first offset among them is asked for, and they leave in the order of their markers. So a
/// transaction that began later and ended earlier than another can never be the answer and is dropped at
/// once; what is left rises in both offsets, and its front is the answer.
struct UnreplicatedTransactions: Sendable {
    private struct Transaction: Sendable {
        let firstOffset: Offset
        let lastOffset: Offset
    }

    private var transactions: [Transaction] = []
    private var head = 0

    /// The smallest first offset.
    var firstOffset: Offset? { head < transactions.count ? transactions[head].firstOffset : nil }
    var isEmpty: Bool { head == transactions.count }

    mutating func add(_ completed: CompletedTransaction) {
        var lastOffset = completed.lastOffset
        while transactions.count > head {
            let last = transactions[transactions.count - 1]
            if last.firstOffset < completed.firstOffset { break }
            lastOffset = max(lastOffset, last.lastOffset)
            transactions.removeLast()
        }
        transactions.append(Transaction(firstOffset: completed.firstOffset, lastOffset: lastOffset))
    }

    /// Drops what ended before `offset`.
    mutating func remove(endedBefore offset: Offset) {
        while head < transactions.count, transactions[head].lastOffset < offset { head += 1 }
        if head == transactions.count {
            removeAll()
        } else if head * 2 > transactions.count {
            transactions.removeFirst(head)
            head = 0
        }
    }

    mutating func removeAll() {
        transactions.removeAll(keepingCapacity: true)
        head = 0
    }
}
