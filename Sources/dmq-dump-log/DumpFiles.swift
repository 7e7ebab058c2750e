import LogStorage
import RecordFormat
import SystemIO

/// What a file holds, by its name.
enum DumpFileKind: Equatable {
    /// A log or an index of a segment.
    case segment(LogFileName)
    case producerSnapshot(LogFileName)
    /// Batches that are no segment: a snapshot of the cluster's metadata.
    case metadataSnapshot
    case leaderEpochs
    case offsetCheckpoint
    case partitionMetadata
    case metaProperties
    case cleanShutdown
    case quorumState
    /// Locks, and what a broker is still writing.
    case ignored
    case unknown

    init(name: String) {
        if let parsed = LogLayout.parse(fileName: name) {
            self = parsed.kind == .producerSnapshot ? .producerSnapshot(parsed) : .segment(parsed)
            return
        }
        switch name {
        case LogLayout.leaderEpochCheckpoint: self = .leaderEpochs
        case LogLayout.recoveryPointCheckpoint, LogLayout.logStartOffsetCheckpoint,
            LogLayout.highWatermarkCheckpoint, LogLayout.cleanerOffsetCheckpoint:
            self = .offsetCheckpoint
        case LogLayout.partitionMetadata: self = .partitionMetadata
        case LogLayout.metaProperties: self = .metaProperties
        case LogLayout.cleanShutdownMarker: self = .cleanShutdown
        case "quorum-state": self = .quorumState
        case LogLayout.lockFile: self = .ignored
        default:
            if name.hasSuffix(".checkpoint") {
                self = .metadataSnapshot
            } else if name.hasSuffix(LogLayout.temporarySuffix) || name.hasPrefix("recycled-") {
                self = .ignored
            } else {
                self = .unknown
            }
        }
    }
}

/// The files of one segment: those that were asked for, and what is beside them.
struct SegmentFiles {
    let directory: String
    let baseOffset: Offset
    let suffix: LogFileSuffix?
    /// In the order in which they are shown.
    var asked: [LogFileKind]
    /// There, asked for or not.
    let present: Set<LogFileKind>
    /// Base offset of the log's next segment; nil when this is the last.
    let nextBaseOffset: Offset?

    func path(_ kind: LogFileKind) -> String {
        LogLayout.path(directory, LogLayout.fileName(kind, baseOffset, suffix: suffix))
    }

    var extent: LogExtent { LogExtent(baseOffset: baseOffset, isLast: nextBaseOffset == nil) }

    /// Bytes of the files asked for.
    func byteCount(_ fileSystem: any FileSystem) -> Int64 {
        asked.reduce(0) { $0 + ((try? fileSystem.attributes(of: path($1))?.byteCount) ?? 0) }
    }
}

/// One thing to look into.
enum DumpItem {
    case segment(SegmentFiles)
    case file(path: String, kind: DumpFileKind)
}

/// Finds what the arguments name.
struct DumpFiles {
    /// Deeper than any log directory below a directory of log directories.
    private static let maximumDepth = 8

    private let fileSystem: any FileSystem
    private let output: DumpOutput
    private var items: [DumpItem] = []

    /// What `paths` name, directories with all that is in them, segments by their offsets. What cannot be
    /// read is told to `output`.
    static func items(_ paths: [String], _ fileSystem: any FileSystem, _ output: DumpOutput) -> [DumpItem] {
        var files = DumpFiles(fileSystem: fileSystem, output: output)
        for path in paths { files.add(argument: path) }
        return files.items
    }

    private init(fileSystem: any FileSystem, output: DumpOutput) {
        self.fileSystem = fileSystem
        self.output = output
    }

    private mutating func add(argument: String) {
        var path = argument
        while path.count > 1 && path.hasSuffix("/") { path.removeLast() }
        do throws(IOError) {
            guard let attributes = try fileSystem.attributes(of: path) else {
                throw IOError(.open, path, .noSuchFile)
            }
            switch attributes.kind {
            case .directory: try add(directory: path, depth: 0)
            case .regular: try add(file: path)
            case .other: output.unreadable("\(path) is neither a file nor a directory")
            }
        } catch {
            output.unreadable("\(error)")
        }
    }

    private mutating func add(file path: String) throws(IOError) {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let kind = DumpFileKind(name: name)
        guard case .segment(let parsed) = kind else {
            if kind == .unknown || kind == .ignored {
                output.unreadable(
                    "\(path): no name of a file that belongs to a log, so its format is not known")
            } else {
                items.append(.file(path: path, kind: kind))
            }
            return
        }
        let directory = LogLayout.parent(of: path)
        let names = try fileSystem.contents(ofDirectory: directory).map(\.name)
        var segment = Self.segments(directory, names).first {
            $0.baseOffset == parsed.baseOffset && $0.suffix == parsed.suffix
        }
        segment?.asked = [parsed.kind]
        if let segment { items.append(.segment(segment)) }
    }

    private mutating func add(directory: String, depth: Int) throws(IOError) {
        let entries = try fileSystem.contents(ofDirectory: directory).sorted { $0.name < $1.name }
        let names = entries.filter { $0.kind == .regular }.map(\.name)
        for name in names {
            let kind = DumpFileKind(name: name)
            switch kind {
            case .segment, .producerSnapshot, .ignored, .unknown: continue
            default: items.append(.file(path: LogLayout.path(directory, name), kind: kind))
            }
        }
        items += Self.segments(directory, names).map { .segment($0) }
        for name in names {
            if case .producerSnapshot = DumpFileKind(name: name) {
                items.append(.file(path: LogLayout.path(directory, name), kind: DumpFileKind(name: name)))
            }
        }
        guard depth < Self.maximumDepth else { return }
        for entry in entries where entry.kind == .directory {
            let path = LogLayout.path(directory, entry.name)
            do throws(IOError) {
                try add(directory: path, depth: depth + 1)
            } catch {
                output.unreadable("\(error)")
            }
        }
    }

    private struct SegmentName: Hashable {
        let baseOffset: Offset
        let suffix: LogFileSuffix?
    }

    /// The segments that the files in a directory make up, by suffix (none first) and offset.
    private static func segments(_ directory: String, _ names: [String]) -> [SegmentFiles] {
        var kinds: [SegmentName: Set<LogFileKind>] = [:]
        for name in names {
            guard case .segment(let parsed) = DumpFileKind(name: name) else { continue }
            kinds[SegmentName(baseOffset: parsed.baseOffset, suffix: parsed.suffix), default: []]
                .insert(parsed.kind)
        }
        let logOffsets = kinds.filter { $0.key.suffix == nil && $0.value.contains(.log) }
            .map(\.key.baseOffset).sorted()
        let order = kinds.keys.sorted {
            ($0.suffix?.rawValue ?? "", $0.baseOffset) < ($1.suffix?.rawValue ?? "", $1.baseOffset)
        }
        return order.map { name in
            let present = kinds[name] ?? []
            return SegmentFiles(
                directory: directory, baseOffset: name.baseOffset, suffix: name.suffix,
                asked: LogFileKind.allCases.filter { present.contains($0) }, present: present,
                nextBaseOffset: name.suffix == nil ? logOffsets.first { $0 > name.baseOffset } : nil)
        }
    }
}
