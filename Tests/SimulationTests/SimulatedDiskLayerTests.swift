import Base
import SimulationKit
import SystemIO
import Testing

@Suite("The layers of a simulated disk")
struct SimulatedDiskLayerTests {
    private let disk = SimulatedDisk(seed: 7)

    private func crash(_ mode: CrashMode) -> SimulatedFileSystem {
        var generator = SeededGenerator(seed: 1)
        disk.crash(&generator, mode: mode)
        return disk.mount()
    }

    @Test("What was written but not synced is gone when a crash loses all")
    func unsyncedIsLost() throws {
        let process = disk.mount()
        let old = pattern(3000)
        let file = try process.makeDurable("/d/f", old)
        try file.write(pattern(5000, seed: 2), at: 1000)
        #expect(try file.byteCount() == 6000)
        #expect(try crash(.loseAll).readAll("/d/f") == old)
    }

    @Test("What was written but not synced is there when a crash keeps all")
    func unsyncedIsKept() throws {
        let process = disk.mount()
        let file = try process.makeDurable("/d/f", pattern(3000))
        try file.write(pattern(5000, seed: 2), at: 1000)
        try process.open("/d/g", .createNew).write([1, 2, 3], at: 5000)
        let next = crash(.keepAll)
        #expect(try next.readAll("/d/f") == Array(pattern(3000)[..<1000]) + pattern(5000, seed: 2))
        #expect(try next.readAll("/d/g") == Array(repeating: 0, count: 5000) + [1, 2, 3])
    }

    @Test("A synced file without a synced name is gone")
    func nameMustBeSynced() throws {
        let process = disk.mount()
        try process.createDirectory("/d")
        try process.syncDirectory("/")
        let file = try process.open("/d/f", .createNew)
        try file.write([1], at: 0)
        try file.sync(.full)
        #expect(try crash(.loseAll).names("/d") == [])
    }

    @Test("A synced name without synced bytes is an empty file")
    func bytesMustBeSynced() throws {
        let process = disk.mount()
        try process.open("/f", .createNew).write([1], at: 0)
        try process.syncDirectory("/")
        #expect(try crash(.loseAll).readAll("/f") == [])
    }

    @Test("Stores through a mapping are durable after its sync, and only in the range that was synced")
    func mappedStores() throws {
        let process = disk.mount()
        let file = try process.makeDurable("/f", Array(repeating: 0, count: 3 * 4096))
        let region = try file.map(byteCount: 3 * 4096, .readWrite)
        region.store([1, 2], at: 10)
        region.store([3, 4], at: 2 * 4096)
        #expect(try file.read(10..<12) == [1, 2])
        try region.sync(0..<100)
        let next = try crash(.loseAll).readAll("/f")
        #expect(Array(next[10..<12]) == [1, 2])
        #expect(Array(next[8192..<8194]) == [0, 0])
        region.store([9], at: 10)
        #expect(try disk.mount().open("/f", .read).read(10..<11) == [1])
    }

    @Test("A file's sync carries the stores of its mappings, also of those that are gone")
    func fileSyncCarriesMappedStores() throws {
        let process = disk.mount()
        let file = try process.makeDurable("/f", Array(repeating: 0, count: 1 << 20))
        var region: MappedRegion? = try file.map(byteCount: 1 << 20, .readWrite)
        region?.store([5], at: 700_000)
        region = nil
        try file.sync(.data)
        #expect(try crash(.loseAll).readAll("/f")[700_000] == 5)
    }

    @Test("A file grows under its mapping, which keeps its place and shows the file's bytes")
    func growthWhileMapped() throws {
        let process = disk.mount()
        let file = try process.open("/f", .createNew)
        try file.write(pattern(4096), at: 0)
        let region = try file.map(byteCount: 4096, .readWrite)
        for step in 1...40 { try file.write(pattern(100, seed: 3), at: Int64(step) << 20) }
        region.store([77], at: 5)
        #expect(try file.read(5..<6) == [77])
        try file.write([78], at: 6)
        #expect(region.load(5..<7) == [77, 78])
        #expect(try file.map(byteCount: 8192, .read).load(0..<7).last == 78)
    }

    @Test("What belonged to a process that lost power throws and changes nothing")
    func deadHandles() throws {
        let process = disk.mount()
        let file = try process.makeDurable("/f", [1])
        let next = crash(.keepAll)
        #expect(throws: IOError.self) { try file.write([2], at: 0) }
        #expect(throws: IOError.self) { try file.readAll() }
        #expect(throws: IOError.self) { try process.names("/") }
        #expect(!process.isAlive && next.isAlive)
        #expect(try next.readAll("/f") == [1])
    }
}
