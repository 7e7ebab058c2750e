import Base
import LogStorage
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@Suite("Files replaced as a whole")
struct AtomicFileTests {
    static let path = "/data/file"
    static let old =
        Array("the old content, longer than a sector: ".utf8) + Array(repeating: 0x6F, count: 3_000)
    static let new = Array("the new content: ".utf8) + Array(repeating: 0x6E, count: 1_200)
    static let modes: [CrashMode] = CrashMode.Data.allCases.flatMap { data in
        CrashMode.Directories.allCases.map { CrashMode(data: data, directories: $0) }
    }

    /// A disk with the old content on stable storage and, if so wanted, the leavings of a replacement before
    /// that.
    private func disk(seed: UInt64, leftover: Bool = false) throws -> SimulatedDisk {
        let disk = SimulatedDisk(seed: seed)
        let fileSystem = disk.mount()
        try fileSystem.createDirectory("/data")
        try fileSystem.syncDirectory("/")
        try AtomicFile.replace(Self.path, with: Self.old, fileSystem)
        if leftover {
            let file = try fileSystem.open(Self.path + LogLayout.temporarySuffix, .createNew)
            try file.write([BufferSlice(IOBuffer(copying: Self.new + Self.old))], at: 0)
            try file.sync(.full)
            try fileSystem.syncDirectory("/data")
        }
        return disk
    }

    private func content(_ fileSystem: any FileSystem) throws -> [UInt8]? {
        try AtomicFile.read(Self.path, maximumByteCount: 1 << 20, fileSystem)
    }

    /// How many changes to the disk a replacement makes.
    private func changeCount(leftover: Bool) throws -> Int {
        let disk = try disk(seed: 0, leftover: leftover)
        disk.install(.none)
        let before = disk.changeCount
        try AtomicFile.replace(Self.path, with: Self.new, disk.mount())
        return disk.changeCount - before
    }

    @Test(
        "a loss of power at any step leaves the old content or the new, whatever survives of the rest",
        arguments: modes, [false, true])
    func lossOfPower(mode: CrashMode, leftover: Bool) throws {
        let changes = try changeCount(leftover: leftover)
        #expect(changes >= 5)
        for step in 1...(changes + 1) {
            for seed in 0..<8 as Range<UInt64> {
                let disk = try disk(seed: seed, leftover: leftover)
                disk.install(.losingPower(atChange: step))
                var returned = false
                do {
                    try AtomicFile.replace(Self.path, with: Self.new, disk.mount())
                    returned = true
                } catch StateFileError.io {
                    #expect(step <= changes)
                }
                #expect(returned == (step > changes))
                disk.liftFaults()
                var generator = SeededGenerator(seed: seed)
                disk.crash(&generator, mode: mode)
                let found = try content(disk.mount())
                #expect(found == Self.new || (!returned && found == Self.old), "step \(step), seed \(seed)")
                // And the next replacement works, whatever was left lying about.
                try AtomicFile.replace(Self.path, with: Self.old, disk.mount())
                #expect(try content(disk.mount()) == Self.old)
            }
        }
    }

    @Test(
        "a failure at any step is thrown, leaves the old content or the new, and does not hinder the next try"
    )
    func failures() throws {
        for errno in [Errno.inputOutput, .noSpace] {
            for step in 1...(try changeCount(leftover: true)) {
                for seed in 0..<8 as Range<UInt64> {
                    let disk = try disk(seed: seed, leftover: true)
                    let fileSystem = disk.mount()
                    disk.install(.failing(change: step, errno))
                    let error = #expect(throws: StateFileError.self) {
                        try AtomicFile.replace(Self.path, with: Self.new, fileSystem)
                    }
                    guard case .io(let cause)? = error else {
                        Issue.record("\(String(describing: error))")
                        return
                    }
                    #expect(cause.errno == errno)
                    disk.liftFaults()
                    let found = try content(fileSystem)
                    #expect(found == Self.old || found == Self.new)
                    try AtomicFile.replace(Self.path, with: Self.new, fileSystem)
                    var generator = SeededGenerator(seed: seed)
                    disk.crash(&generator)
                    let survived = try content(disk.mount())
                    // After a failed sync of the directory nothing more is promised about its names: it goes
                    // offline.
                    let isFinal = cause.operation == .syncDirectory
                    #expect(survived == Self.new || (isFinal && survived == Self.old), "\(cause)")
                }
            }
        }
    }

    @Test("a marker that was removed does not come back after a crash")
    func markerStaysRemoved() throws {
        for seed in 0..<100 as Range<UInt64> {
            let disk = SimulatedDisk(seed: seed)
            let fileSystem = disk.mount()
            try fileSystem.createDirectory("/data")
            try fileSystem.syncDirectory("/")
            try CleanShutdownMarker().write(to: "/data/marker", fileSystem)
            try CleanShutdownMarker.remove("/data/marker", fileSystem)
            var generator = SeededGenerator(seed: seed)
            disk.crash(&generator)
            #expect(try CleanShutdownMarker.read("/data/marker", disk.mount()) == nil)
        }
    }
}
