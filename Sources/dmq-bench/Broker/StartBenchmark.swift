import Base
import CBaseline

/// A server that starts, and then has nothing to do.
final class StartBenchmark: Benchmark {
    private let options: BrokerOptions
    private let directory: WorkDirectory
    let targets: [Target]

    init(_ options: BrokerOptions, _ directory: WorkDirectory, targets: [Target] = []) {
        self.options = options
        self.directory = directory
        self.targets = targets
    }

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

/// A server that starts again with many partitions that it has stored, and then has nothing to do; beside it
/// one with few.
final class RestartBenchmark: Benchmark {
    private let options: BrokerOptions
    private let directory: WorkDirectory
    private var paths: (many: String, few: String) = ("", "")
    let targets: [Target]

    init(_ options: BrokerOptions, _ directory: WorkDirectory, targets: [Target] = []) {
        self.options = options
        self.directory = directory
        self.targets = targets
    }

    var title: String { "broker, start and idle with \(options.storedPartitionCount) partitions" }

    var baselineName: String { "\(options.partitionCount)" }

    var settings: [(name: String, value: String)] {
        [("idle", DurationText.format(nanoseconds: options.durationNanoseconds))]
    }

    var metrics: [Metric] { [.start, .memory, .coreShare] }

    func prepare() throws {
        paths.many = try prepare("many", partitionCount: options.storedPartitionCount)
        paths.few = try prepare("few", partitionCount: options.partitionCount)
    }

    /// More would take longer than a client waits.
    private static let topicPartitionCount = 250

    private func prepare(_ name: String, partitionCount: Int) throws -> String {
        let path = try directory.makeDirectory(name)
        let server = try TestedServer(.dmq, options, in: path)
        for first in stride(from: 0, to: partitionCount, by: Self.topicPartitionCount) {
            try server.makeTopic(
                "from-\(first)", partitionCount: min(Self.topicPartitionCount, partitionCount - first))
        }
        try server.stop()
        return path
    }

    func run() throws -> Sample { try measure(paths.many) }

    func runBaseline() throws -> Sample { try measure(paths.few) }

    private func measure(_ path: String) throws -> Sample {
        let server = try TestedServer(.dmq, options, in: path)
        let sample = server.sampleIdle(nanoseconds: options.durationNanoseconds)
        try server.stop()
        return sample
    }

    func finish() throws {
        try directory.remove(paths.many)
        try directory.remove(paths.few)
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
