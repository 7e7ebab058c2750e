import Base
import CBaseline
import LogStorage
import RecordFormat
import SystemIO

/// Opens a log of many segments that was closed in order.
final class OpenBenchmark: Benchmark {
    private let options: StorageOptions
    private let prepared: PreparedLog
    let targets: [Target]

    init(_ options: StorageOptions, _ directory: WorkDirectory, targets: [Target] = []) throws {
        var options = options
        options.batchByteCount = min(options.batchByteCount, 4096)
        options.recordByteCount = min(options.recordByteCount, 1024)
        self.options = options
        self.targets = targets
        prepared = try PreparedLog(options, directory)
    }

    let title = "open"

    var settings: [(name: String, value: String)] { [("segments", "\(options.segmentCount)")] }

    var metrics: [Metric] { [.elapsed] }

    func prepare() throws {
        try prepared.fill(segments: options.segmentCount, batchesPerSegment: 2)
    }

    func run() throws -> Sample {
        var log: PartitionLog?
        var sample = try Sample.measured(.process) { _ in log = try prepared.open(isClean: true) }
        guard let log, log.segmentCount == options.segmentCount, log.logEndOffset == prepared.endOffset else {
            throw BenchmarkError.wrongResult(
                "\(log?.segmentCount ?? 0) segments instead of \(options.segmentCount), "
                    + "end \(log?.logEndOffset ?? .zero) instead of \(prepared.endOffset)")
        }
        sample.operationCount = UInt64(log.segmentCount)
        sample.hash = UInt64(bitPattern: log.logEndOffset.rawValue)
        _ = try log.close()
        return sample
    }

    func runBaseline() throws -> Sample {
        var files: Int64 = 0
        var sample = Sample.measured(.process) { sample in
            files = dmq_baseline_list(prepared.path, &sample.hash)
        }
        guard files >= options.segmentCount else {
            throw BenchmarkError.baselineFailed("\(files) files in \(prepared.path)")
        }
        sample.operationCount = UInt64(options.segmentCount)
        return sample
    }

    func finish() throws { try prepared.remove() }
}
