import LogStorage
import RecordFormat
import SystemIO

/// Shows the small files of a log directory and of a partition, which are read whole.
struct StateFileDump {
    /// Larger than any of them may be.
    private static let maximumByteCount = 256 << 20

    private let path: String
    private let kind: DumpFileKind
    private let fileSystem: any FileSystem
    private let output: DumpOutput
    /// Only what is wrong is said.
    private let isSilent: Bool

    init(
        _ path: String, _ kind: DumpFileKind, _ fileSystem: any FileSystem, _ output: DumpOutput,
        isSilent: Bool
    ) {
        self.path = path
        self.kind = kind
        self.fileSystem = fileSystem
        self.output = output
        self.isSilent = isSilent
    }

    func show() throws(DumpFailure) {
        let bytes: [UInt8]
        do throws(StateFileError) {
            let read = try AtomicFile.read(path, maximumByteCount: Self.maximumByteCount, fileSystem)
            guard let read else { throw StateFileError.io(IOError(.open, path, .noSuchFile)) }
            bytes = read
        } catch {
            if case .io(let cause) = error { throw .input(cause) }
            return try damage(byteCount: 0, error)
        }
        let lines: [DumpLine]
        do throws(StateFileError) {
            lines = try parse(bytes)
        } catch {
            return try damage(byteCount: bytes.count, error)
        }
        if isSilent { return }
        try DumpFailure.writing { () throws(IOError) in
            for line in lines { try output.write(line) }
        }
    }

    private func damage(byteCount: Int, _ error: StateFileError) throws(DumpFailure) {
        var reason = error.description
        if case .malformed(_, let line, let text) = error {
            reason = line.map { "line \($0): \(text)" } ?? text
        }
        try DumpFailure.writing { () throws(IOError) in
            try output.damage(path, position: 0, byteCount: Int64(byteCount), reason)
        }
    }

    private func parse(_ bytes: [UInt8]) throws(StateFileError) -> [DumpLine] {
        switch kind {
        case .producerSnapshot(let name): return try producers(bytes, name)
        case .leaderEpochs:
            return try LeaderEpochCache(parsing: bytes, path: path).entries.map {
                line(
                    "leaderEpoch",
                    [
                        DumpField("epoch", $0.epoch.rawValue), DumpField("startOffset", $0.startOffset),
                    ])
            }
        case .offsetCheckpoint:
            return try OffsetCheckpoint(parsing: bytes, path: path).entries.map {
                line(
                    "checkpoint",
                    [
                        DumpField("topic", $0.partition.topic),
                        DumpField("partition", $0.partition.partition),
                        DumpField("offset", $0.offset),
                    ])
            }
        case .partitionMetadata:
            let metadata = try PartitionMetadata(parsing: bytes, path: path)
            return [line("partitionMetadata", [DumpField("topicId", metadata.topicID.description)])]
        case .metaProperties:
            let properties = try MetaProperties(parsing: bytes, path: path)
            return properties.keys.map {
                line("property", [DumpField("key", $0), DumpField("value", properties[$0] ?? "")])
            }
        case .cleanShutdown:
            let marker = try CleanShutdownMarker(parsing: bytes, path: path)
            return [line("cleanShutdown", [DumpField("brokerEpoch", marker.brokerEpoch)])]
        case .quorumState:
            guard let json = CompactJSON.text(bytes) else {
                throw .malformed(path: path, line: nil, reason: "the file is not JSON")
            }
            return [line("quorumState", [DumpField("content", .json(json))])]
        case .segment, .metadataSnapshot, .ignored, .unknown: return []
        }
    }

    private func line(_ type: String, _ fields: [DumpField]) -> DumpLine { DumpLine(type, path, fields) }

    private func producers(_ bytes: [UInt8], _ name: LogFileName) throws(StateFileError) -> [DumpLine] {
        let entries: [ProducerEntry]
        do throws(ProducerSnapshotError) {
            entries = try ProducerSnapshotFile.decode(bytes: bytes)
        } catch {
            throw .malformed(path: path, line: nil, reason: error.description)
        }
        for entry in entries where entry.lastDataOffset >= name.baseOffset {
            throw .malformed(
                path: path, line: nil,
                reason:
                    "producer \(entry.producerID) has last offset \(entry.lastDataOffset), but the snapshot"
                    + " was taken before \(name.baseOffset)")
        }
        return entries.map { entry in
            line(
                "producer",
                [
                    DumpField("producerId", entry.producerID.rawValue),
                    DumpField("producerEpoch", entry.producerEpoch.rawValue),
                    DumpField("lastSequence", entry.lastSequence.rawValue),
                    DumpField("lastOffset", entry.lastDataOffset),
                    DumpField("offsetDelta", entry.lastOffsetDelta),
                    DumpField("lastTimestamp", entry.lastTimestamp),
                    DumpField("coordinatorEpoch", entry.coordinatorEpoch),
                    DumpField(
                        "currentTransactionFirstOffset",
                        entry.currentTransactionFirstOffset.map { .integer($0.rawValue) } ?? .null),
                ])
        }
    }
}
