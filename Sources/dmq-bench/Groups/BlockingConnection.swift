import KafkaProtocol
import SystemIO

/// A connection to a broker whose user waits for each answer, or for many at once: requests go out in their
/// order, and so do the answers come.
final class BlockingConnection {
    private let socket: Socket
    private var nextCorrelationID: Int32 = 0
    private var nextAnswerID: Int32 = 0
    private var writer = MessageWriter(capacity: 1024)
    /// What has come and is not read yet.
    private var buffer = IOBuffer(byteCount: 64 << 10)
    private var unread = 0..<0

    private static let clientID = "dmq-bench"

    init(port: Int32) throws {
        socket = try Socket.connect(port: UInt16(clamping: port))
        try socket.setNoDelay(true)
    }

    func send<Request: RequestMessage>(_ request: Request, version: Int16) throws {
        writer.removeAll()
        try writer.writeRequest(
            request, version: version, correlationID: nextCorrelationID, clientID: Self.clientID)
        nextCorrelationID += 1
        try socket.send(BufferSlice(IOBuffer(copying: writer.bytes)))
    }

    /// The answer to the first request that has none yet.
    func receive<Request: RequestMessage>(_ type: Request.Type, version: Int16) throws -> Request.Response {
        try fill(4)
        let start = unread.lowerBound
        let length = Int(buffer.bigEndianUInt32(at: start))
        try fill(4 + length)
        let from = unread.lowerBound + 4
        let buffer = buffer
        let frame = buffer.bytes(from..<(from + length))
        let header = try ResponseHeader(parsing: frame, apiKey: Request.apiKey, version: version)
        guard header.correlationID == nextAnswerID else {
            throw BenchmarkError.broker("an answer to request \(header.correlationID) before its turn")
        }
        nextAnswerID += 1
        let response = try Request.Response(decoding: frame, version: version, from: header.bodyPosition)
        unread = (from + length)..<unread.upperBound
        return response
    }

    /// Waits until so many bytes are there.
    private func fill(_ count: Int) throws {
        if unread.count >= count { return }
        if unread.lowerBound + count > buffer.byteCount {
            let room = IOBuffer(byteCount: max(count, buffer.byteCount))
            room.copy(BufferSlice(buffer, unread), to: 0)
            buffer = room
            unread = 0..<unread.count
        }
        while unread.count < count {
            let more = try socket.receive(into: buffer, unread.upperBound..<buffer.byteCount)
            if more == 0 { throw BenchmarkError.broker("the broker has ended a connection") }
            unread = unread.lowerBound..<(unread.upperBound + more)
        }
    }
}
