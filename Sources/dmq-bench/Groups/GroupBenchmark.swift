import Base

/// What members of groups do all day.
enum GroupPhase: String, CaseIterable {
    case join, heartbeat, commit

    /// How often in a run, so that there is something to measure.
    var roundCount: Int { self == .join ? 1 : 10 }
}

/// What many members or many groups cost, beside a tenth of them: one member's share is to stay what it was.
final class GroupBenchmark: Benchmark {
    private let options: BrokerOptions
    private let directory: WorkDirectory
    private let phase: GroupPhase
    private let shape: GroupShape
    private let smaller: GroupShape
    let targets: [Target]

    /// - Parameter shape: the baseline has a tenth of the members, or of the groups where they are of one.
    init(
        _ phase: GroupPhase, _ shape: GroupShape, _ options: BrokerOptions, _ directory: WorkDirectory,
        targets: [Target] = []
    ) {
        self.phase = phase
        self.shape = shape
        self.options = options
        self.directory = directory
        self.targets = targets
        var smaller = shape
        if shape.memberCount > 1 {
            smaller.memberCount = max(1, shape.memberCount / 10)
        } else {
            smaller.groupCount = max(1, shape.groupCount / 10)
        }
        self.smaller = smaller
    }

    private var isOneGroup: Bool { shape.groupCount == 1 }

    private var kind: String { shape.usesConsumerProtocol ? "consumer group" : "group" }

    var title: String {
        isOneGroup
            ? "broker, \(phase.rawValue) of \(shape.memberCount) members of a \(kind)"
            : "broker, \(phase.rawValue) of \(shape.groupCount) groups of \(shape.memberCount)"
    }

    var baselineName: String { "\(isOneGroup ? smaller.memberCount : smaller.groupCount)" }

    var settings: [(name: String, value: String)] {
        [("durability", options.durability.rawValue), ("rounds", "\(phase.roundCount)")]
            + options.settings.map { ("set", $0) }
    }

    var metrics: [Metric] { [Self.rate(phase), Self.cost(phase), .memory] }

    private static func rate(_ phase: GroupPhase) -> Metric {
        Metric("\(phase.rawValue)s", "1/s", isBetterHigh: true, Metric.operations.value)
    }

    /// Processor time of the server.
    static func cost(_ phase: GroupPhase) -> Metric {
        Metric.timePer(phase.rawValue) { $0.operationCount }
    }

    func prepare() throws {}

    func run() throws -> Sample { try measure(shape) }

    func runBaseline() throws -> Sample { try measure(smaller) }

    func finish() throws {}

    private func measure(_ shape: GroupShape) throws -> Sample {
        let path = try directory.makeDirectory("groups")
        var options = options
        // Who shares a connection would wait for those before it; of one group all are to come in time.
        options.settings.append("group.initial.rebalance.delay.ms=\(shape.memberCount > 1 ? 500 : 0)")
        options.settings.append("group.max.size=\(max(shape.memberCount, 1))")
        let server = try TestedServer(.dmq, options, in: path)
        let crowd: any Crowd
        if shape.usesConsumerProtocol {
            try server.makeTopic(GroupCrowd.topic, partitionCount: shape.memberCount)
            crowd = try ConsumerCrowd(port: server.port, memberCount: shape.memberCount)
        } else {
            try server.makeTopic(GroupCrowd.topic, partitionCount: options.partitionCount)
            crowd = try GroupCrowd(port: server.port, shape)
        }
        if phase != .join {
            try crowd.join()
            try crowd.commit()
        }
        var sample = try Sample.measured(.child(server.child)) { _ in
            for _ in 0..<phase.roundCount {
                switch phase {
                case .join: try crowd.join()
                case .heartbeat: try crowd.heartbeat()
                case .commit: try crowd.commit()
                }
            }
        }
        sample.operationCount = UInt64(shape.totalCount * phase.roundCount)
        sample.residentByteCount = server.residentByteCount
        server.kill()
        try directory.remove(path)
        return sample
    }
}
