import Foundation
import Testing

/// Real clients against the built broker: `clients/checks.py` in the environment of
/// `tools/python-environment`.
@Suite("Real clients", .serialized)
struct ClientTests {
    private static let script = ClientScript(name: "checks.py")

    /// Short intervals, so that what happens in the background happens while a client looks.
    private static let settings = [
        "log.retention.check.interval.ms": "500",
        "log.cleaner.backoff.ms": "200",
        "log.flush.offset.checkpoint.interval.ms": "500",
        "log.segment.delete.delay.ms": "1000",
    ]

    static let names = [
        "acknowledgements", "admin-by-aiokafka", "admin-by-confluent", "admin-by-kafka-python",
        "auto-creation", "codec-gzip", "codec-lz4", "codec-none", "codec-snappy", "codec-zstd", "compaction",
        "idempotent-producers", "large-record-above-the-limit", "large-records", "metadata",
        "offsets-by-time", "refusals", "resuming", "retention",
    ]

    @Test("every check of the script is run here")
    func complete() throws {
        let listed = try Self.script.run(["--list"]).output.split(separator: "\n").map(String.init)
        #expect(listed == Self.names)
    }

    @Test("a check holds", arguments: names)
    func holds(name: String) throws {
        let broker = try RunningBroker(settings: Self.settings)
        let (status, output) = try Self.script.run([name, "--bootstrap", broker.bootstrap])
        #expect(status == 0, "\(output)")
        #expect(broker.stop() == 0, "the broker did not stop in order after \(name)")
    }
}
