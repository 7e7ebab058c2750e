internal import Base
internal import SystemIO

/// The head of an HTTP request that nobody here serves: looked through for its end, and answered.
struct HTTPHead {
    /// A head that is longer is answered all the same.
    static let byteLimit = 16 << 10

    /// How many bytes of the empty line have been seen.
    private var matched = 0
    private var byteCount = 0

    /// - Returns: whether the head is at its end, or too long.
    mutating func take(_ slice: BufferSlice) -> Bool {
        var position = slice.range.lowerBound
        while position < slice.range.upperBound {
            let byte = slice.buffer.byte(at: position)
            let isReturn = byte == UInt8(ascii: "\r")
            let isNewline = byte == UInt8(ascii: "\n")
            switch (matched, isReturn, isNewline) {
            case (0, true, _), (2, true, _), (1, _, true), (3, _, true): matched += 1
            default: matched = isReturn ? 1 : 0
            }
            if matched == 4 { return true }
            position += 1
        }
        byteCount += slice.byteCount
        return byteCount >= Self.byteLimit
    }

    /// The answer to every request.
    static let answer: [UInt8] = {
        var json = JSONText()
        json.object { json in
            json.field("error", "not_found")
            json.field("message", "This address speaks the Kafka protocol; no HTTP interface is served here.")
            json.field("hint", "Connect a Kafka client: kcat -b <this host and port> -L")
        }
        let body = json.bytes
        let head =
            "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n"
            + "Content-Length: \(body.count)\r\nConnection: close\r\n\r\n"
        return Array(head.utf8) + body
    }()
}
