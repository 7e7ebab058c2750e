import Base
import RecordFormat
import SimulationKit
import SystemIO

@testable import LogStorage

// What a simulated log is compared with.
extension LogSimulation {
    /// Reads the whole log in pieces of random size and compares every record with the model.
    func compareRecords() throws {
        var next = log.logStartOffset
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
                    guard offset >= checked else { continue }
                    try check(offset == checked, "offset \(offset) where \(checked) is due")
                    let expected = model[offset]
                    let value = record.value?.withUnsafeBytes { Array($0) } ?? []
                    try check(
                        header.attributes.isControl == expected.isControl
                            && (expected.isControl || value == expected.value),
                        "the record at \(offset) is not the one that was appended")
                    try check(
                        header.partitionLeaderEpoch.rawValue == expected.epoch,
                        "epoch \(header.partitionLeaderEpoch) at \(offset), expected \(expected.epoch)")
                    checked += 1
                }
                position += header.byteCount
            }
            next = slice.nextOffset
            try check(next.rawValue == checked, "next offset \(next) after \(checked)")
        }
        try check(
            checked == log.writtenEndOffset.rawValue, "read up to \(checked), written \(log.writtenEndOffset)"
        )
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
        for batch in model.lastBatches.values {
            let entry = log.producerEntries.first { $0.producerID.rawValue == batch.producerID }
            try check(
                entry?.lastDataOffset.rawValue == batch.lastOffset || batch.lastOffset < start,
                "producer \(batch.producerID) ends at \(String(describing: entry?.lastDataOffset)), expected "
                    + "\(batch.lastOffset)")
        }
    }

    private func compareTransactions() throws {
        let expectedStable = model.lastStableOffset(from: log.logStartOffset.rawValue)
        try check(
            expectedStable.contains(log.lastStableOffset.rawValue)
                || log.lastStableOffset == log.logStartOffset
                    && expectedStable.lowerBound < log.logStartOffset.rawValue,
            "last stable offset \(log.lastStableOffset), expected \(expectedStable), high watermark "
                + "\(log.highWatermark)")
        let start = log.logStartOffset.rawValue
        let aborted = try log.abortedTransactions(from: Offset(start), upTo: Offset(model.endOffset))
        for transaction in model.transactions where transaction.isAborted {
            guard let marker = transaction.markerOffset,
                let firstVisible = transaction.offsets.first(where: { $0 >= start })
            else { continue }
            let isListed = aborted.contains { entry in
                entry.producerID.rawValue == transaction.producerID && entry.lastOffset.rawValue == marker
                    && entry.firstOffset.rawValue <= firstVisible
            }
            try check(isListed, "aborted transaction \(transaction) is not listed, only \(aborted)")
        }
        let real = Set(
            model.transactions.compactMap { transaction in
                transaction.isAborted ? transaction.markerOffset : nil
            })
        for entry in aborted {
            try check(real.contains(entry.lastOffset.rawValue), "\(entry) was never aborted")
        }
    }
}
