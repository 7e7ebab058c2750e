import CAllocationCounter
import LogStorage
import RecordFormat
import Testing

/// Calls `body` with 0 ..< count. A `for` loop over a range allocates in a debug build, this does not.
private func times<Number: FixedWidthInteger>(_ count: Number, _ body: (Number) throws -> Void) rethrows {
    var number: Number = 0
    while number < count {
        try body(number)
        number += 1
    }
}

/// Heap allocations of this thread while `body` runs.
private func allocations(_ body: () throws -> Void) rethrows -> UInt64 {
    let before = dmq_allocation_count()
    try body()
    return dmq_allocation_count() - before
}

@Suite("Producer states and the heap")
struct ProducerAllocationTests {
    @Test("the counter counts")
    func counterCounts() {
        #expect(dmq_allocation_counting() == 1)
        var kept: [[UInt8]] = []
        kept.reserveCapacity(10)
        let count = allocations {
            for size in 1...10 { kept.append([UInt8](repeating: 0, count: size * 100)) }
        }
        #expect(count >= 10 && kept.count == 10)
    }

    @Test("check and update of a known producer allocate nothing")
    func knownProducer() throws {
        var states = ProducerStates()
        for producer in 0..<1_000 as Range<Int64> { try states.append(producer: producer, sequence: 0) }
        var header = ProducerBatches.data(producer: 0, sequence: 0)
        header.recordCount = 3
        header.lastOffsetDelta = 2
        var duplicates = 0
        let count = try allocations {
            try times(20 as Int32) { round in
                try times(1_000 as Int64) { producer in
                    header.producerID = ProducerID(producer)
                    header.baseSequence = SequenceNumber(1 + round * 3)
                    header.baseOffset = states.mapEndOffset
                    if try states.check(header, origin: .client) != nil { duplicates += 1 }
                    states.update(header)
                    if try states.check(header, origin: .client) != nil { duplicates += 1 }
                }
            }
        }
        #expect(count == 0)
        #expect(duplicates == 20_000)
    }

    @Test("transactions of known producers allocate nothing once the tables have their size")
    func transactions() throws {
        var states = ProducerStates()
        var header = ProducerBatches.data(producer: 0, sequence: 0, isTransactional: true)
        var marker = ProducerBatches.marker(producer: 0)
        var completed = 0
        func round(_ sequence: Int32) throws {
            try times(200 as Int64) { producer in
                header.producerID = ProducerID(producer)
                header.baseSequence = SequenceNumber(sequence)
                header.baseOffset = states.mapEndOffset
                _ = try states.check(header, origin: .client)
                states.update(header)
            }
            try times(200 as Int64) { producer in
                marker.producerID = ProducerID((producer * 7) % 200)
                marker.baseOffset = states.mapEndOffset
                try states.checkMarker(marker, marker: TransactionMarker(.abort, coordinatorEpoch: 1))
                if let ended = states.complete(marker, isAbort: true, coordinatorEpoch: 1) {
                    _ = states.lastStableOffset(afterCompleting: ended)
                    states.transactionIndexed(ended)
                    completed += 1
                }
                states.onHighWatermarkUpdated(states.mapEndOffset - 20)
            }
        }
        try times(3) { try round($0) }
        let count = try allocations { try times(17) { try round(3 + $0) } }
        #expect(count == 0)
        #expect(completed == 20 * 200)
        #expect(states.ongoingTransactionCount == 0)
    }
}
