import Base
import RecordFormat
import SimulationKit
import SystemIO

@testable import LogStorage

// What a simulated log is compared with.
extension LogSimulation {
    /// Reads the whole log in pieces of random size and compares every record with the model.
    func compareRecords() throws {
        do {
            try compareAllRecords()
        } catch let error as RecordBatchError {
            throw fail("what was read is no batch: \(error)")
        }
    }

    private func compareAllRecords() throws {
        var next = log.logStartOffset
        /// The first offset that no record was found for yet, nor had to be.
        var checked = log.logStartOffset.rawValue
        let decompressor = Decompressor()
        while let slice = try log.read(
            from: next, maximumByteCount: Int(generator.next() % 3000), limit: .logEnd
        ).slice {
            let buffer = IOBuffer(byteCount: slice.byteCount)
            let byteCount = try slice.file.read(into: buffer, 0..<slice.byteCount, at: slice.position)
            try check(
                byteCount == slice.byteCount, "a slice of \(slice.byteCount) bytes has only \(byteCount)")
            var position = 0
            while position < byteCount {
                let header = try RecordBatchHeader(parsing: buffer.bytes(position..<byteCount))
                let batch = buffer.bytes(position..<position + header.byteCount)
                try RecordBatch.validate(batch, header: header)
                var cursor = try RecordCursor(batch, header: header, decompressor: decompressor)
                while let record = try cursor.next() {
                    let offset = record.offset.rawValue
                    guard offset >= log.logStartOffset.rawValue else { continue }
                    try check(offset >= checked, "offset \(offset) where \(checked) is due")
                    try noteMissing(checked..<offset)
                    try compare(record, header)
                    checked = offset + 1
                }
                position += header.byteCount
            }
            try check(slice.nextOffset > next, "a slice from \(next) to \(slice.nextOffset)")
            next = slice.nextOffset
            try check(next.rawValue >= checked, "next offset \(next) after \(checked)")
        }
        let end = log.writtenEndOffset.rawValue
        try check(
            next.rawValue == end || log.logStartOffset.rawValue >= end, "read to \(next), written \(end)")
        try noteMissing(checked..<max(checked, end))
        if isCompacted {
            let resurrected = model.resurrected(from: log.logStartOffset.rawValue)
            try check(
                resurrected == nil, "what replaced the record at \(resurrected ?? 0) is gone, it is not")
        }
    }

    private func compare(_ record: RecordView, _ header: RecordBatchHeader) throws {
        let offset = record.offset.rawValue
        let expected = model[offset]
        try check(!expected.compaction.isGone, "the record at \(offset) was gone and is back")
        let key = record.key?.withUnsafeBytes { Array($0) }
        let value = record.value?.withUnsafeBytes { Array($0) }
        try check(
            header.attributes.isControl == expected.isControl
                && (expected.isControl || value == expected.value && key == expected.key),
            "the record at \(offset) is not the one that was appended")
        try check(
            record.timestamp.rawValue == expected.timestamp,
            "time \(record.timestamp) at \(offset), expected \(expected.timestamp)")
        try check(
            header.partitionLeaderEpoch.rawValue == expected.epoch,
            "epoch \(header.partitionLeaderEpoch) at \(offset), expected \(expected.epoch)")
    }

    /// Records that are not there have to be such as compaction may leave out, and stay away from now on.
    private func noteMissing(_ offsets: Range<Int64>) throws {
        for offset in offsets {
            try check(model[offset].compaction.mayBeGone, "the record at \(offset) is missing")
            model.noteGone(offset)
        }
    }

    /// Compares what is derived from the batches: epochs, times, transactions, producers.
    func compareDerived() throws {
        let start = log.logStartOffset.rawValue
        let starts = model.epochs(from: start)
        for (epoch, first) in starts {
            let next = starts.filter { $0.key > epoch }.map(\.value).min() ?? model.endOffset
            let found = log.endOffset(forLeaderEpoch: LeaderEpoch(epoch))
            try check(
                found?.endOffset.rawValue == next && found?.epoch.rawValue == epoch,
                "epoch \(epoch) from \(first) ends at \(String(describing: found)), expected \(next)")
        }
        for _ in 0..<4 where model.endOffset > start {
            let sample = model[start + Int64(generator.next() % UInt64(model.endOffset - start))].timestamp
            let target = sample + Int64(generator.next() % 5) - 2
            let found = try log.offset(forTimestamp: Timestamp(target), limit: .logEnd)
            let expected = model.offset(forTimestamp: target, from: start, below: model.endOffset)
            try check(
                found?.offset.rawValue == expected,
                "time \(target) is at \(String(describing: found)), expected \(String(describing: expected))")
        }
        try compareTransactions()
        try compareProducers()
    }

    private func compareProducers() throws {
        let last = model.lastBatches
        let entries = log.producerEntries
        // A restart knows nothing of what lies below the log start, or a snapshot's worth of it.
        for batch in last.values where batch.lastOffset >= model.highestStartOffset {
            // Each producer's last batch stays when the log is compacted. Where it is cut off later, the one
            // before, which is the last now, may be gone.
            if model.wasCutAfterCompaction,
                (batch.firstOffset...batch.lastOffset).allSatisfy({ model[$0].compaction.mayBeGone })
            {
                continue
            }
            let entry = entries.first { $0.producerID.rawValue == batch.producerID }
            try check(
                entry?.lastDataOffset.rawValue == batch.lastOffset,
                "producer \(batch.producerID) ends at \(String(describing: entry?.lastDataOffset)), expected "
                    + "\(batch.lastOffset)")
        }
        for entry in entries where entry.batchCount > 0 {
            let offset = entry.lastDataOffset.rawValue
            let batch = offset < model.endOffset ? model[offset].producer : nil
            try check(
                batch?.producerID == entry.producerID.rawValue && batch?.lastOffset == offset
                    && batch?.producerEpoch == entry.producerEpoch.rawValue,
                "producer \(entry.producerID) ends at \(offset), where \(String(describing: batch)) is")
        }
    }

    private func compareTransactions() throws {
        let start = log.logStartOffset.rawValue
        // A start that a crash took back brings no transaction back.
        let expectedStable = model.lastStableOffset(from: max(start, model.highestStartOffset))
        try check(
            expectedStable.contains(log.lastStableOffset.rawValue)
                || log.lastStableOffset == log.logStartOffset && expectedStable.lowerBound < start,
            "last stable offset \(log.lastStableOffset), expected \(expectedStable), high watermark "
                + "\(log.highWatermark)")
        let aborted = try log.abortedTransactions(from: Offset(start), upTo: Offset(model.endOffset))
        let transactions = model.transactions.filter(\.isAborted)
        for transaction in transactions {
            guard let marker = transaction.markerOffset,
                let firstVisible = model.firstVisible(of: transaction, from: start)
            else { continue }
            let isListed = aborted.contains { entry in
                entry.producerID.rawValue == transaction.producerID && entry.lastOffset.rawValue == marker
                    && entry.firstOffset.rawValue <= firstVisible
            }
            try check(isListed, "aborted transaction \(transaction) is not listed, only \(aborted)")
        }
        let real = Set(transactions.compactMap(\.markerOffset))
        for entry in aborted {
            try check(real.contains(entry.lastOffset.rawValue), "\(entry) was never aborted")
        }
    }
}
