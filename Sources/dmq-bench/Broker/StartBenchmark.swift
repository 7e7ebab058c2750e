import Base
import CBaseline

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
        var creationNanoseconds: UInt64 = 0
    }

    var title: String { "broker, start and idle with \(options.storedPartitionCount) partitions" }

    var baselineName: String { "\(options.partitionCount)" }

    var settings: [(name: String, value: String)] {
        [("idle", DurationText.format(nanoseconds: options.durationNanoseconds))]
    }

    var metrics: [Metric] { [.creation, .start, .startAfterKill, .memory, .descriptors, .coreShare] }

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
            try server.makeTopic(
                "from-\(first)", partitionCount: min(Self.topicPartitionCount, partitionCount - first))
        }
        let creation = dmq_nanoseconds() - begin
        try server.stop()
        return Stored(path: path, creationNanoseconds: creation)
    }

    func run() throws -> Sample { try measure(many) }

    func runBaseline() throws -> Sample { try measure(few) }

    private func measure(_ stored: Stored) throws -> Sample {
        let server = try TestedServer(.dmq, options, in: stored.path)
        var sample = server.sampleIdle(nanoseconds: options.durationNanoseconds)
        sample.creationNanoseconds = stored.creationNanoseconds
        sample.descriptorCount = server.descriptorCount
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
