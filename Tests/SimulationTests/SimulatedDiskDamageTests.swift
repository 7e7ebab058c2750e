import Base
import SimulationKit
import SystemIO
import Testing

@Suite("Damage on a simulated disk")
struct SimulatedDiskDamageTests {
    private let disk = SimulatedDisk(seed: 1)

    @Test("Flipped bits show in reads and mappings, survive a crash, and are lifted again")
    func bitRot() throws {
        let bytes = pattern(5000)
        disk.plant("/d/f", bytes)
        let region = try disk.mount().open("/d/f", .read).map(byteCount: 5000, .read)
        disk.flipBits(of: "/d/f", at: 4500, mask: [1, 0, 0x80])
        var damaged = bytes
        damaged[4500] ^= 1
        damaged[4502] ^= 0x80
        #expect(region.load(0..<5000) == damaged)
        var generator = SeededGenerator(seed: 1)
        disk.crash(&generator, mode: .loseAll)
        #expect(try disk.mount().readAll("/d/f") == damaged)
        disk.liftDamage()
        #expect(try disk.mount().readAll("/d/f") == bytes)
        #expect(disk.syncedBytes("/d/f") == bytes)
    }

    @Test("Lifting damage leaves alone what was written since")
    func overwrittenDamage() throws {
        let bytes = pattern(100)
        disk.plant("/f", bytes)
        disk.flipBits(of: "/f", at: 10, mask: [0xFF, 0xFF])
        let file = try disk.mount().open("/f", .readWrite)
        try file.write([7], at: 10)
        try file.sync(.data)
        disk.liftDamage()
        var expected = bytes
        expected[10] = 7
        #expect(try file.readAll() == expected)
        #expect(disk.syncedBytes("/f") == expected)
    }

    @Test("Lifting damage leaves alone what was stored through a mapping since")
    func overstoredDamage() throws {
        let bytes = pattern(100)
        disk.plant("/f", bytes)
        disk.flipBits(of: "/f", at: 10, mask: [0xFF, 0xFF])
        let region = try disk.mount().open("/f", .readWrite).map(byteCount: 100, .readWrite)
        region.store([7], at: 10)
        disk.liftDamage()
        var expected = bytes
        expected[10] = 7
        #expect(region.load(0..<100) == expected)
        #expect(disk.syncedBytes("/f") == bytes)
    }

    @Test("Random flips change as many bits as asked for, within the range")
    func randomFlips() throws {
        disk.plant("/f", Array(repeating: 0, count: 10_000))
        var generator = SeededGenerator(seed: 3)
        disk.flipRandomBits(of: "/f", count: 5, in: 2000..<3000, &generator)
        let bytes = try disk.mount().readAll("/f")
        #expect(bytes.reduce(0) { $0 + $1.nonzeroBitCount } == 5)
        #expect(bytes[2000..<3000].reduce(0) { $0 + $1.nonzeroBitCount } == 5)
    }

    @Test("Reads of an unreadable range fail, others do not, and a write makes it readable again")
    func unreadable() throws {
        disk.plant("/f", pattern(3000))
        disk.makeUnreadable("/f", 1000..<1512)
        let file = try disk.mount().open("/f", .readWrite)
        #expect(throws: IOError(.read, "/f", .inputOutput)) { try file.read(0..<1001) }
        #expect(throws: IOError(.map, "/f", .inputOutput)) { try file.map(byteCount: 3000, .read) }
        #expect(try file.read(0..<1000) == Array(pattern(3000)[..<1000]))
        try file.write(pattern(500, seed: 2), at: 1000)
        #expect(try file.read(1000..<1500) == pattern(500, seed: 2))
        #expect(throws: IOError.self) { try file.read(1500..<1501) }
        disk.liftDamage()
        #expect(try file.read(1500..<1512) == Array(pattern(3000)[1500..<1512]))
    }
}
