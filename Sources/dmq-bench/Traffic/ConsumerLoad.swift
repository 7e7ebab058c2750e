import Base
import DMQClient
import RecordFormat
import SystemIO

/// A consumer that reads some partitions, and what it counts.
final class ConsumerLoad: Sendable {
    let counters = TrafficCounters()
    private let client: Client
    private let consumer: Consumer
    private let timesRecords: Bool
    /// Where it is done, by partition; empty when it reads until it is stopped.
    private let ends: [TopicPartition: Offset]

    init(_ client: Client, _ options: TrafficOptions, ends: [TopicPartition: Offset] = [:]) throws {
        self.client = client
        consumer = try Consumer(client, options.consumer)
        timesRecords = options.kind != .consume
        self.ends = ends
    }

    /// The partitions that consumer `place` of `count` reads: each partition has a reader, and each reader a
    /// partition.
    static func share(of partitions: [TopicPartition], place: Int, count: Int) -> [TopicPartition] {
        if partitions.isEmpty { return [] }
        if count > partitions.count { return [partitions[place % partitions.count]] }
        return partitions.enumerated().filter { $0.offset % count == place }.map(\.element)
    }

    /// Goes to where reading begins, and is there when it returns.
    func begin(_ partitions: [TopicPartition], at start: StartPosition) async throws {
        consumer.assign(
            Dictionary(partitions.map { ($0, start) }, uniquingKeysWith: { first, _ in first }))
        // The question goes to the client's thread and back, which is what it waits for.
        while try await consumer.positions().count < partitions.count { await Task.yield() }
    }

    /// Ends reading; what was fetched and not read yet is not counted.
    func stop() { consumer.close() }

    func run() async throws {
        let decompressor = Decompressor()
        let clock = SystemClock()
        var left = ends
        for try await records in consumer.batches {
            let now = clock.monotonicNanoseconds()
            var (count, byteCount) = (0, 0)
            try records.forEach(decompressor) { record, _ in
                count += 1
                byteCount += (record.key?.byteCount ?? 0) + (record.value?.byteCount ?? 0)
                if timesRecords, let value = record.value,
                    value.byteCount >= TrafficOptions.leastRecordByteCount
                {
                    counters.time(
                        from: UInt64(
                            bigEndian: value.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self)), to: now
                    )
                }
                return true
            }
            counters.count(count, byteCount: byteCount)
            if let end = left[records.partition], records.nextPosition >= end {
                left[records.partition] = nil
                if left.isEmpty { return }
            }
        }
    }

    func close() async {
        consumer.close()
        await client.close()
    }
}
