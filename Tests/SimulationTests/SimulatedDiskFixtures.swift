import Base
import SimulationKit
import SystemIO

/// Bytes that differ from place to place, so that a lost or misplaced one shows.
func pattern(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var generator = SeededGenerator(seed: seed)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count {
        // No byte is zero: zeros are what a crash may make up.
        let word = generator.next() | 0x0101_0101_0101_0101
        withUnsafeBytes(of: word) { bytes.append(contentsOf: $0) }
    }
    bytes.removeLast(bytes.count - count)
    return bytes
}

extension File {
    func write(_ bytes: [UInt8], at position: Int64) throws {
        try write([BufferSlice(IOBuffer(copying: bytes))], at: position)
    }

    func read(_ range: Range<Int>) throws -> [UInt8] {
        let buffer = IOBuffer(byteCount: range.count)
        let count = try read(into: buffer, 0..<range.count, at: Int64(range.lowerBound))
        return buffer.bytes(0..<count).withUnsafeBytes { Array($0) }
    }

    func readAll() throws -> [UInt8] { try read(0..<Int(byteCount())) }
}

extension FileSystem {
    /// The names in a directory, in order.
    func names(_ directory: String) throws -> [String] {
        try contents(ofDirectory: directory).map(\.name).sorted()
    }

    func readAll(_ path: String) throws -> [UInt8] { try open(path, .read).readAll() }

    /// A file whose bytes and name are durable.
    @discardableResult
    func makeDurable(_ path: String, _ bytes: [UInt8]) throws -> any File {
        let parts = path.split(separator: "/")
        var directory = ""
        for part in parts.dropLast() {
            directory += "/" + part
            try createDirectory(directory)
        }
        let file = try open(path, .createOrOpen)
        try file.write(bytes, at: 0)
        try file.sync(.full)
        for count in stride(from: parts.count - 1, through: 0, by: -1) {
            try syncDirectory("/" + parts.prefix(count).joined(separator: "/"))
        }
        return file
    }
}

extension MappedRegion {
    func store(_ bytes: [UInt8], at position: Int) {
        var span = mutableBytes
        for (index, byte) in bytes.enumerated() {
            span.storeBytes(of: byte, toByteOffset: position + index, as: UInt8.self)
        }
    }

    func load(_ range: Range<Int>) -> [UInt8] { bytes.extracting(range).withUnsafeBytes { Array($0) } }
}

/// Keeps what an append queue reports, in order.
final class RecordedCompletions: AppendCompletionHandler {
    struct Completion: Hashable {
        let event: AppendEvent
        let token: UInt64
        let failure: IOError?
    }

    private(set) var completions: [Completion] = []

    func appendQueue(completed event: AppendEvent, _ token: CompletionToken, failure: IOError?) {
        completions.append(Completion(event: event, token: token.rawValue, failure: failure))
    }

    func has(_ event: AppendEvent, _ token: UInt64) -> Bool {
        completions.contains { $0.event == event && $0.token == token && $0.failure == nil }
    }
}

extension AppendQueue {
    func write(
        _ bytes: [UInt8], to file: any File, at position: Int64, thenSync: Bool = false, _ token: UInt64,
        _ handler: any AppendCompletionHandler
    ) {
        write(
            [BufferSlice(IOBuffer(copying: bytes))], to: file, at: position, thenSync: thenSync,
            CompletionToken(rawValue: token), handler)
    }
}
