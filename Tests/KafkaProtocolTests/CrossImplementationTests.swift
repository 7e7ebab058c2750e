import Foundation
import KafkaProtocol
import ProtocolSchema
import Testing

/// Messages, written by us and read by kio, and the other way round, byte for byte.
@Suite("Against another implementation")
struct CrossImplementationTests {
    /// Runs `tools/cross-check-messages command` in the environment of `tools/python-environment`.
    private static func run(_ command: String, _ input: Any) throws -> Any {
        let root = SchemaFiles.root
        let python = root.appendingPathComponent(".build/python/bin/python")
        try #require(
            FileManager.default.isExecutableFile(atPath: python.path),
            "the Python environment is missing: run tools/python-environment, then the tests again")
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("dmq-messages-\(command)-\(ProcessInfo.processInfo.processIdentifier)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (inputFile, outputFile) = (
            folder.appendingPathComponent("in"), folder.appendingPathComponent("out")
        )
        try JSONSerialization.data(withJSONObject: input, options: .fragmentsAllowed).write(to: inputFile)
        try Data().write(to: outputFile)
        let process = Process()
        process.executableURL = python
        process.arguments = [root.appendingPathComponent("tools/cross-check-messages").path, command]
        process.standardInput = try FileHandle(forReadingFrom: inputFile)
        process.standardOutput = try FileHandle(forWritingTo: outputFile)
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "tools/cross-check-messages \(command) failed")
        return try JSONSerialization.jsonObject(with: Data(contentsOf: outputFile))
    }

    private static let byName = Dictionary(
        allMessages.map { ("\($0.name)", $0) }, uniquingKeysWith: { first, _ in first })

    /// Messages that only kio has: control records, which the record format reads, and a schema of no record.
    private static let elsewhere: Set<String> = [
        "ControlRecordTypeSchema", "EndTxnMarker", "KRaftVersionRecord", "LeaderChangeMessage",
        "SnapshotFooterRecord", "SnapshotHeaderRecord", "VotersRecord",
    ]

    /// Asked once: tests run side by side.
    private static let known = Result { try SendableListing(value: askedListing()) }

    /// What `tools/cross-check-messages list` says; never changed after it was read.
    private struct SendableListing: @unchecked Sendable {
        let value: [String: [String: [String: [[Any]]]]]
    }

    private static func listing() throws -> [String: [String: [String: [[Any]]]]] { try known.get().value }

    private static func askedListing() throws -> [String: [String: [String: [[Any]]]]] {
        let list = try #require(try run("list", NSNull()) as? [String: [String: [String: [[Any]]]]])
        return list.filter { !elsewhere.contains($0.key) }
    }

    @Test("we have every message that kio has, in all its versions, and every API but those it lacks")
    func completeness() throws {
        let list = try Self.listing()
        #expect(list.count > 170)
        for (name, versions) in list {
            let ours = try #require(Self.byName[name], "\(name) is missing")
            for version in versions.keys.compactMap({ Int16($0) }) {
                #expect(ours.versions.contains(version), "\(name) version \(version) is missing")
            }
            #expect(versions.keys.compactMap { Int16($0) }.max() == ours.versions.upperBound)
        }
        for request in MessageCatalog.requests { #expect(list["\(request.name)"] != nil, "\(request.name)") }
    }

    @Test("fields have the same names, order and tags in every version")
    func fields() throws {
        /// Without case, underscores and the unit that kio keeps in the type.
        func plain(_ name: String) -> String {
            let letters = name.lowercased().replacing("_", with: "")
            return letters.hasSuffix("ms") ? String(letters.dropLast(2)) : letters
        }
        var count = 0
        for (name, versions) in try Self.listing() {
            let schema = try #require(SchemaFiles.messages[name])
            for (text, structures) in versions {
                let version = try #require(Int(text))
                for (structure, theirs) in structures {
                    let own = structure.isEmpty ? schema.structures[0] : schema.structure(structure)
                    // Names of structures have changed between versions; then the bytes have to do.
                    guard let own else { continue }
                    let ours = own.fields.filter { $0.versions.contains(version) }
                    let expected = theirs.map { "\(plain($0[0] as? String ?? "")) \(($0[1] as? Int) ?? -1)" }
                    let found = ours.map { "\(plain($0.name)) \($0.tag ?? -1)" }
                    #expect(found == expected, "\(name) version \(version) \(structure)")
                    count += 1
                }
            }
        }
        #expect(count > 1500)
    }

    @Test("what we write, kio reads and writes again as the same bytes")
    func theyReadOurs() throws {
        var requests: [[Any]] = []
        var expected: [(name: String, version: Int16, bytes: [UInt8])] = []
        for (name, versions) in try Self.listing().sorted(by: { $0.key < $1.key }) {
            let schema = try #require(SchemaFiles.messages[name])
            let type = try #require(Self.byName[name])
            for version in versions.keys.compactMap({ Int16($0) }).sorted() {
                for seed in 1...5 as ClosedRange<UInt64> {
                    var random = RandomMessage(seed: seed &* 7919 &+ UInt64(version))
                    random.isTame = true
                    let bytes = try type.rewritten(
                        random.bytes(of: schema, version: Int(version)), version: version)
                    requests.append([name, Int(version), Data(bytes).base64EncodedString()])
                    expected.append((name, version, bytes))
                }
            }
        }
        let answers = try #require(try Self.run("rewrite", requests) as? [Any])
        try #require(answers.count == expected.count)
        #expect(expected.count > 3000)
        for (answer, ours) in zip(answers, expected) {
            let theirs = (answer as? String).flatMap { Data(base64Encoded: $0) }.map { [UInt8]($0) }
            #expect(theirs == ours.bytes, "\(ours.name) version \(ours.version): \(answer)")
        }
    }

    @Test("what we write in versions that kio lacks, kafka-python reads and writes again as the same bytes")
    func oldVersions() throws {
        let theirs = try #require(try Self.run("list-old", NSNull()) as? [[Any]])
        let newer = try Self.listing()
        var requests: [[Any]] = []
        var expected: [(name: String, version: Int16, bytes: [UInt8])] = []
        for entry in theirs {
            let (name, version) = (entry[0] as? String ?? "", Int16(entry[1] as? Int ?? -1))
            guard let type = Self.byName[name], let schema = SchemaFiles.messages[name],
                newer[name]?["\(version)"] == nil,
                // kafka-python has a single partition there where the protocol has a list of them.
                (name, version) != ("DescribeLogDirsRequest", 0)
            else { continue }
            for seed in 1...20 as ClosedRange<UInt64> {
                var random = RandomMessage(seed: seed &* 104_729 &+ UInt64(version))
                random.isTame = true
                let bytes = try type.rewritten(
                    random.bytes(of: schema, version: Int(version)), version: version)
                requests.append([name, Int(version), Data(bytes).base64EncodedString()])
                expected.append((name, version, bytes))
            }
        }
        let answers = try #require(try Self.run("rewrite-old", requests) as? [Any])
        try #require(answers.count == expected.count)
        #expect(Set(expected.map { "\($0.name) \($0.version)" }).count >= 30)
        for (answer, ours) in zip(answers, expected) {
            let found = (answer as? String).flatMap { Data(base64Encoded: $0) }.map { [UInt8]($0) }
            #expect(found == ours.bytes, "\(ours.name) version \(ours.version): \(answer)")
        }
    }

    @Test("what kio writes, we read and write again as the same bytes")
    func weReadTheirs() throws {
        let made = try #require(try Self.run("make", ["seed": 20_26, "each": 5]) as? [[Any]])
        var count = 0
        for message in made {
            let name = try #require(message[0] as? String)
            if Self.elsewhere.contains(name) { continue }
            let version = Int16(try #require(message[1] as? Int))
            let bytes = [UInt8](try #require((message[2] as? String).flatMap { Data(base64Encoded: $0) }))
            let type = try #require(Self.byName[name])
            do {
                #expect(try type.rewritten(bytes, version: version) == bytes, "\(name) version \(version)")
            } catch {
                Issue.record("\(name) version \(version): \(error)")
            }
            count += 1
        }
        #expect(count > 3000)
    }

    @Test("result codes have the names that kio has, and the same ones can be tried again")
    func errorCodes() throws {
        let list = try #require(try Self.run("errors", NSNull()) as? [[Any]])
        let theirs = try list.map { entry in
            let (code, name) = (try #require(entry[0] as? Int), try #require(entry[1] as? String))
            return "\(code) \(name) \(try #require(entry[2] as? Bool))"
        }
        let ours = ErrorCode.known.map { "\($0.rawValue) \($0.name) \($0.isRetriable)" }
        #expect(
            ours
                == theirs.sorted {
                    Int($0.split(separator: " ")[0]) ?? 0 < Int($1.split(separator: " ")[0]) ?? 0
                })
    }
}
