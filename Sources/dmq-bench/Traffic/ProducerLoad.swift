import Base
import DMQClient
import RecordFormat
import SystemIO

/// A producer with its client, and what it counts.
struct LoadedProducer: Sendable {
    let client: Client
    let producer: Producer
    let counters: TrafficCounters
}

/// When records are due: evenly, each at a moment that does not depend on how the ones before it fared.
struct Schedule: Sendable {
    /// In nanoseconds of the monotonic clock.
    let start: UInt64
    /// Nanoseconds between two records; 0 for as fast as it goes.
    let interval: Double

    init(start: UInt64, recordsPerSecond: Int?) {
        self.start = start
        interval = recordsPerSecond.map { 1e9 / Double($0) } ?? 0
    }

    func moment(of number: Int) -> UInt64 { start + UInt64(Double(number) * interval) }
}

/// A thread that puts records into some producers, in turn.
struct ProducerLoad: Sendable {
    /// So long a thread looks away while all buffers are full, or no record is due.
    static let longestPause: UInt64 = 200_000
    /// Values that differ, so that compression finds what it finds in real ones.
    static let valueCount = 64

    let options: TrafficOptions
    let producers: [LoadedProducer]
    /// The thread's place among so many: record `number` of all is its own when this is the remainder.
    let place: Int
    let threadCount: Int
    let schedule: Schedule
    /// No record is due at or after it, in nanoseconds of the monotonic clock.
    let end: UInt64
    /// Records of all threads.
    let recordLimit: Int

    /// Runs until the time is over or all records are queued.
    func run() throws {
        let clock = SystemClock()
        let pause = Pause()
        var random = SeededGenerator(seed: UInt64(place) + 1)
        let values = Self.values(options.recordByteCount, &random)
        var number = place
        var turn = 0
        while number < recordLimit {
            var now = clock.monotonicNanoseconds()
            if now >= end { return }
            let due = schedule.interval > 0 ? schedule.moment(of: number) : now
            if due >= end { return }
            if due > now {
                pause.wait(nanoseconds: min(due - now, 50_000_000))
                continue
            }
            var refusals = 0
            while try !put(values[number % values.count], due, number, &random, producers[turn]) {
                refusals += 1
                turn = turn + 1 == producers.count ? 0 : turn + 1
                if refusals < producers.count { continue }
                refusals = 0
                pause.wait(nanoseconds: Self.longestPause)
                now = clock.monotonicNanoseconds()
                if now >= end { return }
            }
            turn = turn + 1 == producers.count ? 0 : turn + 1
            number += threadCount
        }
    }

    /// - Returns: false when the producer's buffer is full.
    private func put(
        _ value: IOBuffer, _ due: UInt64, _ number: Int, _ random: inout SeededGenerator,
        _ loaded: LoadedProducer
    ) throws -> Bool {
        value.storeBigEndian(UInt32(truncatingIfNeeded: due >> 32), at: 0)
        value.storeBigEndian(UInt32(truncatingIfNeeded: due), at: 4)
        var completion: DeliveryCompletion?
        let isTimed = schedule.interval > 0 || (number / threadCount) % TrafficOptions.sampledRecords == 0
        if isTimed {
            let counters = loaded.counters
            completion = { result in
                switch result {
                case .success: counters.time(from: due, to: SystemClock().monotonicNanoseconds())
                case .failure(let error): counters.fail("\(error)")
                }
            }
        }
        let bytes = value.bytes(0..<options.recordByteCount)
        let result: EnqueueResult
        var keyByteCount = 0
        if options.keyCount > 0 {
            let key = Array(String(random.next() % UInt64(options.keyCount)).utf8)
            keyByteCount = key.count
            result = try loaded.producer.tryEnqueue(
                topic: options.topic, key: key.span.bytes, value: bytes, completion: completion)
        } else {
            result = try loaded.producer.tryEnqueue(
                topic: options.topic, key: nil, value: bytes, completion: completion)
        }
        switch result {
        case .queued:
            loaded.counters.count(1, byteCount: keyByteCount + options.recordByteCount)
            return true
        case .bufferFull: return false
        case .topicUnknown: throw BenchmarkError.broker("topic \(options.topic) is gone")
        }
    }

    /// Letters, each of 64: of eight bits of a byte six are chance.
    private static func values(_ byteCount: Int, _ random: inout SeededGenerator) -> [IOBuffer] {
        (0..<valueCount).map { _ in
            let text = (0..<byteCount).map { _ in UInt8(truncatingIfNeeded: 48 + random.next() % 64) }
            return IOBuffer(copying: text)
        }
    }
}
