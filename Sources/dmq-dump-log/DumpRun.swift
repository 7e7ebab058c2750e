import Base
import LogStorage
import RecordFormat
import SystemIO

/// Looks into everything that the arguments name, one thing after the other.
struct DumpRun {
    private let options: DumpOptions
    private let fileSystem: any FileSystem
    private let output: DumpOutput

    init(_ options: DumpOptions, _ fileSystem: any FileSystem, _ output: DumpOutput) {
        self.options = options
        self.fileSystem = fileSystem
        self.output = output
    }

    /// Throws only when the output cannot be written.
    func run() throws(IOError) {
        let items = seekable(DumpFiles.items(options.paths, fileSystem, output))
        var progress = DumpProgress(
            isWanted: options.showsProgress && (options.verifies || !StandardStream.output.isTerminal),
            total: items.reduce(0) { $0 + byteCount($1) })
        let counts = VerifiedCounts()
        for item in items {
            do throws(DumpFailure) {
                try look(into: item, &progress, counts)
            } catch {
                switch error {
                case .output(let cause): throw cause
                case .input(let cause): output.unreadable("\(cause)")
                }
            }
        }
        progress.end()
        if options.verifies { try summarise(counts, itemCount: items.count) }
        try output.flush()
    }

    private func look(
        into item: DumpItem, _ progress: inout DumpProgress, _ counts: VerifiedCounts
    ) throws(DumpFailure) {
        switch item {
        case .segment(let segment):
            if options.verifies {
                try SegmentCheck(segment, fileSystem, output, counts).run(&progress)
                if options.printsRecords, segment.asked.contains(.log) {
                    var silent = DumpProgress(isWanted: false, total: 0)
                    let dump = LogDump(options, fileSystem, output, reportsDamage: false)
                    try dump.show(segment.path(.log), segment, &silent)
                }
            } else {
                try show(segment, &progress)
            }
        case .file(let path, .metadataSnapshot):
            let extent = LogExtent(baseOffset: .zero, isLast: true)
            if options.verifies {
                let check = BatchFileCheck(path, extent, fileSystem, output, counts)
                try check.run(&progress)
            }
            if !options.verifies || options.printsRecords {
                let dump = LogDump(options, fileSystem, output, reportsDamage: !options.verifies)
                try dump.show(path, extent: extent, indexes: nil, &progress)
            }
        case .file(let path, let kind):
            counts.fileCount += 1
            try StateFileDump(path, kind, fileSystem, output, isSilent: options.verifies).show()
        }
    }

    private func show(_ segment: SegmentFiles, _ progress: inout DumpProgress) throws(DumpFailure) {
        for kind in segment.asked {
            if kind == .log {
                try LogDump(options, fileSystem, output, reportsDamage: true)
                    .show(segment.path(.log), segment, &progress)
            } else if options.start == .beginning {
                try IndexDump(segment, fileSystem, output).show(kind)
            }
        }
    }

    private func byteCount(_ item: DumpItem) -> Int64 {
        switch item {
        case .segment(let segment):
            return (try? fileSystem.attributes(of: segment.path(.log))?.byteCount) ?? 0
        case .file(let path, .metadataSnapshot): return (try? fileSystem.attributes(of: path)?.byteCount) ?? 0
        case .file: return 0
        }
    }

    /// With a place to begin at, only logs are shown, and of those only what reaches beyond it.
    private func seekable(_ items: [DumpItem]) -> [DumpItem] {
        guard options.start != .beginning else { return items }
        return items.filter { item in
            guard case .segment(let segment) = item, segment.asked.contains(.log) else { return false }
            if case .offset(let offset) = options.start, let next = segment.nextBaseOffset {
                return next > offset
            }
            return true
        }
    }

    private func summarise(_ counts: VerifiedCounts, itemCount: Int) throws(IOError) {
        try output.write(
            DumpLine(
                "summary", "",
                [
                    DumpField("files", counts.fileCount), DumpField("byteCount", counts.byteCount),
                    DumpField("batches", counts.batchCount), DumpField("records", counts.recordCount),
                    DumpField("indexEntries", counts.entryCount),
                    DumpField("damagedPlaces", output.damageCount),
                    DumpField("damagedByteCount", output.damagedByteCount),
                    DumpField("unreadable", output.unreadableCount),
                    DumpField("clean", output.exitStatus == 0),
                ]))
    }
}

/// What ended the look at one file: the file could not be read, which leaves the others, or nothing can be
/// said any more.
enum DumpFailure: Error {
    case input(IOError)
    case output(IOError)

    /// Runs what reads.
    static func reading<Result>(_ body: () throws(IOError) -> Result) throws(DumpFailure) -> Result {
        do throws(IOError) { return try body() } catch { throw .input(error) }
    }

    /// Runs what writes lines.
    static func writing(_ body: () throws(IOError) -> Void) throws(DumpFailure) {
        do throws(IOError) { try body() } catch { throw .output(error) }
    }
}

/// What `--verify` has looked at.
final class VerifiedCounts {
    var fileCount = 0
    var byteCount: Int64 = 0
    var batchCount = 0
    var recordCount: Int64 = 0
    var entryCount = 0
}
