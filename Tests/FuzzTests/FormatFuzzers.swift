internal import Base
internal import Foundation
internal import LogStorage
internal import RecordFormat
internal import SystemIO

/// The small files of a log directory under any bytes: what is taken is coherent, and is written back as it
/// was meant.
let formatFuzzers = [
    Fuzzer(
        name: "offset-index", seeds: offsetIndexSeeds,
        run: { input in try withFile(of: input) { try fuzzOffsetIndex(input, $0, $1) } }),
    Fuzzer(
        name: "time-index", seeds: timeIndexSeeds,
        run: { input in try withFile(of: input) { try fuzzTimeIndex(input, $0, $1) } }),
    Fuzzer(
        name: "transaction-index", seeds: transactionIndexSeeds,
        run: { input in try withFile(of: input) { try fuzzTransactionIndex(input, $0, $1) } }),
    Fuzzer(
        name: "offset-checkpoint",
        seeds: {
            [Array("0\n0\n".utf8), Array("0\n3\ngolden 0 600\na-b.c_d 12 0\n__x 2147483647 31\n".utf8)]
        },
        run: { input in
            let checkpoint = try OffsetCheckpoint(parsing: input, path: "fuzz")
            guard checkpoint.offsets.count == checkpoint.entries.count else {
                throw FuzzFailure("a partition is in a checkpoint twice")
            }
            guard try OffsetCheckpoint(parsing: checkpoint.encoded(), path: "fuzz") == checkpoint else {
                throw FuzzFailure("a checkpoint is read back otherwise")
            }
        }),
    Fuzzer(
        name: "leader-epoch-checkpoint",
        seeds: { [Array("0\n1\n0 0\n".utf8), Array("0\n4\n0 0\n2 10\n3 11\n2147483647 99\n".utf8)] },
        run: fuzzLeaderEpochs),
    Fuzzer(
        name: "partition-metadata", seeds: { [Array("version: 0\ntopic_id: IqhlkmDxS5KKvAK4WB8cAQ".utf8)] },
        run: { input in
            let metadata = try PartitionMetadata(parsing: input, path: "fuzz")
            guard try PartitionMetadata(parsing: metadata.encoded(), path: "fuzz") == metadata else {
                throw FuzzFailure("partition metadata are read back otherwise")
            }
        }),
    Fuzzer(name: "meta-properties", seeds: metaPropertiesSeeds, run: fuzzMetaProperties),
    Fuzzer(
        name: "clean-shutdown-marker",
        seeds: {
            [[], CleanShutdownMarker().encoded(), CleanShutdownMarker(brokerEpoch: 1 << 40).encoded()]
        },
        run: { input in
            let marker = try CleanShutdownMarker(parsing: input, path: "fuzz")
            guard try CleanShutdownMarker(parsing: marker.encoded(), path: "fuzz") == marker else {
                throw FuzzFailure("a marker is read back otherwise")
            }
        }),
    Fuzzer(
        name: "file-names",
        seeds: {
            [
                Array("00000000000000000245.timeindex.deleted".utf8), Array("a-b.c-12".utf8),
                Array("t-3.0123456789abcdef0123456789abcdef-delete".utf8),
            ]
        }, run: fuzzNames),
]

private let baseOffset = Offset(1_000)

/// Runs `body` on the real file system with one file, in memory, of these bytes. The simulated one reserves
/// more address space than a fuzzer may take.
private func withFile(of bytes: [UInt8], _ body: (any FileSystem, String) throws -> Void) throws {
    let path = "/dev/shm/dmq-fuzz-\(UUID().uuidString)"
    let fileSystem = PosixFileSystem()
    let file = try fileSystem.open(path, .createOrOpen)
    defer { try? fileSystem.remove(path) }
    try file.truncate(to: 0)
    if !bytes.isEmpty { try file.write([BufferSlice(IOBuffer(copying: bytes))], at: 0) }
    try body(fileSystem, path)
}

/// Offsets and positions to look up, drawn from the input, so that libFuzzer can steer them.
private func targets(_ input: [UInt8]) -> [Int64] {
    var generator = SeededGenerator(seed: input.suffix(8).reduce(0) { $0 << 8 | UInt64($1) })
    return [.min, -1, 0, 1_000, .max] + (0..<8).map { _ in Int64(generator.next() % 100_000) }
}

private func offsetIndexSeeds() -> [[UInt8]] {
    [0, 1, 40, 600].map { count in
        var writer = ByteWriter()
        for number in 0..<Int32(count) {
            writer.write(number * 3 + 1)
            writer.write(number * 4_096 + 70)
        }
        return writer.bytes
    }
}

private func fuzzOffsetIndex(_ input: [UInt8], _ fileSystem: any FileSystem, _ path: String) throws {
    let logByteCount = Int64(10 << 20)
    let index = try OffsetIndex.openForAppend(
        at: path, baseOffset: baseOffset, maximumByteCount: 1 << 20, fileSystem)
    let isSane = index.damage(logByteCount: logByteCount, thorough: true) == nil
    if isSane && index.damage(logByteCount: logByteCount) != nil {
        throw FuzzFailure("the quick look finds what the thorough one does not")
    }
    let entries = (0..<index.entryCount).map { index.entry($0) }
    for target in targets(input) {
        let byOffset = index.floor(offset: Offset(target))
        let byPosition = index.floor(position: target)
        guard isSane else { continue }
        guard byOffset == entries.last(where: { $0.offset.rawValue <= target }),
            byPosition == entries.last(where: { $0.position <= target })
        else { throw FuzzFailure("the lookup of \(target) in \(entries.count) entries") }
    }
    let cut = baseOffset + Int64(input.count)
    index.truncate(removingFrom: cut)
    let appended = index.append(baseOffset + Int64(Int32.max), at: logByteCount - 1)
    try index.seal()
    guard isSane else { return }
    let sealed = try OffsetIndex.openSealed(at: path, baseOffset: baseOffset, fileSystem)
    let kept = entries.filter { $0.offset < cut }.count
    if appended && sealed.entryCount != kept + 1
        || sealed.damage(logByteCount: logByteCount, thorough: true) != nil
    {
        throw FuzzFailure("a sane index of \(entries.count) entries, cut to \(kept), is not sane any more")
    }
}

private func timeIndexSeeds() -> [[UInt8]] {
    [0, 1, 40, 600].map { count in
        var writer = ByteWriter()
        for number in 0..<Int32(count) {
            writer.write(Int64(number) * 17 + 1_000)
            writer.write(number * 3 + 1)
        }
        return writer.bytes
    }
}

private func fuzzTimeIndex(_ input: [UInt8], _ fileSystem: any FileSystem, _ path: String) throws {
    let index = try TimeIndex.openForAppend(
        at: path, baseOffset: baseOffset, maximumByteCount: 1 << 20, fileSystem)
    let isSane = index.damage(thorough: true) == nil
    if isSane && index.damage() != nil {
        throw FuzzFailure("the quick look finds what the thorough one does not")
    }
    let entries = (0..<index.entryCount).map { index.entry($0) }
    for target in targets(input) {
        let found = index.floor(timestamp: Timestamp(target))
        if isSane && found != entries.last(where: { $0.timestamp.rawValue <= target }) {
            throw FuzzFailure("the lookup of \(target) in \(entries.count) entries")
        }
    }
    index.truncate(removingFrom: baseOffset + Int64(input.count))
    index.append(Timestamp(.max), baseOffset + Int64(Int32.max), force: true)
    try index.seal()
    let sealed = try TimeIndex.openSealed(at: path, baseOffset: baseOffset, fileSystem)
    if isSane && sealed.damage(thorough: true) != nil {
        throw FuzzFailure("a sane index of \(entries.count) entries is not sane any more")
    }
}

private func transactionIndexSeeds() -> [[UInt8]] {
    [0, 1, 300].map { count in
        var writer = ByteWriter()
        for number in 0..<Int64(count) {
            writer.write(Int16(0))
            for field in [number % 7, 990 + number, 1_000 + number * 3, 990 + number * 3] {
                writer.write(field)
            }
        }
        return writer.bytes
    }
}

private func fuzzTransactionIndex(_ input: [UInt8], _ fileSystem: any FileSystem, _ path: String) throws {
    let index = TransactionIndex.openForAppend(at: path, baseOffset: baseOffset, fileSystem)
    let isSane = try index.damage() == nil
    let entries = try index.entries()
    for target in targets(input) {
        let end = Offset(target.addingReportingOverflow(50).partialValue)
        var found: [AbortedTransaction] = []
        _ = try index.collect(from: Offset(target), upTo: end, into: &found)
        guard isSane else { continue }
        let inRange = entries.filter { $0.lastOffset.rawValue >= target }
        let last = inRange.firstIndex { $0.lastStableOffset >= end } ?? inRange.count - 1
        guard found == inRange.prefix(last + 1).filter({ $0.firstOffset < end }) else {
            throw FuzzFailure("the search from \(target) to \(end) in \(entries.count) entries")
        }
    }
    try index.truncate(to: baseOffset + Int64(input.count))
    try index.seal()
    let sealed = TransactionIndex.openSealed(at: path, baseOffset: baseOffset, fileSystem)
    if isSane, try sealed.damage() != nil {
        throw FuzzFailure("a sane index of \(entries.count) entries is not sane any more")
    }
}

private func fuzzLeaderEpochs(_ input: [UInt8]) throws {
    var cache = try LeaderEpochCache(parsing: input, path: "fuzz")
    let entries = cache.entries
    guard try LeaderEpochCache(parsing: cache.encoded(), path: "fuzz").entries == entries else {
        throw FuzzFailure("leader epochs are read back otherwise")
    }
    for target in targets(input) {
        let expected = entries.last { $0.startOffset.rawValue <= target }?.epoch
        guard cache.epoch(for: Offset(target)) == expected else {
            throw FuzzFailure("the epoch of \(target)")
        }
        let epoch = LeaderEpoch(Int32(truncatingIfNeeded: target))
        let (found, end) = cache.endOffset(for: epoch, logEndOffset: Offset(.max))
        if found > epoch || (found == .none) != (end == LeaderEpochCache.undefinedOffset) {
            throw FuzzFailure("the end of epoch \(epoch): \(found) at \(end)")
        }
    }
    for target in targets(input) {
        cache.truncateFromStart(Offset(target / 3))
        cache.assign(LeaderEpoch(Int32(truncatingIfNeeded: target)), Offset(target))
        cache.truncateFromEnd(Offset(target / 2))
        _ = try LeaderEpochCache(parsing: cache.encoded(), path: "fuzz")
    }
}

private func metaPropertiesSeeds() -> [[UInt8]] {
    [
        "#\n#Sat Nov 21 04:58:49 UTC 2026\nnode.id=1\ndirectory.id=jlnx6aFfVCFhkb5O5JiJSw\nversion=1\n"
            + "cluster.id=c\n",
        "version:1\r\ncluster.id = a\\\n  b\rnode.id\t7\n! x\n\nk\\=\\u0041=\\uD83D\\uDE00\\t\\\\\n",
    ].map { Array($0.utf8) }
}

private func fuzzMetaProperties(_ input: [UInt8]) throws {
    var meta = try MetaProperties(parsing: input, path: "fuzz")
    let written = meta.encoded()
    let again: MetaProperties
    do {
        again = try MetaProperties(parsing: written, path: "fuzz")
    } catch {
        throw FuzzFailure("what was taken is refused once written: \(error)")
    }
    guard again.keys == meta.keys, again.keys.allSatisfy({ again[$0] == meta[$0] }),
        again.encoded() == written
    else {
        throw FuzzFailure("properties are read back otherwise")
    }
    meta.setDirectoryID(DirectoryID(UniqueID(high: 7, low: 7)))
    guard try MetaProperties(parsing: meta.encoded(), path: "fuzz").directoryID == meta.directoryID else {
        throw FuzzFailure("the directory's ID was not set")
    }
}

private func fuzzNames(_ input: [UInt8]) throws {
    let name = String(decoding: input, as: UTF8.self)
    if let parsed = LogLayout.parse(fileName: name) {
        let again = LogLayout.fileName(parsed.kind, parsed.baseOffset, suffix: parsed.suffix)
        if again != name { throw FuzzFailure("\(name) is written \(again)") }
    }
    if let parsed = LogLayout.parse(directoryName: name) {
        guard let suffix = parsed.suffix else {
            if parsed.partition.description != name { throw FuzzFailure("\(name) is taken for \(parsed)") }
            return
        }
        let again = LogLayout.directoryName(parsed.partition, suffix, id: (1, 2))
        guard let other = LogLayout.parse(directoryName: again), other.suffix == suffix else {
            throw FuzzFailure("\(again) is not parsed")
        }
    }
}
