import LogStorage
import RecordFormat
import SystemIO

/// Shows the entries of a segment's indexes.
struct IndexDump {
    private let segment: SegmentFiles
    private let fileSystem: any FileSystem
    private let output: DumpOutput

    init(_ segment: SegmentFiles, _ fileSystem: any FileSystem, _ output: DumpOutput) {
        self.segment = segment
        self.fileSystem = fileSystem
        self.output = output
    }

    func show(_ kind: LogFileKind) throws(DumpFailure) {
        let path = segment.path(kind)
        let base = segment.baseOffset.rawValue
        switch kind {
        case .offsetIndex:
            let entries = try DumpFailure.reading { () throws(IOError) in try OffsetEntries(path, fileSystem)
            }
            try show(entries.file, "index") { (index) throws(IOError) in
                let entry = try entries.entry(index)
                return [
                    DumpField("offset", base &+ entry.relativeOffset),
                    DumpField("logPosition", entry.position),
                ]
            }
        case .timeIndex:
            let entries = try DumpFailure.reading { () throws(IOError) in try TimeEntries(path, fileSystem) }
            try show(entries.file, "timeIndex") { (index) throws(IOError) in
                let entry = try entries.entry(index)
                return [
                    DumpField("timestamp", Timestamp(entry.timestamp)),
                    DumpField("offset", base &+ entry.relativeOffset),
                ]
            }
        case .transactionIndex:
            let entries = try DumpFailure.reading { () throws(IOError) in
                try TransactionEntries(path, fileSystem)
            }
            try show(entries.file, "abortedTransaction") { (index) throws(IOError) in
                let entry = try entries.entry(index)
                return [
                    DumpField("version", entry.version), DumpField("producerId", entry.producerID),
                    DumpField("firstOffset", entry.firstOffset), DumpField("lastOffset", entry.lastOffset),
                    DumpField("lastStableOffset", entry.lastStableOffset),
                ]
            }
        case .log, .producerSnapshot: break
        }
    }

    private func show(
        _ file: EntryFile, _ type: String, _ fields: (Int) throws(IOError) -> [DumpField]
    ) throws(DumpFailure) {
        for index in 0..<file.count {
            let fields = try DumpFailure.reading { () throws(IOError) in try fields(index) }
            try DumpFailure.writing { () throws(IOError) in
                try output.write(
                    DumpLine(type, file.path, [DumpField("position", file.position(of: index))] + fields))
            }
        }
        try DumpFailure.writing { () throws(IOError) in try Self.noteRest(of: file, segment, output) }
    }

    /// Says what follows the entries.
    static func noteRest(
        of file: EntryFile, _ segment: SegmentFiles, _ output: DumpOutput
    ) throws(IOError) {
        let end = file.position(of: file.count)
        if file.partialByteCount > 0 {
            try output.damage(
                file.path, position: file.fileByteCount - file.partialByteCount,
                byteCount: file.partialByteCount,
                "the file does not end with a whole entry of \(file.entryByteCount) bytes")
        }
        guard file.unusedByteCount > 0 else { return }
        if segment.nextBaseOffset == nil {
            try output.information(
                file.path, position: end, byteCount: file.unusedByteCount,
                "allocated ahead: zeros to the end of the file")
        } else {
            try output.damage(
                file.path, position: end, byteCount: file.unusedByteCount,
                "zeros, in a segment that is not the log's last")
        }
    }
}
