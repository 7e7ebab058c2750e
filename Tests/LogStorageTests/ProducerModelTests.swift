import Base
import LogStorage
import RecordFormat
import Testing

/// Random operations on the state and on the model, which must agree after each.
private struct Comparison {
    private static let expirationMilliseconds: Int64 = 1_000

    private var generator: SeededGenerator
    private var states = ProducerStates(expirationMilliseconds: expirationMilliseconds)
    private var model = ProducerModel()
    private var now: Int64 = 1_000_000
    private var endOffset: Int64 = 0
    private var highWatermark: Int64 = 0
    /// How often each outcome came up: a run in which one never does shows nothing about it.
    private(set) var outcomes: [String: Int] = [:]

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    private mutating func random(_ range: ClosedRange<Int>) -> Int {
        Int.random(in: range, using: &generator)
    }

    mutating func step() throws {
        switch random(0...99) {
        case 0..<60: try data(origin: random(0...9) == 0 ? .coordinator : .client)
        case 60..<65: try data(origin: random(0...1) == 0 ? .replication : .recovery)
        case 65..<85: try marker()
        case 85..<93:
            highWatermark = min(endOffset, highWatermark + Int64(random(0...12)))
            states.onHighWatermarkUpdated(Offset(highWatermark))
            model.raiseHighWatermark(to: highWatermark)
        case 93..<96:
            now += Int64(random(0...1_500))
            states.removeExpired(now: Timestamp(now))
            model.expire(now: now, after: Self.expirationMilliseconds)
        case 96: try reload()
        case 97:
            let logStartOffset = max(0, highWatermark - Int64(random(0...5)))
            states.truncateHead(to: Offset(logStartOffset))
            model.raiseHighWatermark(to: logStartOffset)
        default: now += Int64(random(0...300))
        }
        compare()
    }

    private mutating func data(origin: AppendOrigin) throws {
        let producerID = ProducerID(Int64(random(1...4)))
        let known = model.producers()[producerID]
        var epoch = known?.epoch ?? 0
        if random(0...7) == 0 { epoch += Int16(random(-1...1)) }
        epoch = max(0, epoch)
        var sequence = known?.batches.last.map { ($0.lastSequence + 1) % ProducerModel.sequenceCount } ?? 0
        var count = Int32(random(1...4))
        switch random(0...19) {
        case 0..<5:
            if let old = known?.batches.randomElement(using: &generator) {
                sequence = old.firstSequence
                count =
                    Int32(
                        (old.lastSequence - old.firstSequence + ProducerModel.sequenceCount)
                            % ProducerModel.sequenceCount) + 1
            }
        case 5: sequence = (sequence + Int64(random(1...3))) % ProducerModel.sequenceCount
        case 6: sequence = 0
        case 7 where known == nil: sequence = ProducerModel.sequenceCount - Int64(random(1...9))
        default: break
        }
        if origin == .coordinator { sequence = -1 } else if sequence < 0 { sequence = 0 }
        let isTransactional =
            known?.transactionFirstOffset != nil ? random(0...9) > 0 : random(0...2) == 0
        let header = ProducerBatches.data(
            producer: producerID.rawValue, epoch: epoch, sequence: Int32(sequence), count: max(1, count),
            at: endOffset, timestamp: now, isTransactional: isTransactional)
        let answer = self.answer(to: header, origin: origin)
        #expect(answer == model.check(header, origin: origin))
        tally(answer)
        guard answer == .append else { return }
        states.update(header)
        model.append(.data(header))
        endOffset = header.nextOffset.rawValue
    }

    private mutating func answer(to header: RecordBatchHeader, origin: AppendOrigin) -> ProducerModel.Answer {
        do throws(ProducerStateError) {
            guard let batch = try states.check(header, origin: origin) else { return .append }
            return .duplicate(ProducerModel.Batch(batch))
        } catch {
            return .refusal(error)
        }
    }

    private mutating func tally(_ answer: ProducerModel.Answer) {
        switch answer {
        case .append: outcomes["append", default: 0] += 1
        case .duplicate: outcomes["duplicate", default: 0] += 1
        case .refusal(let error):
            outcomes["\(error)".contains("fenced") ? "fenced" : "refused", default: 0] += 1
        }
    }

    private mutating func marker() throws {
        let producerID = ProducerID(Int64(random(1...4)))
        let known = model.producers()[producerID]
        let epoch = max(0, (known?.epoch ?? 0) + (random(0...2) == 0 ? Int16(random(-1...1)) : 0))
        let marker = TransactionMarker(
            random(0...1) == 0 ? .commit : .abort,
            coordinatorEpoch: max(0, (known?.coordinatorEpoch ?? 0) + Int32(random(-1...8) / 4)))
        let header = ProducerBatches.marker(
            producer: producerID.rawValue, epoch: epoch, at: endOffset, timestamp: now)
        var refusal: ProducerStateError?
        do throws(ProducerStateError) {
            try states.checkMarker(header, marker: marker)
        } catch {
            refusal = error
        }
        #expect(refusal == model.checkMarker(header, marker))
        outcomes[refusal == nil ? "marker" : "marker refused", default: 0] += 1
        guard refusal == nil else { return }

        let others = model.producers().filter { $0.key != producerID }.compactMap(
            \.value.transactionFirstOffset)
        let completed = states.complete(
            header, isAbort: marker.isAbort, coordinatorEpoch: marker.coordinatorEpoch)
        let expected = known?.transactionFirstOffset.map {
            CompletedTransaction(
                producerID: producerID, firstOffset: Offset($0), lastOffset: Offset(endOffset),
                isAborted: marker.isAbort)
        }
        #expect(completed == expected)
        if let completed {
            #expect(
                states.lastStableOffset(afterCompleting: completed).rawValue == others.min() ?? endOffset + 1)
            states.transactionIndexed(completed)
        }
        model.append(.marker(header, marker))
        endOffset += 1
    }

    private mutating func reload() throws {
        let entries = try ProducerSnapshotFile.decode(bytes: ProducerSnapshotFile.encode(states))
        states.load(entries, endOffset: Offset(endOffset), now: Timestamp(now))
        model.expire(now: now, after: Self.expirationMilliseconds)
        model.reload()
        outcomes["reload", default: 0] += 1
    }

    private func compare() {
        let expected = model.producers()
        let found = Dictionary(
            uniqueKeysWithValues: states.entries.map { ($0.producerID, ProducerModel.Producer($0)) })
        #expect(found == expected)
        #expect(states.count == expected.count)
        #expect(states.firstUndecidedOffset?.rawValue == model.openTransactions().min())
        #expect(states.ongoingTransactionCount == model.openTransactions().count)
        #expect(states.firstUnstableOffset?.rawValue == model.firstUnstableOffset())
        #expect(states.mapEndOffset.rawValue == endOffset)
    }
}

extension ProducerModel.Batch {
    fileprivate init(_ batch: AppendedBatch) {
        self.init(
            firstSequence: Int64(batch.firstSequence.rawValue),
            lastSequence: Int64(batch.lastSequence.rawValue),
            firstOffset: batch.firstOffset.rawValue, lastOffset: batch.lastOffset.rawValue,
            timestamp: batch.timestamp.rawValue)
    }
}

extension ProducerModel.Producer {
    fileprivate init(_ entry: ProducerEntry) {
        self.init(
            epoch: entry.producerEpoch.rawValue, coordinatorEpoch: entry.coordinatorEpoch,
            lastTimestamp: entry.lastTimestamp.rawValue,
            transactionFirstOffset: entry.currentTransactionFirstOffset?.rawValue,
            batches: (0..<entry.batchCount).map { ProducerModel.Batch(entry.batch(at: $0)) })
    }
}

@Suite("Producer states against a model")
struct ProducerModelTests {
    @Test(
        "random operations agree with a model that rereads the whole log",
        arguments: 1...40 as ClosedRange<UInt64>)
    func random(seed: UInt64) throws {
        var comparison = Comparison(seed: seed)
        for _ in 0..<250 { try comparison.step() }
    }

    @Test("the random operations meet every outcome")
    func coverage() throws {
        var outcomes: [String: Int] = [:]
        for seed in 100..<110 as Range<UInt64> {
            var comparison = Comparison(seed: seed)
            for _ in 0..<150 { try comparison.step() }
            outcomes.merge(comparison.outcomes, uniquingKeysWith: +)
        }
        let expected: Set = [
            "append", "duplicate", "fenced", "refused", "marker", "marker refused", "reload",
        ]
        #expect(Set(outcomes.keys) == expected)
        #expect(outcomes.values.allSatisfy { $0 >= 5 }, "\(outcomes)")
    }
}
