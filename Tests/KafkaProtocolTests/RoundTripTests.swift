import Base
import KafkaProtocol
import ProtocolSchema
import Testing

/// All messages in all versions, against bytes that come straight from the schemas.
@Suite("Round trips")
struct RoundTripTests {
    /// Calls `body` for every message and version with random bytes of it.
    private func forEach(
        seeds: ClosedRange<UInt64>, unknownTags: Bool,
        _ body: (any Message.Type, Int16, [UInt8]) throws -> Void
    ) throws {
        for type in allMessages {
            let schema = try #require(SchemaFiles.messages["\(type.name)"])
            for version in type.versions {
                for seed in seeds {
                    var random = RandomMessage(seed: seed &* 1_000_003 &+ UInt64(version))
                    random.hasUnknownTags = unknownTags
                    try body(type, version, random.bytes(of: schema, version: Int(version)))
                }
            }
        }
    }

    @Test("what is read is written again byte for byte, in every version of every message")
    func bytes() throws {
        var count = 0
        try forEach(seeds: 1...6, unknownTags: false) { type, version, bytes in
            count += 1
            do {
                let again = try type.rewritten(bytes, version: version)
                #expect(again == bytes, "\(type.name) version \(version)")
            } catch {
                Issue.record("\(type.name) version \(version): \(error)")
            }
        }
        #expect(count > 4000)
    }

    @Test("tagged fields that nobody knows are kept and written where they belong")
    func unknownTags() throws {
        var kept = 0
        try forEach(seeds: 11...13, unknownTags: true) { type, version, bytes in
            do {
                let again = try type.rewritten(bytes, version: version)
                #expect(again == bytes, "\(type.name) version \(version)")
                if type.isFlexible(version) { kept += 1 }
            } catch {
                Issue.record("\(type.name) version \(version): \(error)")
            }
        }
        #expect(kept > 500)
    }

    @Test("a value that was written is read back equal")
    func values() throws {
        func check<Whole: Message>(_ type: Whole.Type, _ version: Int16, _ bytes: [UInt8]) throws {
            let value = try type.init(decoding: bytes.span.bytes, version: version)
            let written = try value.bytes(version: version, records: bytes)
            #expect(try type.init(decoding: written.span.bytes, version: version) == value)
        }
        try forEach(seeds: 21...22, unknownTags: true) { type, version, bytes in
            try check(type, version, bytes)
        }
    }

    @Test("a message cut off at any byte is refused with its name and version")
    func truncation() throws {
        var count = 0
        try forEach(seeds: 31...31, unknownTags: true) { type, version, bytes in
            // All of the short ones, some hundred places of the long ones.
            let step = max(1, bytes.count / 200)
            for length in stride(from: 0, to: bytes.count, by: step) {
                let cut = Array(bytes[..<length])
                do {
                    _ = try type.rewritten(cut, version: version)
                    Issue.record("\(type.name) version \(version) of \(bytes.count) bytes cut to \(length)")
                } catch let error as ProtocolError {
                    #expect(error.message == "\(type.name)" && error.version == version)
                    #expect(error.position <= length)
                    count += 1
                }
            }
        }
        #expect(count > 20_000)
    }

    @Test("bytes behind a message are refused")
    func trailing() throws {
        try forEach(seeds: 41...41, unknownTags: false) { type, version, bytes in
            #expect(throws: ProtocolError.self, "\(type.name) version \(version)") {
                try type.rewritten(bytes + [0], version: version)
            }
        }
    }

    @Test("versions around those that exist are refused when reading and when writing")
    func versions() throws {
        func check<Whole: Message>(_ type: Whole.Type) throws {
            for version in [type.versions.lowerBound - 1, type.versions.upperBound + 1] {
                let reason = ProtocolError.Reason.unsupportedVersion(known: type.versions)
                let zeros = [UInt8](repeating: 0, count: 64)
                #expect {
                    try type.init(decoding: zeros.span.bytes, version: version)
                } throws: { ($0 as? ProtocolError)?.reason == reason }
            }
        }
        for type in allMessages { try check(type) }
    }
}
