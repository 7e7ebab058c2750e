import Base
import CBaseline
import LogStorage
import RecordFormat
import SystemIO

/// Opens a log as after a crash that left no checkpoint: every batch is read and checked, and the indexes are
/// made anew.
final class RecoverBenchmark: Benchmark {
    private let options: StorageOptions
    private let prepared: PreparedLog
    let targets: [Target] = []

    init(_ options: StorageOptions, _ directory: WorkDirectory) throws {
        self.options = options
        prepared = try PreparedLog(options, directory)
    }

    let title = "recover"

    var settings: [(name: String, value: String)] {
        [
            ("batch", ByteCountText.format(Int64(options.batchByteCount))), ("codec", options.codecName),
            ("log", ByteCountText.format(Int64(options.totalByteCount))),
            ("segment", ByteCountText.format(Int64(options.segmentByteCount))),
        ]
    }

    var metrics: [Metric] { [.elapsed, .throughput, .records, .userTime, .systemTime, .processorTime] }

    func prepare() throws { try prepared.fill(byteCount: options.totalByteCount) }

    func run() throws -> Sample {
        var log: PartitionLog?
        var sample = try Sample.measured(.process) { _ in log = try prepared.open(isClean: false) }
        guard let log, log.logEndOffset == prepared.endOffset else {
            throw BenchmarkError.wrongResult(
                "the log ends at \(log?.logEndOffset ?? .zero), not \(prepared.endOffset)")
        }
        sample.byteCount = UInt64(log.byteCount)
        sample.recordCount = prepared.recordCount
        sample.operationCount = 1
        sample.hash = UInt64(bitPattern: log.logEndOffset.rawValue)
        _ = try log.close()
        return sample
    }

    func runBaseline() throws -> Sample {
        let paths = try prepared.segmentPaths()
        var sample = Sample.measured(.process) { sample in
            for path in paths {
                var hash: UInt64 = 0
                let sound = dmq_baseline_recover(path, Self.windowByteCount, &hash)
                if sound > 0 { sample.byteCount += UInt64(sound) }
                sample.hash = sample.hash &* 31 &+ hash
            }
        }
        guard sample.byteCount == prepared.byteCount else {
            throw BenchmarkError.baselineFailed(
                "\(sample.byteCount) of \(prepared.byteCount) bytes are sound")
        }
        sample.recordCount = prepared.recordCount
        sample.operationCount = 1
        return sample
    }

    /// Twice the largest batch.
    private static let windowByteCount = 2 << 20

    func finish() throws { try prepared.remove() }
}
