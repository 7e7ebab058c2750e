import Base
import DMQClient
import RecordFormat

/// Runs `body` with a client of a fake broker; both end afterwards.
func withClient<Value>(
    of broker: FakeBroker, requestMilliseconds: Int64 = 10_000, longestBackoffMilliseconds: Int64 = 5,
    _ body: (Client) async throws -> Value
) async throws -> Value {
    var configuration = ClientConfiguration(bootstrapServers: [broker.address])
    configuration.backoffMilliseconds = 1
    configuration.longestBackoffMilliseconds = longestBackoffMilliseconds
    configuration.requestMilliseconds = requestMilliseconds
    let client = try Client(configuration)
    do {
        let value = try await body(client)
        await client.close()
        broker.stop()
        return value
    } catch {
        await client.close()
        broker.stop()
        throw error
    }
}

/// Has the client connected to the leader of topic `t`, so that what follows takes no longer than it must.
func warm(_ client: Client) async throws {
    _ = try await client.offsets([TopicPartition(topic: "t", partition: 0)], .latest)
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

func text(_ bytes: [UInt8]?) -> String { bytes.map { String(decoding: $0, as: UTF8.self) } ?? "null" }
