import Base
import Foundation
import KafkaProtocol
import RecordFormat
import Settings
import SimulationKit
import SystemIO
import Testing

@testable import Broker

/// A directory that goes with the object.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "dmq-broker-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A node on the loopback interface, with real lanes, sockets and files. Ends with the object.
final class TestNode {
    let node: BrokerNode
    let clock = SimulatedClock()
    let sink = RecordingLogSink()
    let directory: TemporaryDirectory
    private var isStopped = false

    /// - Parameters:
    ///   - directories: the log directories; nil: one in `directory`.
    ///   - timeSource: nil: `clock`.
    init(
        lanes: Int = 1, _ settings: [(key: String, value: String)] = [],
        in directory: TemporaryDirectory? = nil, directories: [String]? = nil,
        timeSource: (any TimeSource)? = nil
    ) throws {
        self.directory = try directory ?? TemporaryDirectory()
        let fixed = [
            ("dmq.lanes", "\(lanes)"), ("listeners", "PLAINTEXT://127.0.0.1:0"),
            ("dmq.request.memory.bytes", "134217728"),
        ]
        let values = try SettingValues.starting(
            file: nil, commandLine: fixed.map { (key: $0.0, value: $0.1) } + settings
        ).values
        node = try BrokerNode(
            try BrokerConfiguration(
                values, directoryPaths: directories ?? [self.directory.path + "/data"], coreCount: 1),
            fileSystem: PosixFileSystem(), timeSource: timeSource ?? clock, logger: sink.logger())
        try node.start()
    }

    deinit { stop() }

    func stop() {
        if isStopped { return }
        isStopped = true
        node.stop()
    }

    var port: UInt16 { node.listeners[0].address.port }

    func client(clientID: String = "test") throws -> BrokerClient {
        try BrokerClient(port: port, clientID: clientID)
    }

    var requestCount: Int { node.lanes.reduce(0) { $0 + $1.lane.counters.requests.value } }
    var responseCount: Int { node.lanes.reduce(0) { $0 + $1.lane.counters.responses.value } }

    /// Moves the clock, and has all lanes look at it.
    func advance(milliseconds: Int64) {
        clock.advance(milliseconds: milliseconds)
        for lane in node.lanes { lane.perform { _ in } }
    }
}

/// Why a test's client has nothing to show.
enum ClientError: Error {
    case connectionEnded
    case wrongAnswer(Int32, expected: Int32)
}

/// A client that waits for its answers.
final class BrokerClient {
    private let socket: Socket
    private var nextCorrelationID: Int32 = 1
    private var expected: [Int32] = []
    var clientID: String

    init(port: UInt16, clientID: String = "test") throws {
        socket = try Socket.connect(port: port)
        self.clientID = clientID
    }

    func send(bytes: [UInt8]) throws { try socket.send(BufferSlice(IOBuffer(copying: bytes))) }

    /// Sends a request without waiting for its answer.
    func send<Body: RequestMessage>(_ request: Body, version: Int16, isAnswered: Bool = true) throws {
        var writer = MessageWriter()
        try writer.writeRequest(
            request, version: version, correlationID: nextCorrelationID, clientID: clientID)
        if isAnswered { expected.append(nextCorrelationID) }
        nextCorrelationID += 1
        try send(bytes: writer.bytes)
    }

    /// The next answer with the bytes that it was read from.
    func receiveFrame<Body: RequestMessage>(
        _ type: Body.Type, version: Int16
    ) throws -> (Body.Response, [UInt8]) {
        let head = try exactly(4)
        let frame = try exactly(head.reduce(0) { $0 << 8 | Int($1) })
        let buffer = IOBuffer(copying: frame)
        let bytes = buffer.bytes.extracting(0..<frame.count)
        let header = try ResponseHeader(parsing: bytes, apiKey: Body.apiKey, version: version)
        let wanted = expected.removeFirst()
        if header.correlationID != wanted {
            throw ClientError.wrongAnswer(header.correlationID, expected: wanted)
        }
        return (try Body.Response(decoding: bytes, version: version, from: header.bodyPosition), frame)
    }

    func receive<Body: RequestMessage>(_ type: Body.Type, version: Int16) throws -> Body.Response {
        try receiveFrame(type, version: version).0
    }

    func ask<Body: RequestMessage>(_ request: Body, version: Int16) throws -> Body.Response {
        try send(request, version: version)
        return try receive(Body.self, version: version)
    }

    func exactly(_ count: Int) throws -> [UInt8] {
        let buffer = IOBuffer(byteCount: max(count, 1))
        var have = 0
        while have < count {
            let more = try socket.receive(into: buffer, have..<count)
            if more == 0 { throw ClientError.connectionEnded }
            have += more
        }
        return buffer.bytes.withUnsafeBytes { Array($0[0..<count]) }
    }

    /// Whether the broker has ended the connection; waits for it or for a byte.
    func hasEnded() -> Bool {
        do {
            _ = try exactly(1)
            return false
        } catch {
            return true
        }
    }
}

// MARK: Requests in short

extension BrokerClient {
    @discardableResult
    func metadata(_ topics: [String], creating: Bool = true) throws -> MetadataResponse {
        try ask(
            MetadataRequest(
                topics: topics.map { MetadataRequest.MetadataRequestTopic(name: $0) },
                allowAutoTopicCreation: creating), version: 12)
    }

    static func produce(
        _ topic: String, _ batches: [(partition: Int32, batch: BufferSlice)], acks: Int16 = -1,
        timeout: Int32 = 30_000
    ) -> ProduceRequest {
        ProduceRequest(
            acks: acks, timeoutMilliseconds: timeout,
            topicData: [
                ProduceRequest.TopicProduceData(
                    name: topic,
                    partitionData: batches.map {
                        ProduceRequest.PartitionProduceData(
                            index: $0.partition, records: .inline(bytes(of: $0.batch)))
                    })
            ])
    }

    /// Appends one batch to partition 0, and gives the answer for it.
    @discardableResult
    func produce(
        _ topic: String, _ batch: BufferSlice, partition: Int32 = 0, acks: Int16 = -1, version: Int16 = 9
    ) throws -> ProduceResponse.PartitionProduceResponse {
        let answer = try ask(
            Self.produce(topic, [(partition, batch)], acks: acks), version: version)
        return try #require(answer.responses.first?.partitionResponses.first)
    }

    static func fetch(
        _ topic: String, _ partitions: [(partition: Int32, offset: Int64)], wait: Int32 = 0,
        minBytes: Int32 = 1, maxBytes: Int32 = 1 << 20, partitionBytes: Int32 = 1 << 20,
        isCommitted: Bool = false, session: (id: Int32, epoch: Int32) = (0, -1)
    ) -> FetchRequest {
        FetchRequest(
            maxWaitMilliseconds: wait, minBytes: minBytes, maxBytes: maxBytes,
            isolationLevel: isCommitted ? 1 : 0, sessionID: session.id, sessionEpoch: session.epoch,
            topics: partitions.isEmpty
                ? []
                : [
                    FetchRequest.FetchTopic(
                        topic: topic,
                        partitions: partitions.map {
                            FetchRequest.FetchPartition(
                                partition: $0.partition, fetchOffset: Offset($0.offset),
                                partitionMaxBytes: partitionBytes)
                        })
                ])
    }

    /// What the answer to a fetch says of each partition, with the records.
    func fetched(version: Int16 = 12) throws -> (FetchResponse, [(FetchResponse.PartitionData, [UInt8])]) {
        let (response, frame) = try receiveFrame(FetchRequest.self, version: version)
        let parts = response.responses.flatMap(\.partitions).map { data in
            (data, data.records?.range.map { Array(frame[$0]) } ?? [])
        }
        return (response, parts)
    }

    func fetch(_ request: FetchRequest, version: Int16 = 12) throws -> [(
        FetchResponse.PartitionData, [UInt8]
    )] {
        try send(request, version: version)
        return try fetched(version: version).1
    }

    static func bytes(of slice: BufferSlice) -> [UInt8] {
        slice.bytes.withUnsafeBytes { Array($0) }
    }
}

/// Offsets of the records in the batches that `bytes` consist of.
func offsets(_ bytes: [UInt8]) throws -> [Int64] {
    var result: [Int64] = []
    var position = 0
    let buffer = IOBuffer(copying: bytes)
    while position < bytes.count {
        let header = try RecordBatchHeader(parsing: buffer.bytes.extracting(position..<bytes.count))
        result += header.baseOffset.rawValue...header.lastOffset.rawValue
        position += header.byteCount
    }
    return result
}
