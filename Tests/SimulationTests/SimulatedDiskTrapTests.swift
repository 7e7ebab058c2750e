import Base
import Foundation
import SimulationKit
import SystemIO
import Testing

@Suite("Mistakes that a simulated disk stops")
struct SimulatedDiskTrapTests {
    @Test("Touching a mapping past the end of a file that was cut stops the process, as SIGBUS would")
    func mappingPastTheEnd() async throws {
        // Not `.signal`: a sanitizer turns the signal into an exit status.
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            let file = try SimulatedDisk(seed: 1).mount().open("/f", .createNew)
            try file.allocate(0..<16_384)
            let region = try file.map(byteCount: 16_384, .readWrite)
            try file.truncate(to: 4096)
            region.store([1], at: 4095)
            FileHandle.standardError.write(Data("before the end".utf8))
            region.store([1], at: 8192)
            FileHandle.standardError.write(Data("past the end".utf8))
        }
        let message = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
        #expect(message.contains("before the end") && !message.contains("past the end"))
    }

    @Test("Changing a buffer while its write is in flight stops the process")
    func bufferInFlight() async throws {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            let process = SimulatedDisk(seed: 1).mount()
            let file = try process.open("/f", .createNew)
            let queue = SimulatedAppendQueue(process, seed: 1)
            let buffer = IOBuffer(copying: [1, 2, 3])
            queue.write(
                [BufferSlice(buffer)], to: file, at: 0, thenSync: false, CompletionToken(rawValue: 1),
                RecordedCompletions())
            queue.submit()
            var bytes = buffer.mutableBytes(0..<3)
            bytes.storeBytes(of: 9, toByteOffset: 0, as: UInt8.self)
            queue.drain()
        }
        let message = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
        #expect(message.contains("a buffer was changed while its write to /f was in flight"))
    }

    @Test(
        "A mapping of a cut file is whole again when the file has grown over it, with zeros where it was cut")
    func regrownMapping() throws {
        let file = try SimulatedDisk(seed: 1).mount().open("/f", .createNew)
        try file.write(pattern(16_384), at: 0)
        let region = try file.map(byteCount: 16_384, .readWrite)
        try file.truncate(to: 5000)
        region.store([7], at: 6000)
        try file.allocate(0..<16_384)
        #expect(region.load(0..<16_384) == pattern(16_384)[..<5000] + Array(repeating: 0, count: 11_384))
        region.store([8], at: 12_000)
        #expect(try file.read(12_000..<12_001) == [8])
    }
}
