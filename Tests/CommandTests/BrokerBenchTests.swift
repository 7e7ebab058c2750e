import Base
import Foundation
import Testing

@testable import dmq_bench

private func parse(_ arguments: String...) throws -> BrokerOptions {
    let request = try CommandLineParser(BenchCommand.description).parse(["broker", "all"] + arguments)
    guard case .run(let command) = request else {
        Issue.record("not a command: \(arguments)")
        return BrokerOptions()
    }
    return BrokerOptions(command)
}

@Suite("dmq-bench broker")
struct BrokerBenchTests {
    @Test("every benchmark runs against dmq and the server in C, and leaves nothing behind")
    func everything() throws {
        let directory = TemporaryDirectory()
        let run = try Programs.run(
            Programs.built("dmq-bench"),
            ["broker", "all", "--smoke", "--json", "--directory", directory.path])
        #expect(run.status == 0, "\(run.errors)")
        let results = try run.objects()
        #expect(results.count == BrokerSuite(BrokerOptions()).benchmarks("all").count)
        for result in results {
            let title = try #require(result["benchmark"] as? String)
            let figures = try #require(result["figures"] as? [NSDictionary])
            for figure in figures where figure["name"] as? String != "delivered" {
                let name = figure["name"] as? String ?? ""
                #expect(
                    figure["median"] is NSNumber && figure["baselineMedian"] is NSNumber, "\(title): \(name)")
            }
            let memory = figures.first { $0["name"] as? String == "resident memory" }
            #expect((memory?["median"] as? Double ?? 0) > 1, "\(title)")
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).isEmpty)
    }

    @Test("a server that cannot be started, or does not know a setting, is told")
    func failures() throws {
        func run(_ arguments: String...) throws -> Finished {
            try Programs.run(Programs.built("dmq-bench"), ["broker", "produce", "--smoke"] + arguments)
        }
        let missing = try run("--server", "/nowhere/dmq")
        #expect(missing.status == 1 && missing.errors.contains("/nowhere/dmq did not start"))
        let unknown = try run("--set", "no.such.setting=1")
        #expect(unknown.status == 1 && unknown.errors.contains("no.such.setting"))
        #expect(try run("--record-bytes", "128KiB").status == 2)
    }

    @Test("options that are not given are those of a fresh BrokerOptions, and a smoke run is small")
    func options() throws {
        #expect(try parse() == BrokerOptions())
        let small = try parse("--smoke", "--producers", "7", "--set", "a=b", "--set", "c=d")
        #expect(small.totalByteCount < 1 << 24 && small.suite.runCount == 1)
        #expect(small.producerCount == 7 && small.settings == ["a=b", "c=d"])
        #expect(try parse("--duration", "1500us").durationNanoseconds == 1_500_000)
        #expect(try parse("--duration", "2m").durationNanoseconds == 120_000_000_000)
    }

    @Test(
        "a run has equally many whole batches for each partition", arguments: [1, 6, 256],
        [100, 1024, 60_000])
    func sizes(partitionCount: Int, recordByteCount: Int) {
        var options = BrokerOptions()
        options.partitionCount = partitionCount
        options.recordByteCount = recordByteCount
        #expect(options.fault == nil)
        for count in [options.batchCount, options.warmUpBatchCount] {
            #expect(count > 0 && count.isMultiple(of: partitionCount))
        }
        let byteCount = options.batchCount * options.recordsPerBatch * recordByteCount
        #expect(byteCount > options.totalByteCount * 9 / 10 && byteCount <= options.totalByteCount)
        #expect(options.recordsPerBatch * (recordByteCount + 10) + 61 <= options.batchByteCount)
    }

    @Test("options that do not fit together are refused")
    func faults() throws {
        #expect(try parse("--record-bytes", "64KiB").fault?.contains("--record-bytes") == true)
        #expect(try parse("--batch-bytes", "2MiB").fault?.contains("--batch-bytes") == true)
        #expect(try parse("--fetch-bytes", "1KiB").fault?.contains("--fetch-bytes") == true)
        #expect(try parse("--total-bytes", "64KiB").fault?.contains("--total-bytes") == true)
    }
}
