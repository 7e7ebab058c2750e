import Base
import Foundation
import Testing

@testable import SystemIO

@Suite("Sockets and sendfile")
struct SocketTests {
    /// Two ends of a connection.
    func pair() throws -> (Socket, Socket) {
        let listener = try Socket.listen()
        let client = try Socket.connect(port: try listener.port())
        return (client, try listener.accept())
    }

    /// Everything that comes until the peer has finished.
    func receiveAll(_ socket: Socket) throws -> [UInt8] {
        let buffer = IOBuffer(byteCount: 65536)
        var all: [UInt8] = []
        while true {
            let count = try socket.receive(into: buffer, 0..<65536)
            if count == 0 { return all }
            for index in 0..<count {
                all.append(buffer.bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self))
            }
        }
    }

    @Test("What one end sends, the other receives, until it has finished")
    func sendAndReceive() throws {
        let (client, server) = try pair()
        try client.setNoDelay(true)
        let buffer = IOBuffer(copying: Array(0..<200))
        try client.send(BufferSlice(buffer, 0..<100), moreFollows: true)
        try client.send(BufferSlice(buffer, 100..<200))
        try client.finishSending()
        #expect(try receiveAll(server) == Array(0..<200))
        try server.send(BufferSlice(buffer, 0..<3))
        try server.finishSending()
        #expect(try receiveAll(client) == [0, 1, 2])
    }

    @Test("A region of a file goes to a socket whole, and no further than the file")
    func sendFile() throws {
        let directory = try TemporaryDirectory()
        let file = try PosixFileSystem().open(directory.file("a"), .createNew)
        var random = SeededGenerator(seed: 7)
        let bytes = (0..<3_000_000).map { _ in UInt8.random(in: 0...255, using: &random) }
        try file.write([BufferSlice(IOBuffer(copying: bytes))], at: 0)
        let (client, server) = try pair()
        try client.setBufferByteCounts(send: 4096, receive: 4096)
        let position = 12345
        var received: [UInt8] = []
        let sent = try withThread {
            // More than there is: what is sent ends with the file.
            let count = try client.sendFile(from: file, position: Int64(position), byteCount: 10_000_000)
            try client.finishSending()
            return count
        } meanwhile: {
            received = try receiveAll(server)
        }
        #expect(received == Array(bytes[position...]))
        #expect(sent == bytes.count - position)
    }

    @Test("A peer that is gone is an error and not the end of the process")
    func peerGone() throws {
        let directory = try TemporaryDirectory()
        let file = try PosixFileSystem().open(directory.file("a"), .createNew)
        try file.truncate(to: 100_000)
        let (client, other) = try pair()
        var server: Socket? = other
        try client.send(BufferSlice(IOBuffer(byteCount: 10)))
        _ = consume other
        server = nil
        #expect(server == nil)
        let error = #expect(throws: IOError.self) {
            for _ in 0..<1000 { _ = try client.sendFile(from: file, position: 0, byteCount: 100_000) }
        }
        #expect(error?.errno == .brokenPipe || error?.errno.rawValue == ECONNRESET)
        #expect(throws: IOError.self) {
            for _ in 0..<1000 { try client.send(BufferSlice(IOBuffer(byteCount: 10))) }
        }
    }

    @Test("A non-blocking socket says that it would block")
    func nonBlocking() throws {
        let (client, server) = try pair()
        try server.setNonBlocking()
        let error = #expect(throws: IOError.self) {
            try server.receive(into: IOBuffer(byteCount: 10), 0..<10)
        }
        #expect(error?.errno == .wouldBlock)
        withExtendedLifetime(client) {}
    }

    @Test("A non-blocking socket takes of a file what fits")
    func nonBlockingSendFile() throws {
        let directory = try TemporaryDirectory()
        let file = try PosixFileSystem().open(directory.file("a"), .createNew)
        try file.truncate(to: 100_000_000)
        let (client, server) = try pair()
        try client.setNonBlocking()
        let sent = try client.sendFile(from: file, position: 0, byteCount: 100_000_000)
        #expect(sent > 0 && sent < 100_000_000)
        withExtendedLifetime(server) {}
    }

    @Test("Nobody listens: the connection is refused, with the address")
    func refused() throws {
        // A port that was just free, and is again.
        let port = try Socket.listen().port()
        let error = #expect(throws: IOError.self) { try Socket.connect(port: port) }
        #expect(error?.operation == .connect && error?.errno.rawValue == ECONNREFUSED)
        #expect(error?.subject == "127.0.0.1:\(port)")
    }

    /// Runs `work` on a thread of its own while `meanwhile` runs here.
    func withThread<Value: Sendable>(
        _ work: @escaping @Sendable () throws -> Value, meanwhile: () throws -> Void
    ) throws -> Value {
        nonisolated(unsafe) var outcome: Result<Value, any Error>?
        let thread = try PosixThread(name: "sender") { outcome = Result { try work() } }
        let other = Result { try meanwhile() }
        thread.join()
        try other.get()
        return try #require(outcome).get()
    }
}
