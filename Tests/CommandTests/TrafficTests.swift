import Base
import Foundation
import RecordFormat
import Testing

@testable import dmq_bench

/// `dmq-bench produce`, `consume`, `end-to-end` and `mixed`.
@Suite("dmq-bench against a broker")
struct TrafficTests {
    private func bench(_ broker: BrokerProcess, _ arguments: String...) throws -> Finished {
        try Programs.run(Programs.built("dmq-bench"), arguments + ["-b", broker.address])
    }

    private func number(_ result: NSDictionary, _ path: String...) -> Int? {
        var object = result
        for name in path.dropLast() { object = object[name] as? NSDictionary ?? [:] }
        return object[path[path.count - 1]] as? Int
    }

    @Test("what is written is read, record for record and byte for byte", arguments: ["none", "zstd"])
    func produceAndConsume(codec: String) throws {
        let broker = try BrokerProcess()
        let written = try bench(
            broker, "produce", "--records", "20000", "--record-bytes", "100", "--partitions", "3",
            "--warm-up",
            "0s", "-c", "2", "-z", codec, "--json")
        #expect(written.status == 0, "\(written.errors)")
        let result = try #require(try written.objects().first)
        #expect(number(result, "written", "records") == 20_000)
        #expect(number(result, "written", "bytes") == 2_000_000 && number(result, "failures") == 0)
        // A record in 64 of each of two threads is timed.
        #expect(number(result, "acknowledgementMicroseconds", "count") == 314)
        for consumers in ["1", "2"] {
            let read = try bench(broker, "consume", "-c", consumers, "--json")
            let counted = try #require(try read.objects().first)
            #expect(number(counted, "read", "records") == 20_000)
            #expect(number(counted, "read", "bytes") == 2_000_000)
        }
    }

    @Test("at a rate each record is timed, to the broker and back and all the way to a consumer")
    func endToEnd() throws {
        let broker = try BrokerProcess()
        let run = try bench(
            broker, "end-to-end", "--rate", "2000", "--records", "1000", "--warm-up", "100ms", "--json")
        let result = try #require(try run.objects().first, "\(run.errors)")
        #expect(run.status == 0)
        for flow in ["written", "read"] { #expect(number(result, flow, "records") == 1000) }
        for way in ["acknowledgement", "endToEnd"] {
            #expect(number(result, "\(way)Microseconds", "count") == 1000)
        }
        let mixed = try bench(
            broker, "mixed", "--producers", "3", "--consumers", "2", "--keys", "10", "--records", "3000",
            "--warm-up", "0s")
        #expect(mixed.status == 0 && mixed.text.contains("3,000 records"), "\(mixed.errors)")
    }

    @Test("a broker that is not there, a topic that is empty and options that cannot be are told")
    func refusals() throws {
        let broker = try BrokerProcess()
        try broker.dmq("topic", "create", "empty")
        let empty = try bench(broker, "consume", "-t", "empty")
        #expect(empty.status == 1 && empty.errors.contains("topic empty is empty"))
        let pid = try bench(broker, "produce", "--broker-pid", "999999999", "--records", "1")
        #expect(pid.status == 1 && pid.errors.contains("--broker-pid"))
        #expect(try bench(broker, "produce", "--record-bytes", "4").status == 2)
        #expect(try bench(broker, "produce", "--codec", "zip").status == 2)
    }

    @Test("records are due evenly, whatever became of those before")
    func schedule() {
        let schedule = Schedule(start: 1000, recordsPerSecond: 3)
        #expect((0..<4).map { schedule.moment(of: $0) } == [1000, 333_334_333, 666_667_666, 1_000_001_000])
        // A day at a million a second: no error adds up.
        let fast = Schedule(start: 0, recordsPerSecond: 1_000_000)
        #expect(fast.moment(of: 86_400_000_000) == 86_400_000_000_000)
    }

    @Test("every partition has a reader, and every reader a partition", arguments: 1...9, 1...9)
    func shares(partitionCount: Int, consumerCount: Int) {
        let partitions = (0..<partitionCount).map { TopicPartition(topic: "t", partition: Int32($0)) }
        let shares = (0..<consumerCount).map {
            ConsumerLoad.share(of: partitions, place: $0, count: consumerCount)
        }
        #expect(Set(shares.flatMap { $0 }) == Set(partitions))
        #expect(shares.allSatisfy { !$0.isEmpty })
        if consumerCount <= partitionCount { #expect(shares.reduce(0) { $0 + $1.count } == partitionCount) }
    }

    @Test("a process's times are read behind its name, whatever that is")
    func processorTime() {
        let line = "42 (a ) 1 2 b) S 1 42 42 0 -1 4194560 100 0 0 0 250 75 0 0 20 0 5 0 100 1 2 3"
        let time = ProcessorTime.parse(line)
        #expect(time?.user == 2.5 && time?.system == 0.75)
        #expect(ProcessorTime.parse("42 (x) S 1") == nil && ProcessorTime.parse("") == nil)
    }
}
