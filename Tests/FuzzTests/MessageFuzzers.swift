import Base
import Foundation
import KafkaProtocol
import ProtocolSchema

/// Decoding of requests, responses and records in all versions. Starts from random messages that are valid.
let messageFuzzers = [
    Fuzzer(name: "request-frame", seeds: { requestSeeds() }) { try fuzzRequest($0) },
    // Two bytes choose the message, one its version; the rest is its body.
    Fuzzer(name: "message", seeds: { messageSeeds() }) { input in
        guard input.count >= 3 else { return }
        let type = allMessages[(Int(input[0]) << 8 | Int(input[1])) % allMessages.count]
        let version = type.versions.lowerBound + Int16(input[2]) % Int16(type.versions.count)
        try checkRewrite(type, Array(input.dropFirst(3)), version: version, from: 0)
    },
    Fuzzer(name: "response-header", seeds: { [[0, 0, 0, 7, 0], [0, 0, 0, 7, 1, 5, 1, 9]] }) { input in
        for key in APIKey.allCases {
            let header = try ResponseHeader(
                parsing: input.span.bytes, apiKey: key, version: key.versions.upperBound)
            guard header.bodyPosition <= input.count else {
                throw FuzzFailure("a header of \(header.bodyPosition) bytes in \(input.count)")
            }
        }
    },
]

private let allMessages: [any Message.Type] =
    MessageCatalog.requests.map { $0 as any Message.Type }
    + MessageCatalog.responses.map { $0 as any Message.Type } + MessageCatalog.records

private func fuzzRequest(_ input: [UInt8]) throws {
    let frame = try RequestFrame(parsing: input.span.bytes)
    guard frame.bodyPosition <= input.count else {
        throw FuzzFailure("a body at \(frame.bodyPosition) of \(input.count) bytes")
    }
    guard let key = frame.apiKey, let type = MessageCatalog.requests.first(where: { $0.apiKey == key }) else {
        return
    }
    try checkRewrite(type, input, version: frame.header.apiVersion, from: frame.bodyPosition)
}

/// What can be read can be written, and what was written is read and written as the same bytes.
private func checkRewrite<Whole: Message>(
    _ type: Whole.Type, _ bytes: [UInt8], version: Int16, from position: Int
) throws {
    let message = try Whole(decoding: bytes.span.bytes, version: version, from: position)
    let (written, again): ([UInt8], [UInt8])
    do {
        written = try whole(message, version: version, records: bytes)
        let read = try Whole(decoding: written.span.bytes, version: version)
        again = try whole(read, version: version, records: written)
    } catch {
        throw FuzzFailure("\(type.name) version \(version) was read but cannot be written and read: \(error)")
    }
    guard again == written else {
        throw FuzzFailure("\(type.name) version \(version) is written in two ways")
    }
}

/// A message as bytes, with the records that it refers to put in from what it was read from.
private func whole<Whole: Message>(
    _ message: Whole, version: Int16, records source: [UInt8]
) throws -> [UInt8] {
    var writer = MessageWriter()
    try writer.write(message, version: version)
    var result = writer.bytes
    for splice in writer.splices.reversed() {
        let range = splice.token..<(splice.token + splice.byteCount)
        result.insert(contentsOf: source[range], at: splice.position)
    }
    return result
}

// MARK: - Seeds

/// All messages of the schema files, by name.
private let schemas: [String: MessageSchema] = {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Sources/KafkaProtocol/Schemas")
    var result: [String: MessageSchema] = [:]
    for path in (try? FileManager.default.subpathsOfDirectory(atPath: folder.path)) ?? [] {
        guard path.hasSuffix(".schema"),
            let text = try? String(contentsOf: folder.appendingPathComponent(path), encoding: .utf8),
            let schema = try? SchemaParser.parse(text, file: path)
        else { continue }
        for message in schema.messages { result[message.name] = message }
    }
    invariant(!result.isEmpty, "no schemas below \(folder.path)")
    return result
}()

private func randomBody(_ type: any Message.Type, _ version: Int16, seed: UInt64) -> [UInt8] {
    guard let schema = schemas["\(type.name)"] else { return [] }
    var random = RandomMessage(seed: seed)
    random.hasUnknownTags = true
    return random.bytes(of: schema, version: Int(version))
}

/// Each request in its oldest and its newest version.
private func requestSeeds() -> [[UInt8]] {
    MessageCatalog.requests.flatMap { type in
        [type.versions.lowerBound, type.versions.upperBound].map { version in
            let key = type.apiKey
            var bytes: [UInt8] = [0, UInt8(key.rawValue), 0, UInt8(version), 0, 0, 0, 7, 0, 2, 0x68, 0x69]
            if key.requestHeaderVersion(version) >= 2 { bytes.append(0) }
            return bytes + randomBody(type, version, seed: UInt64(key.rawValue) * 31 + UInt64(version))
        }
    }
}

/// Each message in its oldest and its newest version.
private func messageSeeds() -> [[UInt8]] {
    allMessages.enumerated().flatMap { index, type in
        [type.versions.lowerBound, type.versions.upperBound].map { version in
            let head = [UInt8(index >> 8), UInt8(index & 255), UInt8(version - type.versions.lowerBound)]
            return head + randomBody(type, version, seed: UInt64(index) * 37 + UInt64(version))
        }
    }
}
