import Base
import Foundation
import LogStorage
import RecordFormat
import SystemIO
import Testing

@testable import dmq_bench

private func parse(_ arguments: String...) throws -> StorageOptions {
    let request = try CommandLineParser(BenchCommand.description).parse(["storage", "append"] + arguments)
    guard case .run(let command) = request else {
        Issue.record("not a command: \(arguments)")
        return StorageOptions()
    }
    return StorageOptions(command)
}

/// A sample of one gigabyte.
private func sample(milliseconds: UInt64) -> Sample {
    var sample = Sample()
    sample.byteCount = 1_000_000_000
    sample.wallNanoseconds = milliseconds * 1_000_000
    return sample
}

@Suite("dmq-bench")
struct BenchTests {
    @Test("options that are not given are those of a fresh StorageOptions")
    func defaults() throws {
        #expect(try parse() == StorageOptions())
        #expect(try parse().fault == nil)
    }

    @Test("64 appenders wait for synced appends, one for the page cache, unless told otherwise")
    func appenders() throws {
        #expect(try parse("--durability", "page-cache").appenderCount == 1)
        #expect(try parse("--durability", "synced").appenderCount == 64)
        #expect(try parse("--durability", "synced", "--appenders", "3").appenderCount == 3)
    }

    @Test("sizes that are given hold in a smoke run too")
    func smoke() throws {
        let small = try parse("--smoke", "--repeat", "2", "--batch-bytes", "4KiB")
        #expect(small.suite.runCount == 2)
        #expect(small.batchByteCount == 4096)
        #expect(small.totalByteCount < 1 << 26)
        #expect(small.suite.touchByteCount == 0)
    }

    @Test("options that do not fit together are refused")
    func faults() throws {
        #expect(try parse("--appenders", "3", "--partitions", "2").fault?.contains("--appenders") == true)
        #expect(
            try parse("--record-bytes", "128KiB", "--batch-bytes", "64KiB").fault?.contains("--record-bytes")
                == true)
        #expect(try parse("--batch-bytes", "2MiB").fault?.contains("--batch-bytes") == true)
        #expect(try parse("--segment-bytes", "2GiB").fault?.contains("--segment-bytes") == true)
        #expect(try parse("--total-bytes", "1KiB").fault?.contains("--total-bytes") == true)
    }

    @Test("the median is the middle value, or the mean of the two in the middle")
    func medians() {
        #expect(median(of: []) == nil)
        #expect(median(of: [3]) == 3)
        #expect(median(of: [9, 1, 5]) == 5)
        #expect(median(of: [4, 1, 2, 100]) == 3)
    }

    @Test("a ratio compares neighbouring runs, so that a slow spell counts on both sides")
    func ratios() throws {
        // The machine is four times slower for the last two pairs; ours takes twice as long all the time.
        let ours = [200, 800, 800].map(sample(milliseconds:))
        let baseline = [100, 400, 400].map(sample(milliseconds:))
        let figure = try #require(Figure(.throughput, ours: ours, baseline: baseline))
        #expect(figure.median == 1250)
        #expect(figure.best == 5000)
        #expect(figure.baselineMedian == 2500)
        #expect(figure.baselineBest == 10000)
        #expect(figure.ratio == 0.5)
        #expect(Target(.throughput, .ratioAtLeast(0.5)).isMet(by: figure) == true)
        #expect(Target(.throughput, .ratioAtLeast(0.6)).isMet(by: figure) == false)
        #expect(Target(.throughput, .ratioAtMost(0.4)).isMet(by: figure) == false)
        #expect(Target(.throughput, .atLeast(1250)).isMet(by: figure) == true)
        #expect(Target(.throughput, .atMost(1249)).isMet(by: figure) == false)
        #expect(Figure(.operationsPerSync, ours: ours, baseline: baseline) == nil)
    }

    @Test("batches are what producers send", arguments: StorageOptions.codecs.map(\.codec))
    func batches(codec: CompressionCodec) throws {
        var options = StorageOptions()
        options.codec = codec
        let traffic = try ProducerTraffic(options, count: 3, now: Timestamp(1_000_000))
        #expect(Set(traffic.batches).count == 3)
        #expect(traffic.recordsPerBatch == 63)
        for batch in traffic.batches {
            let header = try RecordBatchHeader(parsing: batch.span.bytes)
            try RecordBatch.validate(batch.span.bytes, header: header)
            try RecordBatch.validateFromProducer(header)
            #expect(Int(header.recordCount) == traffic.recordsPerBatch)
            #expect(header.attributes.codec == codec)
            #expect(batch.count <= options.batchByteCount)
            if codec == .none { #expect(batch.count > options.batchByteCount - 2048) }
        }
    }

    /// Each benchmark with sizes that take no time, by its name.
    static let benchmarks: [(name: String, change: @Sendable (inout StorageOptions) -> Void)] = [
        ("append", { $0.durability = .pageCache }),
        ("append", { $0.recycles = true }),
        (
            "append",
            {
                $0.durability = .synced
                $0.appenderCount = 8
                $0.partitionCount = 2
                $0.road = .queued
            }
        ),
        ("append", { $0.backEnd = .epoll }),
        ("read", { $0.codec = .lz4 }),
        ("recover", { $0.batchByteCount = 4096 }),
        ("lookup", { _ in }),
        ("open", { _ in }),
    ]

    @Test("both sides do the same work", arguments: benchmarks.indices)
    func sameWork(index: Int) throws {
        var options = StorageOptions()
        options.totalByteCount = 3 << 20
        options.segmentByteCount = 1 << 20
        options.segmentCount = 5
        options.lookupCount = 1000
        options.suite.isSmoke = true
        Self.benchmarks[index].change(&options)
        let directory = try WorkDirectory(in: NSTemporaryDirectory() + "dmq-command-tests")
        let made = try #require(StorageSuite(options).benchmarks(Self.benchmarks[index].name).first)
        let benchmark = try made(directory)
        try benchmark.prepare()
        for _ in 0..<2 {
            let baseline = try benchmark.runBaseline()
            let ours = try benchmark.run()
            #expect(ours.operationCount > 0)
            #expect(ours.byteCount == baseline.byteCount)
            #expect(ours.recordCount == baseline.recordCount)
            if benchmark.title != "read" { #expect(ours.operationCount == baseline.operationCount) }
            #expect(ours.wallNanoseconds > 0 && baseline.wallNanoseconds > 0)
        }
        try benchmark.finish()
        #expect(try directory.fileSystem.contents(ofDirectory: directory.path).isEmpty)
    }

    @Test("the report is a table with every figure, and JSON with the same")
    func report() throws {
        let ours = [sample(milliseconds: 500)]
        let figures = [Metric.throughput, .elapsed].compactMap {
            Figure($0, ours: ours, baseline: [sample(milliseconds: 400)])
        }
        let comparison = Comparison(
            title: "append", settings: [("batch", "64 KiB")], figures: figures,
            targets: [Target(.throughput, .ratioAtLeast(0.9))], runCount: 1, hash: 0xAB)
        let text = Report.text(comparison)
        #expect(text.contains("throughput"))
        #expect(text.contains("2000"))
        #expect(text.contains("0.80"))
        #expect(text.contains(">= 0.9 x C MISSED"))
        #expect(!comparison.meetsTargets)
        let json = try JSONSerialization.jsonObject(with: Data(Report.json(comparison).utf8))
        let object = try #require(json as? [String: Any])
        let listed = try #require(object["figures"] as? [[String: Any]])
        #expect(object["benchmark"] as? String == "append")
        #expect(listed.count == 2)
        #expect(listed[0]["ratio"] as? Double == 0.8)
        #expect(listed[0]["isMet"] as? Bool == false)
        #expect(listed[1]["median"] as? Double == 500)
    }
}
