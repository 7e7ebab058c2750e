import Testing

@testable import KafkaProtocol

/// Bytes that lie: each is refused for its own reason, before memory is taken.
@Suite("Hostile input")
struct HostileInputTests {
    private func reason<Whole: Message>(
        _ type: Whole.Type, _ version: Int16, _ bytes: [UInt8]
    ) -> ProtocolError.Reason? {
        do {
            _ = try type.init(decoding: bytes.span.bytes, version: version)
            return nil
        } catch {
            return error.reason
        }
    }

    @Test("a list may not have more elements than the rest of the bytes can hold")
    func impossibleCounts() {
        #expect(
            reason(MetadataRequest.self, 0, [0x7F, 0xFF, 0xFF, 0xFF]) == .impossibleCount(Int(Int32.max)))
        #expect(reason(MetadataRequest.self, 0, [0, 0, 0, 5, 0, 0, 0, 0]) == .impossibleCount(5))
        #expect(
            reason(MetadataRequest.self, 9, [0xFF, 0xFF, 0xFF, 0xFF, 7, 0, 0])
                == .impossibleCount(Int(Int32.max) - 1))
        #expect(
            reason(MetadataRequest.self, 9, [0xFF, 0xFF, 0xFF, 0xFF, 0x0F]) == .invalidLength(0xFFFF_FFFE))
    }

    /// A message whose elements take one byte each and a kilobyte in memory.
    private struct Swollen: Message {
        static let name: StaticString = "Swollen"
        static let versions: ClosedRange<Int16> = 0...0
        static let firstFlexibleVersion: Int16 = .max
        static let minimumByteCount = 4
        var elements: [Element] = []

        init(from reader: inout MessageReader) throws(ProtocolError) {
            elements = try reader.structures("elements")
        }
        func encode(to writer: inout MessageWriter) throws(ProtocolError) {
            try writer.structures(elements, "elements")
        }

        struct Element: WireStructure {
            static let minimumByteCount = 1
            var value: Int8
            var room = InlineRoom()

            init(from reader: inout MessageReader) throws(ProtocolError) { value = try reader.int8("value") }
            func encode(to writer: inout MessageWriter) throws(ProtocolError) { writer.int8(value) }
        }

        struct InlineRoom: Equatable {
            var (a, b, c, d) = (Row(), Row(), Row(), Row())
        }
        struct Row: Equatable {
            var (a, b, c, d, e, f, g, h) = (0, 0, 0, 0, 0, 0, 0, 0)
        }
    }

    @Test("lists may not take memory out of proportion to the message")
    func amplification() {
        #expect(MemoryLayout<Swollen.Element>.stride > 256)
        // Every message may have some.
        #expect(reason(Swollen.self, 0, [0, 0, 0, 100] + [UInt8](repeating: 0, count: 100)) == nil)
        let count = 50_000
        let head: [UInt8] = [0, 0, UInt8(count >> 8), UInt8(count & 255)]
        #expect(
            reason(Swollen.self, 0, head + [UInt8](repeating: 0, count: count)) == .tooManyElements(count))
    }

    @Test("honest lists of the leanest elements fit")
    func leanElements() {
        let count = 1 << 20
        let head: [UInt8] = [0, UInt8(count >> 16), UInt8(count >> 8 & 255), UInt8(count & 255)]
        // Empty strings, the leanest lists, and the structure that grows most when it is read.
        #expect(reason(DeleteGroupsRequest.self, 0, head + [UInt8](repeating: 0, count: 2 * count)) == nil)
        #expect(reason(CreateTopicsResponse.self, 0, head + [UInt8](repeating: 0, count: 4 * count)) == nil)
        #expect(MemoryLayout<CreateTopicsResponse.CreatableTopicResult>.stride > 80)
    }

    @Test("null where it may not be, and lengths below it, are refused")
    func nulls() {
        #expect(reason(MetadataRequest.self, 0, [0xFF, 0xFF, 0xFF, 0xFF]) == .unexpectedNull)
        #expect(reason(MetadataRequest.self, 1, [0xFF, 0xFF, 0xFF, 0xFF]) == nil)
        #expect(reason(MetadataRequest.self, 1, [0xFF, 0xFF, 0xFF, 0xFE]) == .invalidLength(-2))
        #expect(reason(SASLHandshake.self, 0, [0xFF, 0xFF]) == .unexpectedNull)
        #expect(reason(SASLHandshake.self, 0, [0x80, 0x00]) == .invalidLength(-32768))
    }

    private typealias SASLHandshake = SaslHandshakeRequest

    @Test("strings must be UTF-8")
    func strings() {
        #expect(reason(SASLHandshake.self, 0, [0, 2, 0xC3, 0xA9]) == nil)
        for bad in [[0xC3], [0xFF], [0xED, 0xA0, 0x80], [0xC0, 0x80], [0xF5, 0x80, 0x80, 0x80]] as [[UInt8]] {
            #expect(reason(SASLHandshake.self, 0, [0, UInt8(bad.count)] + bad) == .invalidUTF8)
        }
    }

    @Test("tags rise, and their values take what was announced")
    func tags() {
        // ApiVersions version 3: two empty strings, then tagged fields.
        #expect(reason(APIVersionsRequest.self, 3, [1, 1, 2, 5, 1, 9, 6, 0]) == nil)
        #expect(reason(APIVersionsRequest.self, 3, [1, 1, 2, 5, 1, 9, 5, 0]) == .unorderedTag(5))
        #expect(reason(APIVersionsRequest.self, 3, [1, 1, 2, 5, 1, 9, 4, 0]) == .unorderedTag(4))
        #expect(reason(APIVersionsRequest.self, 3, [1, 1, 1, 5, 9]) == .underflow(have: 0, need: 9))
        #expect(reason(APIVersionsRequest.self, 3, [1, 1, 60, 5, 0]) == .impossibleCount(60))
        // The finalized features' epoch (tag 1) takes eight bytes, not two.
        let head: [UInt8] = [0, 0, 1, 0, 0, 0, 0]
        #expect(
            reason(APIVersionsResponse.self, 3, head + [1, 1, 2] + [UInt8](repeating: 0, count: 8))
                == .wrongTagByteCount(announced: 2, taken: 8))
        #expect(
            reason(APIVersionsResponse.self, 3, head + [1, 1, 8] + [UInt8](repeating: 0, count: 8)) == nil)
    }

    @Test("overlong numbers and wrong presence bytes are refused")
    func numbers() {
        #expect(
            reason(APIVersionsRequest.self, 3, [0x81, 0x80, 0x80, 0x80, 0x80, 0]) == .overlongNumber)
        #expect(
            reason(APIVersionsRequest.self, 3, [0xFF, 0xFF, 0xFF, 0xFF, 0x1F]) == .overlongNumber)
        // DescribeTopicPartitions: no topics, a limit, then the cursor.
        #expect(
            reason(DescribeTopicPartitionsRequest.self, 0, [1, 0, 0, 0, 1, 2, 0]) == .invalidPresence(2))
        #expect(reason(DescribeTopicPartitionsRequest.self, 0, [1, 0, 0, 0, 1, 0xFF, 0]) == nil)
    }

    @Test("an error tells message, version, field and position")
    func description() throws {
        do {
            let bytes: [UInt8] = [0, 1, 0, 0]
            _ = try ProduceRequest(decoding: bytes.span.bytes, version: 2)
            Issue.record("four bytes were read as a request")
        } catch {
            #expect(error.field == "timeoutMilliseconds" && error.position == 2)
            #expect(
                "\(error)"
                    == "ProduceRequest version 2, field timeoutMilliseconds, position 2: "
                    + "4 bytes are needed, 2 are left")
        }
    }
}
