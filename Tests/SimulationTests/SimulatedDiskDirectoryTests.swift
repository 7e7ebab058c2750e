import Base
import SimulationKit
import SystemIO
import Testing

/// What the names of a few directories meant after each change, and from which change on a crash may take
/// each directory: slow and obvious.
private struct NameHistory {
    private(set) var images: [[String: Int]] = [[:]]
    private var promised: [String: Int] = [:]

    mutating func changed(_ change: (inout [String: Int]) -> Void) {
        var image = images[images.count - 1]
        change(&image)
        images.append(image)
    }

    var latest: [String: Int] { images[images.count - 1] }

    mutating func promise(_ directory: String) { promised[directory] = images.count - 1 }

    /// Why a crash may not have left these names; nil when it may.
    func objection(to left: [String: Int], names: [String]) -> String? {
        for name in names {
            let directory = String(name.prefix(2))
            let allowed = images[(promised[directory] ?? 0)...].map { $0[name] }
            if !allowed.contains(left[name]) { return "\(name) is \(left[name] ?? -1), not of \(allowed)" }
        }
        for (name, file) in left where left.contains(where: { $0.value == file && $0.key != name }) {
            return "file \(file) has two names"
        }
        let since = ["/a", "/b"].map { promised[$0] ?? 0 }.min() ?? 0
        for file in images[since].values where images[since...].allSatisfy({ $0.values.contains(file) }) {
            if !left.values.contains(file) { return "file \(file) always had a name and has none" }
        }
        return nil
    }
}

@Suite("The names of a simulated disk")
struct SimulatedDiskDirectoryTests {
    private static let names = ["/a", "/b"].flatMap { directory in
        ["x", "y", "z"].map { "\(directory)/\($0)" }
    }

    /// The names there are and what stands in the files.
    private func contents(_ process: SimulatedFileSystem) throws -> [String: Int] {
        var left: [String: Int] = [:]
        for name in Self.names where try process.attributes(of: name) != nil {
            left[name] = try process.readAll(name).reduce(0) { $0 << 8 | Int($1) }
        }
        return left
    }

    private func step(
        _ process: SimulatedFileSystem, _ history: inout NameHistory, _ file: Int,
        _ generator: inout SeededGenerator
    ) throws {
        let name = try #require(Self.names.randomElement(using: &generator))
        let other = try #require(Self.names.randomElement(using: &generator))
        switch Int.random(in: 0..<8, using: &generator) {
        case 0, 1, 2:
            guard history.latest[name] == nil else { return }
            let created = try process.open(name, .createNew)
            try created.write([UInt8(file >> 8), UInt8(file & 255)], at: 0)
            try created.sync(.full)
            history.changed { $0[name] = file }
        case 3, 4, 5:
            guard let moved = history.latest[name], name != other else { return }
            try process.rename(name, to: other)
            history.changed {
                $0[name] = nil
                $0[other] = moved
            }
        case 6:
            guard history.latest[name] != nil else { return }
            try process.remove(name)
            history.changed { $0[name] = nil }
        default:
            let directory = String(name.prefix(2))
            try process.syncDirectory(directory)
            history.promise(directory)
        }
    }

    @Test(
        "A crash leaves each name as it was at some moment since its directory was synced, on 500 random runs"
    )
    func promises() throws {
        for seed in Seeds.range(500) {
            var generator = SeededGenerator(seed: seed)
            let disk = SimulatedDisk(seed: seed, trace: OperationTrace())
            if seed % 3 == 0 {
                var plan = DiskFaultPlan()
                plan.writeBackPer1024 = 100
                disk.install(plan)
            }
            let process = disk.mount()
            for directory in ["/a", "/b"] { try process.createDirectory(directory) }
            try process.syncDirectory("/")
            var history = NameHistory()
            for file in 1...Int(seed % 30) + 5 { try step(process, &history, file, &generator) }
            #expect(try contents(process) == history.latest)
            let mode: CrashMode? = seed % 10 == 0 ? .keepAll : nil
            let report = disk.crash(&generator, mode: mode)
            let left = try contents(disk.mount())
            if mode == .keepAll { #expect(left == history.latest) }
            if let objection = history.objection(to: left, names: Self.names) {
                Issue.record("seed \(seed): \(objection) after \(report)\n\(disk.trace?.transcript ?? "")")
                return
            }
        }
    }

    @Test("A rename over a file leaves the old or the new file under the name, whole, and both happen")
    func atomicReplacement() throws {
        var outcomes = Set<[UInt8]>()
        for seed in UInt64(0)..<60 {
            let disk = SimulatedDisk(seed: seed)
            let process = disk.mount()
            try process.makeDurable("/d/f", [1])
            let new = try process.open("/d/f.tmp", .createNew)
            try new.write([2, 2], at: 0)
            try new.sync(.full)
            try process.rename("/d/f.tmp", to: "/d/f")
            var generator = SeededGenerator(seed: seed)
            disk.crash(&generator)
            let next = disk.mount()
            let bytes = try next.readAll("/d/f")
            outcomes.insert(bytes)
            if bytes == [2, 2] { #expect(try next.names("/d") == ["f"]) }
        }
        #expect(outcomes == [[1], [2, 2]])
    }

    @Test("A rename before the bytes are synced may leave an empty file")
    func renameBeforeSync() throws {
        let disk = SimulatedDisk(seed: 1)
        let process = disk.mount()
        try process.makeDurable("/d/f", [1])
        try process.open("/d/f.tmp", .createNew).write([2, 2], at: 0)
        try process.rename("/d/f.tmp", to: "/d/f")
        try process.syncDirectory("/d")
        var generator = SeededGenerator(seed: 1)
        disk.crash(&generator, mode: .loseAll)
        #expect(try disk.mount().readAll("/d/f") == [])
    }

    @Test("A later change survives without an earlier one, in the modes without an order")
    func reordering() throws {
        var outcomes: [CrashMode.Directories: Set<[String]>] = [:]
        for directories in CrashMode.Directories.allCases {
            for seed in UInt64(0)..<60 {
                let disk = SimulatedDisk(seed: seed)
                let process = disk.mount()
                for directory in ["/a", "/b"] { try process.createDirectory(directory) }
                try process.syncDirectory("/")
                _ = try process.open("/a/1", .createNew)
                _ = try process.open("/b/2", .createNew)
                _ = try process.open("/a/3", .createNew)
                var generator = SeededGenerator(seed: seed)
                disk.crash(&generator, mode: CrashMode(data: .keepAll, directories: directories))
                outcomes[directories, default: []].insert(disk.allPaths)
            }
        }
        let all = ["/a/1", "/a/3", "/b/2"]
        #expect(outcomes[.loseAll] == [[]])
        #expect(outcomes[.keepAll] == [all])
        #expect(outcomes[.journalPrefix] == [[], ["/a/1"], ["/a/1", "/b/2"], all])
        #expect(outcomes[.directoryPrefix]?.contains(["/b/2"]) == true)
        #expect(outcomes[.directoryPrefix]?.contains { $0.contains("/a/3") && !$0.contains("/a/1") } == false)
        #expect(outcomes[.subset]?.count == 8)
    }

    @Test("Directories survive when the directory above was synced, with what was synced in them")
    func directories() throws {
        let disk = SimulatedDisk(seed: 1)
        let process = disk.mount()
        try process.createDirectory("/a/b")
        try process.makeDurable("/a/b/f", [1])
        try process.createDirectory("/a/c")
        try process.rename("/a/b", to: "/a/d")
        try process.syncDirectory("/a")
        _ = try process.open("/a/d/g", .createNew)
        var generator = SeededGenerator(seed: 1)
        disk.crash(&generator, mode: .loseAll)
        let next = disk.mount()
        #expect(try next.names("/a") == ["c", "d"])
        #expect(disk.allPaths == ["/a/d/f"])
    }

    @Test("Renames that make no sense are refused as the kernel refuses them")
    func refusals() throws {
        let process = SimulatedDisk(seed: 1).mount()
        try process.createDirectory("/a/b")
        try process.createDirectory("/full/x")
        _ = try process.open("/f", .createNew)
        func errno(_ body: () throws -> Void) -> Errno? {
            do { try body() } catch { return (error as? IOError)?.errno }
            return nil
        }
        #expect(errno { try process.rename("/f", to: "/a") } == .isADirectory)
        #expect(errno { try process.rename("/a", to: "/f") } == .notADirectory)
        #expect(errno { try process.rename("/a", to: "/a/b/c") } == .invalidArgument)
        #expect(errno { try process.rename("/a", to: "/full") } == .notEmpty)
        #expect(errno { try process.rename("/f", to: "/none/f") } == .noSuchFile)
        #expect(errno { try process.rename("/a/b", to: "/empty") } == nil)
        #expect(errno { try process.remove("/a") } == .isADirectory)
        #expect(errno { try process.removeDirectory("/f") } == .notADirectory)
        #expect(errno { _ = try process.open("/a", .readWrite) } == .isADirectory)
        #expect(errno { _ = try process.open("/f/x", .createNew) } == .notADirectory)
    }
}
