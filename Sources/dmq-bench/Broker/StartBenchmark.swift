import Base
import CBaseline
import RecordFormat
import SystemIO

/// A server that starts, and then has nothing to do.
final class StartBenchmark: BrokerBenchmark, Benchmark {
    let title = "broker, start and idle"

    var settings: [(name: String, value: String)] {
        options.settingsText + [("idle", DurationText.format(nanoseconds: options.durationNanoseconds))]
    }

    var metrics: [Metric] { [.start, .memory, .coreShare] }

    func prepare() throws {}

    func run() throws -> Sample { try measure(.dmq) }

    func runBaseline() throws -> Sample { try measure(.ceiling) }

    func finish() throws {}

    private func measure(_ kind: TestedServerKind) throws -> Sample {
        let path = try directory.makeDirectory("start")
        let server = try TestedServer(kind, options, in: path)
        if kind == .dmq { try server.makeTopic("benchmark", partitionCount: options.partitionCount) }
        return server.sampleIdle(nanoseconds: options.durationNanoseconds)
    }
}

/// A server that starts again with many partitions that it has stored, after an end in order and after a
/// kill, and has nothing to do in between; beside it one with few.
final class RestartBenchmark: BrokerBenchmark, Benchmark {
    private var many = Stored()
    private var few = Stored()

    private struct Stored {
        var path = ""
        var writtenPartitionCount = 0
        var creationNanoseconds: UInt64 = 0
        /// Of the server that has written all that is stored.
        var stopNanoseconds: UInt64 = 0
    }

    var title: String { "broker, start and idle with \(options.storedPartitionCount) partitions" }

    var baselineName: String { "\(options.partitionCount)" }

    var settings: [(name: String, value: String)] {
        [
            ("idle", DurationText.format(nanoseconds: options.durationNanoseconds)),
            ("batches in each", "\(options.storedBatchCount)"),
        ]
    }

    var metrics: [Metric] { [.creation, .stop, .start, .startAfterKill, .memory, .descriptors, .coreShare] }

    func prepare() throws {
        many = try prepare("many", partitionCount: options.storedPartitionCount)
        few = try prepare("few", partitionCount: options.partitionCount)
    }

    /// One request may make twice as many.
    private static let topicPartitionCount = 5_000

    private func prepare(_ name: String, partitionCount: Int) throws -> Stored {
        let path = try directory.makeDirectory(name)
        let server = try TestedServer(.dmq, options, in: path)
        let begin = dmq_nanoseconds()
        for first in stride(from: 0, to: partitionCount, by: Self.topicPartitionCount) {
            // The load writes to the first one.
            try server.makeTopic(
                first == 0 ? "benchmark" : "from-\(first)",
                partitionCount: min(Self.topicPartitionCount, partitionCount - first))
        }
        let creation = dmq_nanoseconds() - begin
        let written = min(partitionCount, Self.topicPartitionCount)
        try write(options.storedBatchCount, toEach: written, at: server)
        let end = dmq_nanoseconds()
        try server.stop()
        return Stored(
            path: path, writtenPartitionCount: written, creationNanoseconds: creation,
            stopNanoseconds: dmq_nanoseconds() - end)
    }

    /// Writes batches to the first partitions.
    private func write(_ batchCount: Int, toEach partitionCount: Int, at server: TestedServer) throws {
        if batchCount == 0 { return }
        guard let load = dmq_load_connect(server.port) else {
            throw BenchmarkError.broker("cannot connect to port \(server.port)")
        }
        defer { dmq_load_close(load) }
        let traffic = try ProducerTraffic(
            valueByteCount: options.recordByteCount, recordsPerBatch: options.recordsPerBatch, codec: .none,
            count: 1, now: Timestamp(SystemClock().wallClockMilliseconds()))
        for _ in 0..<partitionCount {
            let isAdded = traffic.batches[0].withUnsafeBytes { dmq_load_add(load, $0.baseAddress, $0.count) }
            guard isAdded == 0 else { throw BenchmarkError.wrongResult("no request for a batch") }
        }
        let count = UInt64(batchCount * partitionCount)
        guard dmq_load_produce(load, count, Int32(options.inFlight), 0, nil) == 0 else {
            throw BenchmarkError.broker("produce failed: error code \(dmq_load_error(load))")
        }
    }

    func run() throws -> Sample { try measure(many) }

    func runBaseline() throws -> Sample { try measure(few) }

    private func measure(_ stored: Stored) throws -> Sample {
        let server = try TestedServer(.dmq, options, in: stored.path)
        var sample = server.sampleIdle(nanoseconds: options.durationNanoseconds)
        sample.creationNanoseconds = stored.creationNanoseconds
        sample.stopNanoseconds = stored.stopNanoseconds
        sample.descriptorCount = server.descriptorCount
        // What a kill leaves to be recovered.
        try write(min(options.storedBatchCount, 1), toEach: stored.writtenPartitionCount, at: server)
        server.kill()
        let again = try TestedServer(.dmq, options, in: stored.path)
        sample.startAfterKillNanoseconds = again.startNanoseconds
        try again.stop()
        return sample
    }

    func finish() throws {
        try directory.remove(many.path)
        try directory.remove(few.path)
    }
}

extension TestedServer {
    /// What it takes while nobody asks it anything.
    fileprivate func sampleIdle(nanoseconds: UInt64) -> Sample {
        // What starting leaves to be done.
        dmq_nap(nanoseconds / 10)
        var sample = Sample.measured(.child(child)) { _ in dmq_nap(nanoseconds) }
        sample.startNanoseconds = startNanoseconds
        sample.residentByteCount = residentByteCount
        return sample
    }
}
