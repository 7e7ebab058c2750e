internal import RecordFormat
internal import SystemIO

/// Putting a compacted segment in the place of its sources, so that a crash at any point leaves either them
/// or it.
///
/// The steps, each durable before the next:
///
/// 1. `.cleaned` files are written and synced, log and indexes. 2. The indexes are renamed to `.swap`. 3. The
/// log is renamed to `.log.swap`: from here on the swap is decided, recovery completes it. 4. The files of
/// the other sources are removed, and the new indexes get their names, over those of the first source. 5. The
/// log gets its name, over the first source.
///
/// A compacted segment has all its indexes, also an empty transaction index: in step 4 one that is not there
/// as `.swap` has got its name before a crash.
enum SegmentSwap {
    /// Steps 2 and 3.
    ///
    /// - Parameter names: the log's directory, opened beforehand: there is no going back from the middle.
    static func decide(
        _ baseOffset: Offset, in place: LogPlace, _ names: any OpenDirectory
    ) throws(IOError) {
        for kind in indexKinds {
            let source = place.filePath(kind, baseOffset, suffix: .cleaned)
            guard try place.fileSystem.attributes(of: source) != nil else { continue }
            try place.fileSystem.rename(source, to: place.filePath(kind, baseOffset, suffix: .swap))
        }
        try names.sync()
        try place.fileSystem.rename(
            place.filePath(.log, baseOffset, suffix: .cleaned),
            to: place.filePath(.log, baseOffset, suffix: .swap))
        try names.sync()
    }

    /// Removes what is there of a swap that was not decided; recovery does it where this fails.
    static func withdraw(_ baseOffset: Offset, in place: LogPlace) {
        for kind in indexKinds + [.log] {
            try? removeIfPresent(place.filePath(kind, baseOffset, suffix: .cleaned), place.fileSystem)
            if kind == .log { continue }
            try? removeIfPresent(place.filePath(kind, baseOffset, suffix: .swap), place.fileSystem)
        }
    }

    /// Steps 4 and 5.
    ///
    /// - Parameter covered: base offsets of the other sources.
    static func complete(
        _ baseOffset: Offset, covered: [Offset], in place: LogPlace, _ names: any OpenDirectory
    ) throws(IOError) {
        for source in covered {
            for kind in LogFileKind.allCases where kind != .producerSnapshot {
                try removeIfPresent(place.filePath(kind, source), place.fileSystem)
            }
        }
        for kind in indexKinds {
            let source = place.filePath(kind, baseOffset, suffix: .swap)
            guard try place.fileSystem.attributes(of: source) != nil else { continue }
            try place.fileSystem.rename(source, to: place.filePath(kind, baseOffset))
        }
        try names.sync()
        try place.fileSystem.rename(
            place.filePath(.log, baseOffset, suffix: .swap), to: place.filePath(.log, baseOffset))
        try names.sync()
    }

    /// Removes the producer snapshots below `offset`, which no recovery can start from any more.
    static func removeSnapshots(below offset: Offset, keeping newest: Offset?, in place: LogPlace)
        throws(IOError)
    {
        for entry in try place.fileSystem.contents(ofDirectory: place.path) {
            guard let name = LogLayout.parse(fileName: entry.name), name.kind == .producerSnapshot,
                name.baseOffset < offset, name.baseOffset != newest
            else { continue }
            try removeIfPresent(LogLayout.path(place.path, entry.name), place.fileSystem)
        }
    }

    private static let indexKinds: [LogFileKind] = [.offsetIndex, .timeIndex, .transactionIndex]

    static func removeIfPresent(_ path: String, _ fileSystem: any FileSystem) throws(IOError) {
        do {
            try fileSystem.remove(path)
        } catch  where error.errno == .noSuchFile {
            return
        }
    }
}
