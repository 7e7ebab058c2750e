import KafkaProtocol
import Testing

/// Every message there is.
let allMessages: [any Message.Type] =
    MessageCatalog.requests.map { $0 as any Message.Type }
    + MessageCatalog.responses.map { $0 as any Message.Type } + MessageCatalog.records

extension Message {
    /// The message as bytes, with the records that it refers to put in from what it was read from.
    func bytes(version: Int16, records source: [UInt8]) throws -> [UInt8] {
        var writer = MessageWriter()
        try writer.write(self, version: version)
        var result = writer.bytes
        for splice in writer.splices.reversed() {
            let range = splice.token..<(splice.token + splice.byteCount)
            result.insert(contentsOf: source[range], at: splice.position)
        }
        return result
    }

    /// Reads a message and writes it again.
    static func rewritten(_ bytes: [UInt8], version: Int16) throws -> [UInt8] {
        try Self(decoding: bytes.span.bytes, version: version).bytes(version: version, records: bytes)
    }
}
