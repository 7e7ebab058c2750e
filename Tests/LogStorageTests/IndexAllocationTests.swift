import CAllocationCounter
import LogStorage
import RecordFormat
import SystemIO
import Testing

/// Calls `body` with the numbers of `range`. A `for` loop over a range allocates in a debug build, this does
/// not.
private func each(_ range: Range<Int64>, _ body: (Int64) throws -> Void) rethrows {
    var number = range.lowerBound
    while number < range.upperBound {
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

@Suite("Indexes and the heap")
struct IndexAllocationTests {
    let volume: TestVolume

    init() throws { volume = try TestVolume.real() }

    @Test("appending entries allocates for growth only, lookups not at all")
    func offsetsAndTimes() throws {
        let offsets = try OffsetIndex.create(
            at: volume.path("i"), baseOffset: .zero, maximumByteCount: 1 << 20, volume.fileSystem)
        let times = try TimeIndex.create(
            at: volume.path("t"), baseOffset: .zero, maximumByteCount: 1 << 20, volume.fileSystem)
        offsets.append(Offset(1), at: 1)
        times.append(Timestamp(1), Offset(1))
        let appending = allocations {
            each(2..<301) { number in
                offsets.append(Offset(number), at: number)
                times.append(Timestamp(number), Offset(number))
            }
        }
        var sum: Int64 = 0
        let looking = allocations {
            each(0..<301) { number in
                sum += offsets.floor(offset: Offset(number))?.position ?? 0
                sum += offsets.floor(position: number)?.offset.rawValue ?? 0
                sum += times.floor(timestamp: Timestamp(number))?.offset.rawValue ?? 0
            }
        }
        #expect(offsets.entryCount == 300 && times.entryCount == 300 && sum == 3 * 300 * 301 / 2)
        #expect(appending == 0 && looking == 0)
    }

    @Test("looking for aborted transactions allocates nothing where the result has room")
    func transactions() throws {
        let index = try TransactionIndex.create(
            at: volume.path("x"), baseOffset: .zero, volume.fileSystem)
        for number in 1...100 as ClosedRange<Int64> {
            try index.append(
                AbortedTransaction(
                    producerID: ProducerID(number), firstOffset: Offset(number * 10),
                    lastOffset: Offset(number * 10 + 5), lastStableOffset: Offset(number * 10 + 6)))
        }
        var found: [AbortedTransaction] = []
        found.reserveCapacity(100)
        func search() throws -> UInt64 {
            try allocations {
                try each(0..<100) { number in
                    found.removeAll(keepingCapacity: true)
                    _ = try index.collect(from: Offset(number), upTo: Offset(number + 500), into: &found)
                }
            }
        }
        // The first search makes the runtime look up types.
        _ = try search()
        #expect(try search() == 0)
        try index.seal()
        #expect(try index.entryCount() == 100)
        #expect(try search() == 0 && !found.isEmpty)
    }
}
