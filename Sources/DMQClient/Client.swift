internal import Base
internal import KafkaProtocol
internal import RecordFormat
internal import SystemIO
internal import Transport

/// A client of a cluster: the connections and the thread that producers, consumers and admin calls share.
///
///     let client = try Client(ClientConfiguration(bootstrapServers: ["127.0.0.1:9092"]))
///     let producer = try Producer(client)
///     try await producer.send(topic: "events", key: nil, value: Array("hello".utf8))
///     try await producer.flush()
///     await client.close()
///
/// Connecting begins with the first thing that is asked. Any thread.
public final class Client: @unchecked Sendable {
    // @unchecked: nothing changes after `init` but behind the lock of `isStopped`.

    public let configuration: ClientConfiguration
    let core: ClientCore
    private let lanes: LaneGroup
    private let isStopped = Locked(false)

    /// - Throws: what is wrong with the configuration, or what the machine refuses.
    public init(_ configuration: ClientConfiguration) throws(ClientError) {
        if configuration.bootstrapServers.isEmpty {
            throw .configuration(setting: "bootstrap servers", value: "none", reason: "name at least one")
        }
        var endpoints: [BrokerEndpoint] = []
        for text in configuration.bootstrapServers { endpoints.append(try BrokerEndpoint(text)) }
        self.configuration = configuration
        do throws(IOError) {
            let clock = SystemClock()
            lanes = try LaneGroup(LaneSettings(laneCount: 1), timeSource: clock, log: configuration.log)
            core = ClientCore(
                configuration, bootstrap: endpoints, lanes.lanes[0], seed: SystemRandom.seed())
            try lanes.start()
        } catch {
            throw .system("\(error)")
        }
    }

    deinit { stop() }

    /// Ends the client: whatever waits fails with `closed`. Records that were not acknowledged are lost:
    /// flush producers before. Blocks for as long as the thread takes to end.
    public func close() async { stop() }

    private func stop() {
        let isFirst = isStopped.withLock { stopped in
            defer { stopped = true }
            return !stopped
        }
        if !isFirst { return }
        let (core, lanes) = (self.core, self.lanes)
        _ = core.lane.submit { core.close() }
        if core.lane.isCurrent {
            // The last reference went in a callback: the thread cannot wait for its own end.
            Task.detached {
                lanes.stop()
                core.finishResolving()
            }
        } else {
            lanes.stop()
            core.finishResolving()
        }
    }

    // MARK: Asking

    /// Runs `body` on the lane and waits for what it hands to its completion, which it must call once.
    func perform<Value: Sendable>(
        _ body: @escaping @Sendable (ClientCore, @escaping (Result<Value, ClientError>) -> Void) -> Void
    ) async throws(ClientError) -> Value {
        let core = self.core
        let result: Result<Value, ClientError> = await withCheckedContinuation { continuation in
            let isTaken = core.lane.submit {
                if core.isClosed { return continuation.resume(returning: .failure(.closed)) }
                body(core) { continuation.resume(returning: $0) }
            }
            if !isTaken { continuation.resume(returning: .failure(.closed)) }
        }
        return try result.get()
    }

    /// What the cluster says of a topic.
    /// - Parameters:
    ///   - mayCreate: whether a broker that is set to make topics on demand may make this one.
    ///   - milliseconds: how long to wait for a topic that no broker knows.
    /// - Throws: also when the topic does not exist after that time.
    public func topic(
        _ name: String, mayCreate: Bool = false, milliseconds: Int64 = 5_000
    ) async throws(ClientError) -> TopicDescription {
        try await perform { core, completion in
            core.metadata.topic(name, milliseconds: milliseconds, mayCreate: mayCreate, completion)
        }
    }
}
