import LogStorage
import RecordFormat

/// The producer state as slow and obvious as can be: it keeps the whole history of the log and answers every
/// question by reading it from the start.
struct ProducerModel {
    enum Event {
        case data(RecordBatchHeader)
        case marker(RecordBatchHeader, TransactionMarker)

        var header: RecordBatchHeader {
            switch self {
            case .data(let header), .marker(let header, _): header
            }
        }
    }

    /// A batch as it is remembered.
    struct Batch: Equatable {
        let firstSequence: Int64
        let lastSequence: Int64
        let firstOffset: Int64
        let lastOffset: Int64
        let timestamp: Int64
    }

    /// What follows from the history about one producer.
    struct Producer: Equatable {
        var epoch: Int16 = -1
        var coordinatorEpoch: Int32 = -1
        var lastTimestamp: Int64 = -1
        var transactionFirstOffset: Int64?
        var batches: [Batch] = []
    }

    enum Answer: Equatable {
        case append
        case duplicate(Batch)
        case refusal(ProducerStateError)
    }

    private enum Line {
        case event(Event)
        /// The producer was forgotten.
        case forgotten(ProducerID)
        /// A snapshot was written and loaded: of each producer the last batch is left.
        case reloaded
    }

    private var history: [Line] = []
    /// Markers below it are replicated.
    private var highWatermark: Int64 = 0
    static let sequenceCount: Int64 = 1 << 31

    mutating func append(_ event: Event) { history.append(.event(event)) }
    mutating func raiseHighWatermark(to offset: Int64) { highWatermark = max(highWatermark, offset) }
    mutating func reload() { history.append(.reloaded) }

    mutating func expire(now: Int64, after milliseconds: Int64) {
        for (producerID, producer) in producers()
        where producer.transactionFirstOffset == nil && now - producer.lastTimestamp >= milliseconds {
            history.append(.forgotten(producerID))
        }
    }

    func producers() -> [ProducerID: Producer] { replay().producers }

    /// First offsets of open transactions.
    func openTransactions() -> [Int64] { producers().values.compactMap(\.transactionFirstOffset) }

    func firstUnstableOffset() -> Int64? {
        let waiting = replay().ended.filter { $0.marker >= highWatermark }.map(\.first)
        return (waiting + openTransactions()).min()
    }

    private func replay() -> (producers: [ProducerID: Producer], ended: [(first: Int64, marker: Int64)]) {
        var producers: [ProducerID: Producer] = [:]
        var ended: [(first: Int64, marker: Int64)] = []
        for line in history {
            switch line {
            case .forgotten(let producerID): producers[producerID] = nil
            case .reloaded:
                ended = []
                for (producerID, producer) in producers {
                    var producer = producer
                    producer.batches = producer.batches.suffix(1).map {
                        Batch(
                            firstSequence: $0.firstSequence, lastSequence: $0.lastSequence,
                            firstOffset: $0.firstOffset, lastOffset: $0.lastOffset,
                            timestamp: producer.lastTimestamp)
                    }
                    producers[producerID] = producer
                }
            case .event(let event):
                let header = event.header
                var producer = producers[header.producerID] ?? Producer()
                if producer.epoch != header.producerEpoch.rawValue { producer.batches = [] }
                producer.epoch = header.producerEpoch.rawValue
                producer.lastTimestamp = header.maxTimestamp.rawValue
                switch event {
                case .data:
                    producer.batches = (producer.batches + [Self.batch(header)]).suffix(5)
                    if header.attributes.isTransactional && producer.transactionFirstOffset == nil {
                        producer.transactionFirstOffset = header.baseOffset.rawValue
                    }
                case .marker(_, let marker):
                    producer.coordinatorEpoch = marker.coordinatorEpoch
                    if let first = producer.transactionFirstOffset {
                        ended.append((first, header.baseOffset.rawValue))
                    }
                    producer.transactionFirstOffset = nil
                }
                producers[header.producerID] = producer
            }
        }
        return (producers, ended)
    }

    static func batch(_ header: RecordBatchHeader) -> Batch {
        let first = Int64(header.baseSequence.rawValue)
        let last = first < 0 ? -1 : (first + Int64(header.lastOffsetDelta)) % sequenceCount
        return Batch(
            firstSequence: first, lastSequence: last, firstOffset: header.baseOffset.rawValue,
            lastOffset: header.baseOffset.rawValue + Int64(header.lastOffsetDelta),
            timestamp: header.maxTimestamp.rawValue)
    }

    func check(_ header: RecordBatchHeader, origin: AppendOrigin) -> Answer {
        guard origin == .client || origin == .coordinator, let producer = producers()[header.producerID]
        else {
            return .append
        }
        let asked = Self.batch(header)
        let epoch = header.producerEpoch.rawValue
        if origin == .client && epoch == producer.epoch {
            for batch in producer.batches
            where batch.firstSequence == asked.firstSequence && batch.lastSequence == asked.lastSequence {
                return .duplicate(batch)
            }
        }
        if epoch < producer.epoch {
            return .refusal(
                .fencedEpoch(
                    producerID: header.producerID, current: ProducerEpoch(producer.epoch),
                    received: header.producerEpoch))
        }
        var expected: Int64 = 0
        if epoch == producer.epoch, let last = producer.batches.last {
            expected = (last.lastSequence + 1) % Self.sequenceCount
        }
        if origin == .client && asked.firstSequence != expected {
            return .refusal(
                .outOfOrderSequence(
                    producerID: header.producerID, producerEpoch: header.producerEpoch,
                    expected: SequenceNumber(Int32(expected)), received: header.baseSequence))
        }
        if let first = producer.transactionFirstOffset, !header.attributes.isTransactional {
            return .refusal(
                .invalidTransactionState(producerID: header.producerID, transactionFirstOffset: Offset(first))
            )
        }
        return .append
    }

    /// Nil: the marker may be appended.
    func checkMarker(_ header: RecordBatchHeader, _ marker: TransactionMarker) -> ProducerStateError? {
        guard let producer = producers()[header.producerID] else { return nil }
        if header.producerEpoch.rawValue < producer.epoch {
            return .fencedEpoch(
                producerID: header.producerID, current: ProducerEpoch(producer.epoch),
                received: header.producerEpoch)
        }
        if marker.coordinatorEpoch < producer.coordinatorEpoch {
            return .staleCoordinatorEpoch(
                producerID: header.producerID, current: producer.coordinatorEpoch,
                received: marker.coordinatorEpoch)
        }
        return nil
    }
}
