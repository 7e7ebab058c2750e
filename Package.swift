// swift-tools-version: 6.2
import PackageDescription

// The order of the targets is the order of the levels in docs/architecture.md: a module imports only what
// stands above it here. Tests/TidyTests holds the table of allowed imports and compares it with the sources.

// Without MemberImportVisibility: which module of the C library a type like `timespec` is said to come from
// depends on the order in which the compiler builds them, so that the same sources would build on one day and
// not on the next.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableExperimentalFeature("Lifetimes"),
]

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func executable(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(
    _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [], resources: [Resource] = []
) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, exclude: exclude, resources: resources, swiftSettings: strict)
}

let fuzzerDependencies: [Target.Dependency] = [
    "Base", "SystemIO", "RecordFormat", "Settings", "LogStorage", "KafkaProtocol", "ProtocolSchema",
    "ClusterMetadata", "RaftController", "SimulationKit",
]

// Tests/FuzzTests holds the fuzzers. Swift Testing runs them briefly with a harness of our own; tools/fuzz
// sets the variable and has the same files built as a program for libFuzzer.
let fuzzers: Target =
    Context.environment["DMQ_FUZZ"] == nil
    ? .testTarget(
        name: "FuzzTests", dependencies: fuzzerDependencies, exclude: ["LibFuzzer"], swiftSettings: strict)
    : .executableTarget(
        name: "dmq-fuzz", dependencies: fuzzerDependencies, path: "Tests/FuzzTests",
        exclude: ["FuzzHarnessTests.swift"], swiftSettings: strict)

let package = Package(
    name: "dmq",
    targets: [
        // Level 0: system libraries, C shims, vocabulary.
        .systemLibrary(name: "CLiburing", pkgConfig: "liburing", providers: [.apt(["liburing-dev"])]),
        .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CSnappy", providers: [.apt(["libsnappy-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CLinux"),
        .target(name: "CShims", cSettings: [.unsafeFlags(["-O2"])]),
        library("Base"),

        // Level 1: the kernel, and the bytes.
        library("SystemIO", ["Base", "CLiburing", "CLinux", "CShims"]),
        library("RecordFormat", ["Base", "CLZ4", "CZstd", "CSnappy", "CZlib", "CShims"]),
        library("Settings", ["Base"]),

        // Level 2: the storage engine.
        library("LogStorage", ["Base", "SystemIO", "RecordFormat"]),
        library("Transport", ["Base", "SystemIO"]),

        // Level 2: consensus, as a function of what comes in.
        library("RaftConsensus", ["Base"]),

        // Level 2: the wire protocol, generated from its schemas by tools/schema.
        .target(
            name: "KafkaProtocol", dependencies: ["Base", "RecordFormat"], exclude: ["Schemas"],
            swiftSettings: strict),

        // Level 3: what the cluster's metadata says.
        library("ClusterMetadata", ["Base", "RecordFormat", "KafkaProtocol"]),

        // Level 3: who leads, and who waits.
        library("Replication", ["Base", "SystemIO", "RecordFormat", "LogStorage"]),
        library("DMQClient", ["Base", "SystemIO", "RecordFormat", "KafkaProtocol", "Transport"]),

        // Level 4: who decides what the metadata says.
        library(
            "RaftController",
            ["Base", "SystemIO", "RecordFormat", "LogStorage", "KafkaProtocol", "ClusterMetadata"]),

        // Level 4: who keeps groups and what they have committed.
        library("Coordinators", ["Base", "RecordFormat", "KafkaProtocol"]),

        // Level 5: the node.
        library(
            "Broker",
            [
                "Base", "SystemIO", "RecordFormat", "LogStorage", "Settings", "KafkaProtocol", "Transport",
                "ClusterMetadata", "Replication", "RaftController", "Coordinators",
            ]),

        // Level 6: what reads the schemas and writes Swift.
        library("ProtocolSchema", ["Base"]),

        // Level 7: executables.
        executable("dmq", ["Base", "SystemIO", "RecordFormat", "Settings", "DMQClient", "Broker"]),
        executable("dmq-schema", ["ProtocolSchema"]),
        executable(
            "dmq-dump-log",
            ["Base", "SystemIO", "RecordFormat", "LogStorage", "KafkaProtocol", "ClusterMetadata"]),
        executable(
            "dmq-bench",
            [
                "Base", "SystemIO", "RecordFormat", "LogStorage", "KafkaProtocol", "ClusterMetadata",
                "RaftController", "DMQClient", "CBaseline", "CAllocationCounter",
            ]),
        .target(
            name: "CBaseline", dependencies: ["CShims"], path: "Benchmarks/CBaseline",
            cSettings: [.unsafeFlags(["-O2"])]),
        .target(
            name: "CAllocationCounter", path: "Benchmarks/AllocationCounter",
            cSettings: [.unsafeFlags(["-O2"])]),

        // Tests, in the same order.
        .target(
            name: "SimulationKit", dependencies: ["Base", "SystemIO", "RecordFormat"],
            path: "Tests/SimulationKit",
            swiftSettings: strict),
        tests("BaseTests", ["Base"]),
        tests("SystemIOTests", ["Base", "SystemIO", "SimulationKit", "CAllocationCounter"]),
        tests("RecordFormatTests", ["Base", "RecordFormat", "CAllocationCounter"]),
        tests("SettingsTests", ["Base", "Settings", "LogStorage"]),
        tests(
            "LogStorageTests",
            ["Base", "SystemIO", "RecordFormat", "LogStorage", "SimulationKit", "CAllocationCounter"]),
        tests(
            "ReplicationTests",
            ["Base", "SystemIO", "RecordFormat", "LogStorage", "Replication", "SimulationKit"]),
        tests("RaftConsensusTests", ["Base", "RaftConsensus"], exclude: ["Scenarios"]),
        tests("KafkaProtocolTests", ["Base", "RecordFormat", "KafkaProtocol", "ProtocolSchema"]),
        tests(
            "TransportTests", ["Base", "SystemIO", "Transport", "SimulationKit", "CAllocationCounter"]),
        tests(
            "ClusterMetadataTests", ["Base", "RecordFormat", "KafkaProtocol", "ClusterMetadata"]),
        tests(
            "RaftControllerTests",
            [
                "Base", "SystemIO", "RecordFormat", "LogStorage", "KafkaProtocol", "ClusterMetadata",
                "RaftController", "SimulationKit",
            ]),
        tests("CoordinatorsTests", ["Base", "RecordFormat", "KafkaProtocol", "Coordinators"]),
        tests(
            "BrokerTests",
            [
                "Base", "SystemIO", "RecordFormat", "LogStorage", "Settings", "KafkaProtocol",
                "ClusterMetadata", "Replication", "Coordinators", "Broker", "SimulationKit",
                "CAllocationCounter",
            ]),
        tests(
            "DMQClientTests",
            ["Base", "SystemIO", "RecordFormat", "KafkaProtocol", "Transport", "DMQClient"]),
        tests("SimulationTests", ["Base", "SystemIO", "RecordFormat", "LogStorage", "SimulationKit"]),
        tests(
            "FormatTests", ["Base", "SystemIO", "RecordFormat", "LogStorage"], resources: [.copy("Golden")]),
        fuzzers,
        tests(
            "CommandTests",
            [
                "Base", "SystemIO", "RecordFormat", "KafkaProtocol", "LogStorage", "dmq", "dmq-dump-log",
                "dmq-bench",
            ]),
        tests("CompatibilityTests", ["dmq"], exclude: ["clients"]),
        tests("TidyTests", ["Base"]),
    ],
    swiftLanguageModes: [.v6]
)
