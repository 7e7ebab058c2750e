/// A target, its level, and what its files may import. docs/architecture.md tells the reasons.
struct ModuleRule: Sendable {
    let name: String
    /// A module imports only modules of strictly lower levels.
    let level: Int
    /// Modules of this package.
    let imports: [String]
    /// Modules of the toolchain and the system.
    let systemImports: [String]

    init(_ name: String, level: Int, _ imports: [String], system: [String] = []) {
        self.name = name
        self.level = level
        self.imports = imports
        systemImports = system
    }
}

/// Tests stand above everything.
private let testLevel = 100

/// What all tests may import beside what they test.
private let testing = ["Foundation", "Testing"]

let moduleRules: [ModuleRule] = [
    ModuleRule("CLiburing", level: 0, []),
    ModuleRule("CLZ4", level: 0, []),
    ModuleRule("CZstd", level: 0, []),
    ModuleRule("CSnappy", level: 0, []),
    ModuleRule("CZlib", level: 0, []),
    ModuleRule("CLinux", level: 0, []),
    ModuleRule("CShims", level: 0, []),
    ModuleRule("Base", level: 0, [], system: ["Synchronization"]),
    ModuleRule(
        "SystemIO", level: 1, ["Base", "CLiburing", "CLinux", "CShims"],
        system: ["Glibc", "Synchronization"]),
    ModuleRule("RecordFormat", level: 1, ["Base", "CLZ4", "CZstd", "CSnappy", "CZlib", "CShims"]),
    ModuleRule("Settings", level: 1, ["Base"]),
    ModuleRule("LogStorage", level: 2, ["Base", "SystemIO", "RecordFormat"], system: ["Synchronization"]),
    ModuleRule("Transport", level: 2, ["Base", "SystemIO"], system: ["Synchronization"]),
    ModuleRule("RaftConsensus", level: 2, ["Base"]),
    ModuleRule("KafkaProtocol", level: 2, ["Base", "RecordFormat"]),
    ModuleRule("ClusterMetadata", level: 3, ["Base", "RecordFormat", "KafkaProtocol"]),
    ModuleRule("Replication", level: 3, ["Base", "SystemIO", "RecordFormat", "LogStorage"]),
    ModuleRule("ProtocolSchema", level: 6, ["Base"]),
    ModuleRule("dmq-schema", level: 7, ["ProtocolSchema"], system: ["Foundation"]),
    ModuleRule(
        "RaftController", level: 4,
        ["Base", "SystemIO", "RecordFormat", "LogStorage", "KafkaProtocol", "ClusterMetadata"]),
    ModuleRule("Coordinators", level: 4, ["Base", "RecordFormat", "KafkaProtocol"]),
    ModuleRule(
        "Broker", level: 5,
        [
            "Base", "SystemIO", "RecordFormat", "LogStorage", "Settings", "KafkaProtocol", "Transport",
            "ClusterMetadata", "Replication", "RaftController", "Coordinators",
        ], system: ["Synchronization"]),
    ModuleRule(
        "dmq", level: 7, ["Base", "SystemIO", "RecordFormat", "Settings", "DMQClient", "Broker"],
        system: ["Foundation", "Synchronization"]),
    ModuleRule(
        "DMQClient", level: 3, ["Base", "SystemIO", "RecordFormat", "KafkaProtocol", "Transport"],
        system: ["Synchronization"]),
    ModuleRule(
        "dmq-dump-log", level: 7,
        ["Base", "SystemIO", "RecordFormat", "LogStorage", "KafkaProtocol", "ClusterMetadata"],
        system: ["Foundation", "Synchronization"]),
    ModuleRule(
        "dmq-bench", level: 7,
        [
            "Base", "SystemIO", "RecordFormat", "LogStorage", "KafkaProtocol", "ClusterMetadata",
            "RaftController", "DMQClient", "CBaseline", "CAllocationCounter",
        ],
        system: ["Foundation", "Synchronization"]),
    ModuleRule("CBaseline", level: 1, ["CShims"]),
    ModuleRule("CAllocationCounter", level: 0, []),
    ModuleRule(
        "SimulationKit", level: 3, ["Base", "SystemIO", "RecordFormat", "LogStorage"],
        system: ["Glibc", "Synchronization"]),
    ModuleRule("BaseTests", level: testLevel, ["Base"], system: testing),
    ModuleRule(
        "SystemIOTests", level: testLevel,
        ["Base", "SystemIO", "SimulationKit", "CShims", "CLinux", "CAllocationCounter"],
        system: testing + ["Synchronization", "Glibc"]),
    ModuleRule(
        "RecordFormatTests", level: testLevel, ["Base", "RecordFormat", "CShims", "CAllocationCounter"],
        system: testing),
    ModuleRule("SettingsTests", level: testLevel, ["Base", "Settings", "LogStorage"], system: testing),
    ModuleRule(
        "ReplicationTests", level: testLevel,
        ["Base", "SystemIO", "RecordFormat", "LogStorage", "Replication", "SimulationKit"], system: testing),
    ModuleRule(
        "ClusterMetadataTests", level: testLevel,
        ["Base", "RecordFormat", "KafkaProtocol", "ClusterMetadata"], system: testing),
    ModuleRule(
        "RaftControllerTests", level: testLevel,
        [
            "Base", "SystemIO", "RecordFormat", "LogStorage", "KafkaProtocol", "ClusterMetadata",
            "RaftController", "SimulationKit",
        ], system: testing),
    ModuleRule(
        "LogStorageTests", level: testLevel,
        ["Base", "SystemIO", "RecordFormat", "LogStorage", "SimulationKit", "CAllocationCounter"],
        system: testing + ["Synchronization"]),
    ModuleRule(
        "KafkaProtocolTests", level: testLevel, ["Base", "RecordFormat", "KafkaProtocol", "ProtocolSchema"],
        system: testing),
    ModuleRule("RaftConsensusTests", level: testLevel, ["Base", "RaftConsensus"], system: testing),
    ModuleRule(
        "TransportTests", level: testLevel,
        ["Base", "SystemIO", "Transport", "SimulationKit", "CAllocationCounter"],
        system: testing + ["Synchronization"]),
    ModuleRule(
        "CoordinatorsTests", level: testLevel, ["Base", "RecordFormat", "KafkaProtocol", "Coordinators"],
        system: testing),
    ModuleRule(
        "BrokerTests", level: testLevel,
        [
            "Base", "SystemIO", "RecordFormat", "LogStorage", "Settings", "KafkaProtocol", "ClusterMetadata",
            "Replication", "Coordinators", "Broker", "SimulationKit", "CAllocationCounter",
        ], system: testing),
    ModuleRule(
        "SimulationTests", level: testLevel,
        ["Base", "SystemIO", "RecordFormat", "LogStorage", "SimulationKit"],
        system: testing + ["Synchronization"]),
    ModuleRule(
        "FormatTests", level: testLevel, ["Base", "SystemIO", "RecordFormat", "LogStorage"], system: testing),
    ModuleRule(
        "FuzzTests", level: testLevel,
        [
            "Base", "SystemIO", "RecordFormat", "Settings", "LogStorage", "KafkaProtocol", "ProtocolSchema",
            "ClusterMetadata", "RaftController", "SimulationKit",
        ],
        system: testing),
    ModuleRule(
        "CommandTests", level: testLevel,
        [
            "Base", "SystemIO", "RecordFormat", "KafkaProtocol", "LogStorage", "dmq", "dmq-dump-log",
            "dmq-bench",
        ], system: testing),
    ModuleRule(
        "DMQClientTests", level: testLevel,
        ["Base", "SystemIO", "RecordFormat", "KafkaProtocol", "Transport", "DMQClient"], system: testing),
    ModuleRule("CompatibilityTests", level: testLevel, ["dmq"], system: testing),
    ModuleRule("TidyTests", level: testLevel, ["Base"], system: testing),
]
