import Base
import SimulationKit
import SystemIO
import Testing

/// All that a file was since it was made, kept as whole images: slow, and obviously right about what a crash
/// may leave of it.
private struct FileHistory {
    /// What the file was after each change; nil stands for "beyond the end".
    private(set) var images: [[UInt8]]
    /// For each byte the image from which on a crash may take it: what was promised to survive.
    private var promised: [Int]
    /// Writes that are over, and the image that each ended with. Of one that went in parts, a part may have
    /// been there between two images, and have been written over before the next.
    private var ended: [(position: Int, bytes: [UInt8], image: Int)] = []
    private let capacity: Int

    init(_ bytes: [UInt8], capacity: Int) {
        images = [bytes]
        promised = Array(repeating: 0, count: capacity)
        self.capacity = capacity
    }

    var latest: Int { images.count - 1 }

    mutating func changed(to bytes: [UInt8]) {
        if bytes != images[latest] { images.append(bytes) }
    }

    mutating func ended(_ bytes: [UInt8], at position: Int) { ended.append((position, bytes, latest)) }

    mutating func promise(_ range: Range<Int>, since image: Int) {
        for position in range.clamped(to: 0..<capacity) {
            promised[position] = max(promised[position], image)
        }
    }

    /// The sync of a write: where the file was cut or written over between two parts of it, what was its own
    /// there is gone, and nothing of it is left to promise.
    mutating func promise(_ bytes: [UInt8], at position: Int, since image: Int) {
        let content = images[image]
        for (place, byte) in zip(position..., bytes) where place < content.count && content[place] == byte {
            promised[place] = max(promised[place], image)
        }
    }

    mutating func promiseAll(since image: Int) { promise(0..<capacity, since: image) }

    /// Why a crash may not have left these bytes; nil when it may.
    func objection(to bytes: [UInt8], inFlight: [(position: Int, bytes: [UInt8])]) -> String? {
        if bytes.count > capacity { return "\(bytes.count) bytes, more than the file ever had" }
        func byte(_ position: Int, of image: [UInt8]) -> UInt8? {
            position < image.count ? image[position] : nil
        }
        for position in 0..<capacity {
            let found = byte(position, of: bytes)
            // Most bytes are what they were last or what was promised: no need to look at all images.
            if found == byte(position, of: images[latest]) { continue }
            if found == byte(position, of: images[promised[position]]) { continue }
            var allowed = Set<UInt8?>()
            for image in images[promised[position]...] {
                allowed.insert(byte(position, of: image))
            }
            for write in inFlight where write.position + write.bytes.count > position {
                // A write beyond the end brings zeros before it.
                allowed.insert(position >= write.position ? write.bytes[position - write.position] : 0)
            }
            for write in ended where write.image >= promised[position] {
                let index = position - write.position
                if write.bytes.indices.contains(index) { allowed.insert(write.bytes[index]) }
            }
            if allowed.contains(nil) && allowed.count > 1 { allowed.insert(0) }
            if !allowed.contains(found) {
                return "byte \(position) is \(found.map(String.init) ?? "missing"), not one of \(allowed)"
            }
        }
        return nil
    }
}

/// A random run on one file by all the ways there are to change and to sync it, then a crash.
private final class PromiseRun: AppendCompletionHandler {
    private static let capacity = 24_000
    let disk: SimulatedDisk
    private var generator: SeededGenerator
    private let process: SimulatedFileSystem
    private let file: any File
    private let queue: SimulatedAppendQueue
    private var history: FileHistory
    private var region: MappedRegion?
    private var regionBytes = 0
    private var writes: [UInt64: (position: Int, bytes: [UInt8], since: Int)] = [:]
    private var syncs: [UInt64: Int] = [:]
    private var ownImages: [UInt64: Int] = [:]
    private var nextToken: UInt64 = 0
    private var isOver = false
    let census: Census

    init(seed: UInt64) throws {
        generator = SeededGenerator(seed: seed)
        disk = SimulatedDisk(seed: seed, trace: OperationTrace())
        census = Census(disk)
        var plan = DiskFaultPlan()
        if generator.chance(1, in: 2) { plan.writeBackPer1024 = 200 }
        if generator.chance(1, in: 2) {
            plan.faults = [DiskFault([.write], trigger: .chance(1, in: 4), effect: .shortWrite)]
        }
        disk.install(plan)
        process = disk.mount()
        let bytes = pattern(Int.random(in: 0...9000, using: &generator), seed: seed)
        file = try process.makeDurable("/f", bytes)
        queue = SimulatedAppendQueue(process, seed: seed)
        history = FileHistory(bytes, capacity: Self.capacity)
    }

    private func noteChange() { history.changed(to: disk.writtenBytes("/f") ?? []) }

    private func someBytes() -> (position: Int, bytes: [UInt8]) {
        let longest = generator.chance(1, in: 3) ? 6000 : 300
        let count = Int.random(in: 1...longest, using: &generator)
        let size = history.images[history.latest].count
        let position = generator.chance(1, in: 2) ? size : Int.random(in: 0...size, using: &generator)
        return (min(position, Self.capacity - count), pattern(count, seed: generator.next()))
    }

    func step() throws {
        switch Int.random(in: 0..<12, using: &generator) {
        case 0:
            let (position, bytes) = someBytes()
            try file.write(bytes, at: Int64(position))
            noteChange()
        case 1:
            let size = history.images[history.latest].count
            try file.truncate(to: Int64(Int.random(in: 0...size, using: &generator)))
            noteChange()
        case 2:
            let (position, bytes) = someBytes()
            try file.allocate(Int64(position)..<Int64(position + bytes.count))
            noteChange()
        case 3:
            try file.sync(generator.chance(1, in: 2) ? .data : .full)
            history.promiseAll(since: history.latest)
        case 4: try storeThroughMapping()
        case 5:
            guard let region else { return }
            let pages = 4096 * Int.random(in: 0...regionBytes / 4096, using: &generator)
            try region.sync(pages..<min(regionBytes, pages + 4096))
            let size = history.images[history.latest].count
            history.promise(pages..<max(pages, min(regionBytes, pages + 4096, size)), since: history.latest)
        case 6, 7, 8: queueWrite()
        case 9:
            nextToken += 1
            syncs[nextToken] = history.latest
            queue.sync(file, CompletionToken(rawValue: nextToken), self)
        default: _ = generator.chance(1, in: 2) ? queue.step() : queue.poll(waitNanoseconds: 300_000) > 0
        }
        // Part of a short write may be there that no event tells of.
        noteChange()
    }

    private func storeThroughMapping() throws {
        let size = history.images[history.latest].count
        if region == nil || regionBytes > size || generator.chance(1, in: 4) {
            region = nil
            guard size > 0 else { return }
            regionBytes = size
            region = try file.map(byteCount: size, .readWrite)
        }
        let count = min(regionBytes, Int.random(in: 1...200, using: &generator))
        let position = Int.random(in: 0...regionBytes - count, using: &generator)
        region?.store(pattern(count, seed: generator.next()), at: position)
        noteChange()
    }

    private func queueWrite() {
        nextToken += 1
        let (position, bytes) = someBytes()
        let thenSync = generator.chance(1, in: 2)
        writes[nextToken] = (position, bytes, history.latest)
        if thenSync { syncs[nextToken] = history.latest }
        queue.write(bytes, to: file, at: Int64(position), thenSync: thenSync, nextToken, self)
    }

    func appendQueue(completed event: AppendEvent, _ token: CompletionToken, failure: IOError?) {
        if isOver { return }
        #expect(failure == nil)
        switch event {
        case .written:
            noteChange()
            ownImages[token.rawValue] = history.latest
            if let write = writes[token.rawValue] { history.ended(write.bytes, at: write.position) }
            if syncs[token.rawValue] == nil { writes[token.rawValue] = nil }
        case .synced:
            if let since = syncs.removeValue(forKey: token.rawValue) { history.promiseAll(since: since) }
            if let write = writes.removeValue(forKey: token.rawValue), let image = ownImages[token.rawValue] {
                history.promise(write.bytes, at: write.position, since: image)
            }
        }
    }

    /// - Returns: what is wrong with what the crash left; nil: nothing.
    func crash(_ mode: CrashMode?) -> String? {
        defer {
            // Requests that are never completed would hold the queue, this run and its files.
            isOver = true
            queue.drain()
        }
        if mode == .keepAll { queue.drain() }
        noteChange()
        let inFlight = writes.values.map { ($0.position, $0.bytes) }
        let synced = disk.syncedBytes("/f")
        let report = disk.crash(&generator, mode: mode)
        let left = disk.writtenBytes("/f") ?? []
        #expect(left == disk.syncedBytes("/f"))
        if mode == .loseAll { #expect(left == synced) }
        if mode == .keepAll { #expect(left == history.images[history.latest]) }
        return history.objection(to: left, inFlight: inFlight).map { "\($0) after \(report)" }
    }
}

@Suite("What a simulated disk promises")
struct SimulatedDiskPromiseTests {
    @Test("A crash leaves only what was there since the last sync, byte by byte, on 600 random runs")
    func promises() throws {
        for seed in Seeds.range(600) {
            let (census, objection) = try Self.run(seed)
            let leftBehind = census.held.isEmpty ? nil : "left behind: \(census.held)"
            if let fault = objection ?? leftBehind {
                Issue.record("seed \(seed): \(fault)")
                return
            }
        }
    }

    /// One run; on return nothing of it should be left.
    private static func run(_ seed: UInt64) throws -> (Census, String?) {
        let run = try PromiseRun(seed: seed)
        for _ in 0..<Int(seed % 50) + 5 { try run.step() }
        let mode: CrashMode? = seed % 8 == 0 ? .keepAll : seed % 8 == 1 ? .loseAll : nil
        let objection = run.crash(mode).map { "\($0)\n\(run.disk.trace?.transcript ?? "")" }
        return (run.census, objection)
    }
}
