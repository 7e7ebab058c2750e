import LogStorage
import RecordFormat
import Testing

@Suite("Names of files and directories")
struct LogLayoutTests {
    @Test("every kind of file, with every suffix, is parsed back from its name")
    func fileNamesRoundTrip() {
        for kind in LogFileKind.allCases {
            for suffix in [nil] + LogFileSuffix.allCases.map(Optional.some) {
                for base: Int64 in [0, 1, 245, 1 << 40, Int64.max - Int64(UInt32.max)] {
                    let name = LogLayout.fileName(kind, Offset(base), suffix: suffix)
                    let expected = LogFileName(kind: kind, baseOffset: Offset(base), suffix: suffix)
                    #expect(LogLayout.parse(fileName: name) == expected, "\(name)")
                }
            }
        }
    }

    @Test("file names are Kafka's")
    func fileNamesAreKafkas() {
        #expect(LogLayout.fileName(.log, Offset(245)) == "00000000000000000245.log")
        #expect(LogLayout.fileName(.offsetIndex, .zero) == "00000000000000000000.index")
        #expect(
            LogLayout.fileName(.timeIndex, .zero, suffix: .deleted)
                == "00000000000000000000.timeindex.deleted")
        #expect(
            LogLayout.fileName(.transactionIndex, .zero, suffix: .swap)
                == "00000000000000000000.txnindex.swap")
        #expect(
            LogLayout.fileName(.producerSnapshot, .zero, suffix: .cleaned)
                == "00000000000000000000.snapshot.cleaned")
    }

    @Test(
        "what is not exactly the name of a segment's file is none",
        arguments: [
            "", ".log", "0.log", "00000000000000000000", "00000000000000000000.", "00000000000000000000.logs",
            "0000000000000000000.log", "000000000000000000000.log", "-0000000000000000001.log",
            "+0000000000000000001.log", "0000000000000000000x.log", "00000000000000000000.log.",
            "00000000000000000000.log.gone", "00000000000000000000.log.deleted.deleted",
            "99999999999999999999.log",
            "09223372036854775807.log", "00000000000000000000.LOG", "leader-epoch-checkpoint",
            " 0000000000000000000.log",
        ])
    func otherFileNames(name: String) { #expect(LogLayout.parse(fileName: name) == nil) }

    @Test(
        "directory names are parsed, topics with dashes and dots included",
        arguments: [
            ("golden-0", "golden", 0, nil), ("a-b-c-12", "a-b-c", 12, nil), ("a--0", "a-", 0, nil),
            ("x.y-delete-3", "x.y-delete", 3, nil), ("-1-2147483647", "-1", Int32.max, nil),
            ("t-3.0123456789abcdef0123456789ABCDEF-delete", "t", 3, .delete),
            ("t-u-3.0123456789abcdef0123456789abcdef-future", "t-u", 3, .future),
            ("a.b-3.0123456789abcdef0123456789abcdef-stray", "a.b", 3, .stray),
        ] as [(String, String, Int32, PartitionDirectorySuffix?)])
    func directoryNames(name: String, topic: String, partition: Int32, suffix: PartitionDirectorySuffix?) {
        let expected = PartitionDirectoryName(
            partition: TopicPartition(topic: topic, partition: partition), suffix: suffix)
        #expect(LogLayout.parse(directoryName: name) == expected)
    }

    @Test(
        "what is not exactly the name of a partition's directory is none",
        arguments: [
            "", "-", "t", "t-", "-0", "t-00", "t-01", "t--1x", "t-2147483648", "t-99999999999", "t 1-0",
            ".-0", "..-0",
            "t-3-delete", "t-3.0123-delete", "t-3.0123456789abcdef0123456789abcdeg-delete", "lost+found",
            "t-3.0123456789abcdef0123456789abcdef-gone", "t-+3", "é-0",
        ])
    func otherDirectoryNames(name: String) { #expect(LogLayout.parse(directoryName: name) == nil) }

    @Test("a directory name with a suffix fits into 255 bytes and is parsed back")
    func directoryNamesWithSuffix() throws {
        for suffix in PartitionDirectorySuffix.allCases {
            for topic in ["t", "a-b.c", String(repeating: "x", count: 249)] {
                let partition = TopicPartition(topic: topic, partition: .max)
                let name = LogLayout.directoryName(partition, suffix, id: (0x123, .max))
                #expect(name.utf8.count <= 255)
                let parsed = try #require(LogLayout.parse(directoryName: name))
                #expect(parsed.suffix == suffix && parsed.partition.partition == .max)
                #expect(topic.hasPrefix(parsed.partition.topic))
                if topic.utf8.count < 200 { #expect(parsed.partition == partition) }
            }
        }
    }

    @Test("all names in the golden directory are known")
    func goldenNames() throws {
        var count = 0
        for partition in try GoldenLogs.partitions() {
            #expect(LogLayout.parse(directoryName: partition)?.partition.description == partition)
            for file in try GoldenLogs.files(endingWith: "") where file.hasPrefix(partition + "/") {
                let name = String(file.dropFirst(partition.utf8.count + 1))
                let others = [LogLayout.leaderEpochCheckpoint, LogLayout.partitionMetadata, "quorum-state"]
                guard !others.contains(name) else { continue }
                let parsed = try #require(LogLayout.parse(fileName: name), "\(file)")
                #expect(LogLayout.fileName(parsed.kind, parsed.baseOffset, suffix: parsed.suffix) == name)
                count += 1
            }
        }
        #expect(count > 100)
    }

    @Test("paths are put together and taken apart")
    func paths() {
        #expect(LogLayout.path("/data", "t-0") == "/data/t-0")
        #expect(LogLayout.parent(of: "/data/t-0") == "/data")
        #expect(LogLayout.parent(of: "/data") == "/")
        #expect(LogLayout.parent(of: "data") == ".")
    }
}
