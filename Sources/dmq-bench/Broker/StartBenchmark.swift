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
        let server = try TestedServer(kind, options, directory)
        // What starting leaves to be done.
        dmq_nap(options.durationNanoseconds / 10)
        var sample = Sample.measured(.child(server.child)) { _ in dmq_nap(options.durationNanoseconds) }
        sample.startNanoseconds = server.startNanoseconds
        sample.residentByteCount = server.residentByteCount
        return sample
    }
}
