import Base
import SimulationKit
import SystemIO
import Testing

@Suite("Crashes of a simulated disk")
struct SimulatedDiskCrashTests {
    private static let sector = DiskGeometry.sectorByteCount

    /// Which of 64 unsynced sectors, overwritten in place, survive a crash.
    private func survivingSectors(_ mode: CrashMode, seed: UInt64) throws -> [Bool] {
        let disk = SimulatedDisk(seed: seed)
        let count = 64
        let old = pattern(count * Self.sector)
        let new = pattern(count * Self.sector, seed: 2)
        let file = try disk.mount().makeDurable("/f", old)
        try file.write(new, at: 0)
        var generator = SeededGenerator(seed: seed)
        let report = disk.crash(&generator, mode: mode)
        let bytes = try disk.mount().readAll("/f")
        #expect(bytes.count == old.count)
        let survivors = (0..<count).map { index in
            let range = index * Self.sector..<(index + 1) * Self.sector
            #expect(bytes[range] == old[range] || bytes[range] == new[range], "a sector is whole")
            return bytes[range] == new[range]
        }
        #expect(report.keptSectors == survivors.count { $0 } && report.lostSectors == survivors.count { !$0 })
        return survivors
    }

    @Test("A prefix of the sectors survives, of any length")
    func prefix() throws {
        let mode = CrashMode(data: .prefix, directories: .loseAll)
        var lengths = Set<Int>()
        for seed in UInt64(0)..<100 {
            let survivors = try survivingSectors(mode, seed: seed)
            let length = survivors.count { $0 }
            #expect(survivors == (0..<64).map { $0 < length })
            lengths.insert(length)
        }
        #expect(lengths.count > 30)
    }

    @Test("Any subset of the sectors survives, later ones without earlier ones")
    func subset() throws {
        let mode = CrashMode(data: .subset, directories: .loseAll)
        var overtaken = 0
        for seed in UInt64(0)..<50 {
            let survivors = try survivingSectors(mode, seed: seed)
            if let lost = survivors.firstIndex(of: false), survivors[lost...].contains(true) {
                overtaken += 1
            }
        }
        #expect(overtaken > 40)
    }

    @Test("A torn write has its beginning and not its end")
    func torn() throws {
        let mode = CrashMode(data: .torn, directories: .loseAll)
        var tears = Set<Int>()
        for seed in UInt64(0)..<60 {
            let survivors = try survivingSectors(mode, seed: seed)
            let tear = try #require(survivors.firstIndex(of: false))
            #expect(survivors == (0..<64).map { $0 < tear })
            tears.insert(tear)
        }
        #expect(tears.count > 20)
    }

    @Test("Drawn modes come to all outcomes: all lost, all kept, prefixes, gaps")
    func drawnModes() throws {
        var outcomes = Set<String>()
        for seed in UInt64(0)..<200 {
            var generator = SeededGenerator(seed: seed)
            let survivors = try survivingSectors(CrashMode.random(&generator), seed: seed)
            let kept = survivors.count { $0 }
            let isPrefix = survivors == (0..<64).map { $0 < kept }
            outcomes.insert(kept == 0 ? "none" : kept == 64 ? "all" : isPrefix ? "prefix" : "gaps")
        }
        #expect(outcomes == ["none", "all", "prefix", "gaps"])
    }

    @Test("A file that grew has its old size, its new one or one between, and zeros where bytes were lost")
    func growth() throws {
        var sizes = Set<Int>()
        var zeroed = 0
        for seed in UInt64(0)..<200 {
            let disk = SimulatedDisk(seed: seed)
            let old = pattern(1000)
            let new = pattern(30_000, seed: 2)
            let file = try disk.mount().makeDurable("/f", old)
            try file.write(new, at: 1000)
            var generator = SeededGenerator(seed: seed)
            disk.crash(&generator)
            let bytes = try disk.mount().readAll("/f")
            #expect(Array(bytes.prefix(1000)) == old)
            #expect(bytes.count <= 31_000)
            for (index, byte) in bytes.enumerated().dropFirst(1000) where byte != new[index - 1000] {
                #expect(byte == 0)
                zeroed += 1
            }
            sizes.insert(bytes.count)
        }
        #expect(sizes.contains(1000) && sizes.contains(31_000) && sizes.count > 5)
        #expect(zeroed > 0)
    }

    @Test("A cut that was not synced is lost or kept, and what was cut does not come back once it was synced")
    func cuts() throws {
        var sizes = Set<Int>()
        for seed in UInt64(0)..<100 {
            let disk = SimulatedDisk(seed: seed)
            let file = try disk.mount().makeDurable("/f", pattern(9000))
            try file.truncate(to: 100)
            if seed % 2 == 0 { try file.sync(.data) }
            try file.truncate(to: 9000)
            var generator = SeededGenerator(seed: seed)
            disk.crash(&generator)
            let bytes = try disk.mount().readAll("/f")
            sizes.insert(bytes.count)
            #expect(Array(bytes.prefix(100)) == Array(pattern(9000).prefix(100)))
            if seed % 2 == 0 { #expect(bytes.dropFirst(100).allSatisfy { $0 == 0 }) }
            let tail = Array(bytes.dropFirst(100))
            #expect(tail.allSatisfy { $0 == 0 } || tail == Array(pattern(9000).dropFirst(100)))
        }
        #expect(sizes.contains(100) && sizes.contains(9000))
    }

    @Test("Killed processes leave the page cache as it is, and what they hold is dead")
    func kill() throws {
        let disk = SimulatedDisk(seed: 1)
        let process = disk.mount()
        let file = try process.makeDurable("/f", Array(repeating: 0, count: 4096))
        let region = try file.map(byteCount: 4096, .readWrite)
        let lock = try process.lock("/lock")
        region.store([1], at: 0)
        try file.write([2], at: 1)
        var generator = SeededGenerator(seed: 1)
        disk.killProcesses(&generator)
        region.store([9], at: 2)
        #expect(throws: IOError.self) { try file.sync(.full) }
        let next = disk.mount()
        #expect(try next.open("/f", .read).read(0..<3) == [1, 2, 0])
        let relocked = try next.lock("/lock")
        withExtendedLifetime((lock, relocked)) {}
        disk.crash(&generator, mode: .loseAll)
        #expect(try disk.mount().open("/f", .read).read(0..<3) == [0, 0, 0])
    }

    @Test("The same seed gives the same crash")
    func determinism() throws {
        for seed in UInt64(0)..<20 {
            var generator = SeededGenerator(seed: seed)
            let mode = CrashMode.random(&generator)
            #expect(try survivingSectors(mode, seed: seed) == survivingSectors(mode, seed: seed))
        }
    }
}
