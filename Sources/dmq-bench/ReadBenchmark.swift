import Base
import CBaseline
import LogStorage
import RecordFormat
import SystemIO

/// Reads a log from start to end, slice by slice, each sent to a socket by sendfile.
final class ReadBenchmark: Benchmark {
    private let options: StorageOptions
    private let prepared: PreparedLog
    private var log: PartitionLog?
    private var sink: OpaquePointer?
    private var sentByteCount: UInt64 = 0
    let targets: [Target]

    init(_ options: StorageOptions, _ directory: WorkDirectory, targets: [Target] = []) throws {
        self.options = options
        self.targets = targets
        prepared = try PreparedLog(options, directory)
    }

    let title = "read"

    var settings: [(name: String, value: String)] {
        [
            ("slice", ByteCountText.format(Int64(options.sliceByteCount))),
            ("batch", ByteCountText.format(Int64(options.batchByteCount))), ("codec", options.codecName),
            ("run", ByteCountText.format(Int64(options.totalByteCount))), ("to", "TCP over loopback"),
        ]
    }

    var metrics: [Metric] {
        [.throughput, .records, .userTime, .systemTime, .processorTime, .allocations]
            + Metric.latencies("read and send") { $0.operationLatency }
    }

    private static let socketBufferByteCount: Int32 = 4 << 20

    func prepare() throws {
        try prepared.fill(byteCount: options.totalByteCount)
        let log = try prepared.open(isClean: true)
        log.advanceHighWatermark(to: log.logEndOffset)
        self.log = log
        try checkContent()
        sink = try startSink(checks: false)
        sentByteCount = 0
    }

    private func startSink(checks: Bool) throws -> OpaquePointer {
        guard let sink = dmq_sink_start(Self.socketBufferByteCount, checks ? 1 : 0) else {
            throw BenchmarkError.baselineFailed("no connection over loopback")
        }
        return sink
    }

    /// Both sides send the same bytes.
    private func checkContent() throws {
        var checksums: [UInt32] = []
        for isOurs in [false, true] {
            let sink = try startSink(checks: true)
            defer { dmq_sink_stop(sink) }
            let sent = isOurs ? try sendOurs(to: sink, nil) : try sendBaseline(to: sink, latencies: nil)
            guard dmq_sink_wait(sink, sent) == 0, sent == prepared.byteCount else {
                throw BenchmarkError.wrongResult("\(sent) of \(prepared.byteCount) bytes came")
            }
            checksums.append(dmq_sink_checksum(sink))
        }
        guard checksums[0] == checksums[1] else {
            throw BenchmarkError.wrongResult("other bytes than the baseline's")
        }
    }

    /// Slices, with their latencies, where they are measured.
    private final class Slices {
        var latency = LatencyHistogram()
        var count: UInt64 = 0
        var hash: UInt64 = 0
    }

    private func sendOurs(to sink: OpaquePointer, _ slices: Slices?) throws -> UInt64 {
        guard let log else { return 0 }
        let socket = dmq_sink_socket(sink)
        var offset = log.logStartOffset
        var sent: UInt64 = 0
        while offset < log.highWatermark {
            let start = dmq_nanoseconds()
            let result = try log.read(
                from: offset, maximumByteCount: options.sliceByteCount, limit: .highWatermark)
            guard let slice = result.slice, let file = slice.file as? PosixFile else {
                throw BenchmarkError.wrongResult("nothing to read at offset \(offset)")
            }
            guard dmq_send_file(socket, file.descriptor, slice.position, slice.byteCount) == 0 else {
                throw BenchmarkError.wrongResult("sendfile failed at offset \(offset)")
            }
            if let slices {
                slices.latency.record(dmq_nanoseconds() - start)
                slices.count += 1
                slices.hash = slices.hash &* 31 &+ UInt64(bitPattern: slice.firstOffset.rawValue)
            }
            sent += UInt64(slice.byteCount)
            offset = slice.nextOffset
        }
        return sent
    }

    func run() throws -> Sample {
        guard let sink else { return Sample() }
        let slices = Slices()
        var sample = try Sample.measured(.thread) { sample in
            sample.byteCount = try sendOurs(to: sink, slices)
            sentByteCount += sample.byteCount
            guard dmq_sink_wait(sink, sentByteCount) == 0 else {
                throw BenchmarkError.wrongResult("bytes lost")
            }
        }
        sample.operationCount = slices.count
        sample.recordCount = prepared.recordCount
        sample.operationLatency = slices.latency
        sample.hash = slices.hash
        return sample
    }

    private func sendBaseline(to sink: OpaquePointer, latencies: LatencyRoom?) throws -> UInt64 {
        var sent: UInt64 = 0
        for file in baselineFiles {
            let count =
                latencies.map { room in
                    room.send(to: dmq_sink_socket(sink), file, sliceByteCount: options.sliceByteCount)
                } ?? dmq_baseline_send(dmq_sink_socket(sink), file, options.sliceByteCount, nil, 0)
            guard count >= 0 else { throw BenchmarkError.baselineFailed("sendfile") }
            sent += UInt64(count)
        }
        return sent
    }

    /// Latencies that the baseline notes.
    private final class LatencyRoom {
        var all: [UInt64]
        private(set) var count = 0

        init(capacity: Int) { all = [UInt64](repeating: 0, count: capacity) }

        func send(to socket: Int32, _ file: Int32, sliceByteCount: Int) -> Int64 {
            let start = count
            let sent = all.withUnsafeMutableBufferPointer { room in
                dmq_baseline_send(
                    socket, file, sliceByteCount, room.baseAddress.map { $0 + start },
                    Int32(room.count - start))
            }
            if sent > 0 { count = min(all.count, start + (Int(sent) + sliceByteCount - 1) / sliceByteCount) }
            return sent
        }
    }

    private lazy var baselineFiles: [Int32] = {
        let paths = (try? prepared.segmentPaths()) ?? []
        return paths.map { dmq_baseline_open($0, 1) }
    }()

    func runBaseline() throws -> Sample {
        guard let sink else { return Sample() }
        let room = LatencyRoom(
            capacity: options.totalByteCount / options.sliceByteCount + baselineFiles.count
                + options.batchByteCount)
        var sample = try Sample.measured(.thread) { sample in
            sample.byteCount = try sendBaseline(to: sink, latencies: room)
            sentByteCount += sample.byteCount
            guard dmq_sink_wait(sink, sentByteCount) == 0 else {
                throw BenchmarkError.baselineFailed("bytes lost")
            }
        }
        sample.operationCount = UInt64(room.count)
        sample.recordCount = prepared.recordCount
        for latency in room.all.prefix(room.count) { sample.operationLatency.record(latency) }
        return sample
    }

    func finish() throws {
        dmq_sink_stop(sink)
        sink = nil
        for file in baselineFiles { dmq_baseline_close(file) }
        log?.abandon()
        log = nil
        try prepared.remove()
    }
}
