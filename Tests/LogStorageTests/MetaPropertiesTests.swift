import Base
import LogStorage
import RecordFormat
import SystemIO
import Testing

@Suite("meta.properties")
struct MetaPropertiesTests {
    private static let directory = "jlnx6aFfVCFhkb5O5JiJSw"

    private func parse(_ text: String) throws -> MetaProperties {
        try MetaProperties(parsing: Array(text.utf8), path: "/d/meta.properties")
    }

    /// A good file with another line before it.
    private func parse(with line: String) throws -> MetaProperties {
        try parse("\(line)\nversion=1\ncluster.id=c\nnode.id=3\n")
    }

    @Test("keys and values are taken apart as Java does it")
    func syntax() throws {
        let cases: [(String, String, String)] = [
            ("k=v", "k", "v"), ("k:v", "k", "v"), ("k v", "k", "v"), ("k\tv", "k", "v"), ("k = v", "k", "v"),
            ("  k  :  v w  ", "k", "v w  "), ("k==v", "k", "=v"), ("k :=v", "k", "=v"), ("k", "k", ""),
            ("k=", "k", ""), (#"a\=b=c"#, "a=b", "c"), (#"a\ b=c"#, "a b", "c"),
            (#"a\:b\=c d"#, "a:b=c", "d"),
            (#"k=\t\n\r\f\\"#, "k", "\t\n\r\u{C}\\"), (#"k=\ v"#, "k", " v"), (#"k=\x\y"#, "k", "xy"),
            (#"k=\u0041\u00e9"#, "k", "Aé"), (#"k=\uD83D\uDE00"#, "k", "😀"), ("k=v\\\n   w", "k", "vw"),
            ("k=v\\\r\n\tw\\\nx", "k", "vwx"), (#"k=v\\"#, "k", #"v\"#), ("k=#v!", "k", "#v!"),
            ("#c\n!c\n  #c\n\n\u{C}\nk=v", "k", "v"), ("k=v\\\n\nx=y", "k", "v"), ("k\\\nl=v", "kl", "v"),
        ]
        for (line, key, value) in cases {
            #expect(try parse(with: line)[key] == value, "\(line.debugDescription)")
            // What is written says the same, and writing it again changes nothing.
            let written = try parse(with: line).encoded()
            let again = try MetaProperties(parsing: written, path: "p")
            #expect(again[key] == value && again.encoded() == written, "\(line.debugDescription)")
        }
    }

    @Test("bytes above ASCII are ISO 8859-1, written as escapes that every reader understands")
    func latin() throws {
        let bytes = Array("name=".utf8) + [0xE9] + Array("\nversion=1\ncluster.id=c\nnode.id=3\n".utf8)
        let meta = try MetaProperties(parsing: bytes, path: "p")
        #expect(meta["name"] == "é")
        #expect(meta.encoded().starts(with: Array(#"name=\u00E9"#.utf8)))
    }

    @Test("comments, order and unknown keys are kept when something is changed")
    func kept() throws {
        var meta = try parse("# first\n\nzone = a b\nnode.id: 3\n! second\nversion=1\ncluster.id=c\n")
        #expect(meta.directoryID == nil)
        meta.setDirectoryID(DirectoryID(Self.directory))
        #expect(
            String(decoding: meta.encoded(), as: UTF8.self)
                == "# first\n\nzone=a b\nnode.id=3\n! second\nversion=1\ncluster.id=c\n"
                + "directory.id=\(Self.directory)\n")
        meta.setDirectoryID(nil)
        #expect(!String(decoding: meta.encoded(), as: UTF8.self).contains("directory.id"))
    }

    @Test("a new file has the keys in Kafka's order")
    func new() throws {
        let meta = MetaProperties(
            clusterID: "a=b", nodeID: 0, directoryID: DirectoryID(Self.directory), comment: "made by a test")
        #expect(
            String(decoding: meta.encoded(), as: UTF8.self)
                == "#made by a test\nnode.id=0\ndirectory.id=\(Self.directory)\nversion=1\ncluster.id=a\\=b\n"
        )
        let volume = try TestVolume.real()
        try meta.write(to: volume.path("m"), volume.fileSystem)
        #expect(try MetaProperties.read(volume.path("m"), volume.fileSystem) == meta)
        #expect(try MetaProperties.read(volume.path("n"), volume.fileSystem) == nil)
    }

    @Test(
        "what is missing or out of range is refused with its name",
        arguments: [
            ("", "version is missing"), ("version=0\nbroker.id=1\n", "migrate the cluster to KRaft"),
            ("version=2\n", "version \"2\" is not known"),
            ("version=1\nnode.id=1\n", "cluster.id is missing"),
            ("version=1\ncluster.id=\nnode.id=1\n", "cluster.id is missing"),
            ("version=1\ncluster.id=c\n", "node.id is missing"),
            ("version=1\ncluster.id=c\nnode.id=-1\n", "node.id \"-1\" is not"),
            ("version=1\ncluster.id=c\nnode.id=2147483648\n", "node.id \"2147483648\" is not"),
            ("version=1\ncluster.id=c\nnode.id=1\ndirectory.id=x\n", "directory.id \"x\" is not"),
            ("version=1\ncluster.id=c\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAQ\n", "directory.id"),
            ("version=1\nversion=1\n", "line 2: \"version\" is set a second time"),
            ("k=\\u12\n", "line 1: \"k=\\u12\" has a bad \\u escape"), ("k=\\uD800\n", "bad \\u escape"),
            ("a=b\\\nc\nk=\\u00G0\n", "line 3: \"k=\\u00G0\""),
        ])
    func refused(text: String, reason: String) throws {
        let error = #expect(throws: StateFileError.self) { _ = try parse(text) }
        let description = try #require(error).description
        #expect(description.hasPrefix("/d/meta.properties") && description.contains(reason), "\(description)")
    }
}
