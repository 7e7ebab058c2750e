import Base
import RecordFormat
import SimulationKit
import SystemIO

@testable import LogStorage

// Appends, and the producers that they come from.
extension LogSimulation {
    /// A producer as it sees itself.
    struct Producer {
        var epoch: Int16 = 0
        var nextSequence: Int32 = 0
        var isOpen = false
        /// It has a new epoch, and its open transaction has to be ended before it goes on.
        var mustEnd = false
    }

    private func randomBytes() -> [UInt8] {
        // Three of them fit the smallest segment.
        let large: UInt64 = isCompacted ? 240 : 700
        let byteCount = Int(generator.next() % (generator.chance(1, in: 12) ? large : 60))
        return (0..<byteCount).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    }

    /// Keys and values of a batch. A compacted log gets few keys, deletions, and values that all differ.
    private func contents(count: Int) -> [(key: [UInt8]?, value: [UInt8]?)] {
        let bytes = randomBytes()
        guard isCompacted else { return Array(repeating: (nil, bytes), count: count) }
        return (0..<count).map { _ in
            let key: [UInt8] = Array("key".utf8) + [UInt8(generator.next() % 8)]
            if generator.chance(1, in: 6) { return (key, nil) }
            nextValue += 1
            return (key, withUnsafeBytes(of: nextValue.bigEndian) { Array($0) } + bytes)
        }
    }

    func append() throws {
        let producerID = generator.chance(1, in: 2) ? Int64(generator.next() % 3) + 1 : -1
        let producer = producers[producerID] ?? Producer()
        if producer.isOpen, producer.mustEnd || generator.chance(1, in: 3) {
            return try appendMarker(producerID, producer)
        }
        let count = Int(generator.next() % 3) + 1
        let contents = contents(count: count)
        let timestamp = clock.wallClockMilliseconds() + Int64(generator.next() % 50)
        clock.advance(milliseconds: Int64(generator.next() % 20))
        if generator.chance(1, in: 30) { epoch += 1 }
        let isTransactional = producerID >= 2
        let producerEpoch = producerID < 0 ? -1 : producer.epoch
        let sequence = producerID < 0 ? -1 : producer.nextSequence
        let batch = TestBatches.batch(
            contents, timestamp: timestamp, producerID: producerID, producerEpoch: producerEpoch,
            sequence: sequence, isTransactional: isTransactional)
        note("append \(count) of producer \(producerID) at \(model.endOffset)")
        let result = try log.appendAsLeader(
            batch, leaderEpoch: LeaderEpoch(epoch), durably: generator.chance(1, in: 2))
        try check(
            result.firstOffset.rawValue == model.endOffset && !result.isDuplicate,
            "appended at \(result.firstOffset), expected \(model.endOffset)")
        let first = model.endOffset
        let produced =
            producerID < 0
            ? nil
            : LogModel.ProducedBatch(
                producerID: producerID, producerEpoch: producerEpoch, sequence: sequence, firstOffset: first,
                lastOffset: first + Int64(count) - 1, isTransactional: isTransactional)
        for content in contents {
            model.append(
                LogModel.Entry(
                    key: content.key, value: content.value, timestamp: timestamp, epoch: epoch,
                    batchOffset: first, producer: produced))
        }
        guard producerID >= 0 else { return }
        producers[producerID] = Producer(
            epoch: producerEpoch, nextSequence: sequence + Int32(count), isOpen: isTransactional)
    }

    private func appendMarker(_ producerID: Int64, _ producer: Producer) throws {
        // What a producer has left open that comes back with a new epoch is aborted for it.
        let isAbort = producer.mustEnd || generator.chance(1, in: 2)
        let timestamp = clock.wallClockMilliseconds()
        note("marker of producer \(producerID) at \(model.endOffset)")
        _ = try log.appendAsLeader(
            TestBatches.marker(
                isAbort: isAbort, producerID: producerID, producerEpoch: producer.epoch,
                timestamp: timestamp),
            leaderEpoch: LeaderEpoch(epoch), origin: .coordinator, durably: generator.chance(1, in: 2))
        let offset = model.endOffset
        model.append(
            LogModel.Entry(
                value: isAbort ? LogModel.abort : LogModel.commit, timestamp: timestamp, epoch: epoch,
                batchOffset: offset,
                producer: LogModel.ProducedBatch(
                    producerID: producerID, producerEpoch: producer.epoch, sequence: -1, firstOffset: offset,
                    lastOffset: offset, isTransactional: true), isControl: true))
        producers[producerID] = Producer(epoch: producer.epoch, nextSequence: producer.nextSequence)
        try renewForgottenProducers()
    }

    /// Sends the newest batch of a producer once more: it has to be recognised.
    func repeatBatch() throws {
        guard let last = model.lastBatches.values.min(by: { $0.producerID < $1.producerID }),
            log.producerEntries.contains(where: {
                $0.producerID.rawValue == last.producerID && $0.lastDataOffset.rawValue == last.lastOffset
            })
        else { return }
        let contents = (last.firstOffset...last.lastOffset).map { (model[$0].key, model[$0].value) }
        note("repeat \(last.firstOffset)")
        let result = try log.appendAsLeader(
            TestBatches.batch(
                contents, timestamp: model[last.firstOffset].timestamp, producerID: last.producerID,
                producerEpoch: last.producerEpoch, sequence: last.sequence,
                isTransactional: last.isTransactional),
            leaderEpoch: LeaderEpoch(epoch), durably: false)
        try check(
            result.isDuplicate && result.firstOffset.rawValue == last.firstOffset
                && result.lastOffset.rawValue == last.lastOffset,
            "a repeated batch of producer \(last.producerID) got \(result), it stands at \(last.firstOffset)")
    }

    /// What each producer would send next, as far as the log goes. A producer of which nothing is left goes
    /// on where it was; the log has nothing to compare with.
    func relearnProducers() throws {
        producers.removeAll()
        for entry in model.entries {
            guard let batch = entry.producer else { continue }
            var producer = producers[batch.producerID] ?? Producer()
            if batch.producerEpoch > producer.epoch {
                producer = Producer(epoch: batch.producerEpoch, isOpen: producer.isOpen)
            }
            if entry.isControl {
                producer.isOpen = false
            } else {
                producer.nextSequence = batch.sequence + Int32(batch.lastOffset - batch.firstOffset) + 1
                producer.isOpen = batch.isTransactional
            }
            producers[batch.producerID] = producer
        }
        // While a truncation waits for room, the log still counts what it has to cut off.
        if log.cutTarget == nil, log.startTarget == nil { try renewForgottenProducers() }
    }

    /// A producer that the log knows by less than its last batch is refused, and comes back with a new epoch,
    /// as clients do. That may happen only where nothing but a marker is left of it, as with Kafka's, or
    /// where truncation has cut off its last batch after compaction had dropped those before.
    private func renewForgottenProducers() throws {
        for entry in log.producerEntries {
            let producerID = entry.producerID.rawValue
            let known = producers[producerID] ?? Producer()
            let isExpected =
                entry.producerEpoch.rawValue == known.epoch
                && entry.lastSequence.next.rawValue == known.nextSequence
            let beginsAnew = known.epoch > entry.producerEpoch.rawValue && known.nextSequence == 0
            if isExpected || beginsAnew { continue }
            try check(
                entry.batchCount == 0 || model.wasCutAfterCompaction,
                "producer \(producerID) is at \(known), the log has \(entry.lastSequence) of epoch "
                    + "\(entry.producerEpoch)")
            let isOpen = known.isOpen || entry.currentTransactionFirstOffset != nil
            producers[producerID] = Producer(
                epoch: max(known.epoch, entry.producerEpoch.rawValue) + 1, isOpen: isOpen, mustEnd: isOpen)
        }
    }
}
