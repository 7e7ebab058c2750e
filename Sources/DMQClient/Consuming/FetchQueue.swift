internal import Base
internal import RecordFormat

/// What was fetched and not taken yet. Filled by the lane, emptied by one caller at a time.
final class FetchQueue: @unchecked Sendable {
    // @unchecked: everything that changes is touched with the lock held.
    enum Item: Sendable {
        case records(FetchedRecords)
        case failure(ClientError)
    }

    typealias Waiter = CheckedContinuation<Item?, Never>

    private let lock = HandLock()
    private let limit: Int
    private var items = Backlog<(assignment: UInt64, item: Item)>()
    private var byteCount = 0
    private var waiter: Waiter?
    private var waiterNumber: UInt64 = 0
    /// Items of earlier assignments are stale.
    private var assignment: UInt64 = 0
    private var isClosed = false

    init(limit: Int) { self.limit = limit }

    private func locked<Value>(_ body: () -> Value) -> Value { lock.withLock(body) }

    var hasRoom: Bool { locked { byteCount < limit } }

    /// On the lane: what comes is of another assignment than what came.
    func begin(_ assignment: UInt64) {
        locked {
            self.assignment = assignment
            items = Backlog()
            byteCount = 0
        }
    }

    func put(_ item: Item, _ assignment: UInt64) {
        let woken: Waiter? = locked {
            if assignment != self.assignment { return nil }
            if let waiter {
                self.waiter = nil
                return waiter
            }
            if case .records(let records) = item { byteCount += records.byteCount }
            items.append((assignment, item))
            return nil
        }
        woken?.resume(returning: item)
    }

    /// Takes the next item without waiting.
    /// - Returns: the item, and whether the lane may go on fetching because of it.
    func take() -> (item: Item, makesRoom: Bool)? {
        locked {
            guard let first = items.removeFirst() else { return isClosed ? (.failure(.closed), false) : nil }
            let wasFull = byteCount >= limit
            if case .records(let records) = first.item { byteCount -= records.byteCount }
            return (first.item, wasFull && byteCount < limit)
        }
    }

    /// Waits for the next item.
    /// - Returns: a number by which the wait can be ended; nil when it was not begun: there is an item
    ///   already.
    func wait(_ continuation: Waiter) -> UInt64? {
        enum Outcome { case waits(UInt64), item(Item), busy }
        let outcome: Outcome = locked {
            if isClosed { return .item(.failure(.closed)) }
            if waiter != nil { return .busy }
            if let first = items.removeFirst() {
                if case .records(let records) = first.item { byteCount -= records.byteCount }
                return .item(first.item)
            }
            waiter = continuation
            waiterNumber += 1
            return .waits(waiterNumber)
        }
        switch outcome {
        case .waits(let number): return number
        case .item(let item): continuation.resume(returning: item)
        case .busy:
            continuation.resume(
                returning: .failure(
                    .configuration(
                        setting: "poll", value: "called twice at once", reason: "a consumer has one reader")))
        }
        return nil
    }

    /// Ends a wait whose time is over.
    /// - Parameter number: of the wait; nil for the one that there is.
    func giveUp(_ number: UInt64? = nil) {
        let woken: Waiter? = locked {
            guard number == nil || waiterNumber == number, let waiter else { return nil }
            self.waiter = nil
            return waiter
        }
        woken?.resume(returning: nil)
    }

    func close() {
        let woken: Waiter? = locked {
            isClosed = true
            defer { waiter = nil }
            return waiter
        }
        woken?.resume(returning: .failure(.closed))
    }
}
