import KafkaProtocol
import RecordFormat
import Testing

/// Headers, frames and record bytes, against bytes written by hand from the protocol's description.
@Suite("Frames")
struct FrameTests {
    @Test("a request of a version that is not flexible has a header of version 1")
    func oldRequest() throws {
        let bytes: [UInt8] = [0, 3, 0, 1, 0, 0, 0, 7, 0, 2, 0x68, 0x69, 0, 0, 0, 1, 0, 1, 0x74]
        let frame = try RequestFrame(parsing: bytes.span.bytes)
        #expect(
            frame.header
                == RequestHeader(apiKey: .metadata, apiVersion: 1, correlationID: 7, clientID: "hi"))
        let request = try frame.decode(MetadataRequest.self, from: bytes.span.bytes)
        #expect(request.topics?.map(\.name) == ["t"])
        var writer = MessageWriter()
        try writer.writeRequest(request, version: 1, correlationID: 7, clientID: "hi")
        #expect(writer.bytes == [0, 0, 0, 19] + bytes)
    }

    @Test("a request of a flexible version has a header of version 2 with tagged fields")
    func flexibleRequest() throws {
        let bytes: [UInt8] = [0, 18, 0, 3, 0, 0, 0, 7, 0xFF, 0xFF, 0, 2, 0x61, 2, 0x31, 0]
        let frame = try RequestFrame(parsing: bytes.span.bytes)
        #expect(frame.header.clientID == nil)
        let request = try frame.decode(APIVersionsRequest.self, from: bytes.span.bytes)
        #expect(request == APIVersionsRequest(clientSoftwareName: "a", clientSoftwareVersion: "1"))
        var writer = MessageWriter()
        try writer.writeRequest(request, version: 3, correlationID: 7, clientID: nil)
        #expect(writer.bytes == [0, 0, 0, 16] + bytes)
    }

    @Test("the response of ApiVersions has a header without tagged fields in every version")
    func apiVersionsResponse() throws {
        var writer = MessageWriter()
        let response = APIVersionsResponse(apiKeys: [.init(apiKey: 18, minVersion: 0, maxVersion: 4)])
        try writer.writeResponse(response, version: 3, correlationID: 9)
        #expect(
            writer.bytes == [
                0, 0, 0, 19, 0, 0, 0, 9, 0, 0, 2, 0, 18, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0,
            ])
        let frame = Array(writer.bytes.dropFirst(4))
        let header = try ResponseHeader(parsing: frame.span.bytes, apiKey: .apiVersions, version: 3)
        #expect(header.correlationID == 9 && header.bodyPosition == 4)
        let again = try APIVersionsResponse(
            decoding: frame.span.bytes, version: 3, from: header.bodyPosition)
        #expect(again == response)
    }

    @Test("records of a request are a range of the frame")
    func recordsAreNotCopied() throws {
        let request = ProduceRequest(
            acks: 1, timeoutMilliseconds: 5,
            topicData: [
                .init(name: "t", partitionData: [.init(index: 0, records: .inline([1, 2, 3]))])
            ])
        for version in [3, 9] as [Int16] {
            var writer = MessageWriter()
            try writer.writeRequest(request, version: version, correlationID: 1, clientID: "c")
            let bytes = Array(writer.bytes.dropFirst(4))
            let frame = try RequestFrame(parsing: bytes.span.bytes)
            let found = try frame.decode(ProduceRequest.self, from: bytes.span.bytes)
            let range = try #require(found.topicData[0].partitionData[0].records?.range)
            #expect(Array(bytes[range]) == [1, 2, 3])
        }
    }

    @Test("records that lie elsewhere are left out of a response, counted in its length and noted")
    func splices() throws {
        func response(_ records: [RecordBytes]) -> FetchResponse {
            let partitions = records.enumerated().map { index, bytes in
                FetchResponse.PartitionData(partitionIndex: Int32(index), records: bytes)
            }
            return FetchResponse(responses: [.init(topic: "t", partitions: partitions)])
        }
        for version in [4, 12] as [Int16] {
            var (whole, spliced) = (MessageWriter(), MessageWriter())
            let first = [UInt8](repeating: 7, count: 300)
            try whole.writeResponse(
                response([.inline(first), .inline([9])]), version: version, correlationID: 3)
            try spliced.writeResponse(
                response([.external(position: 40, byteCount: 300), .external(position: 41, byteCount: 1)]),
                version: version, correlationID: 3)
            #expect(spliced.splices.map(\.token) == [40, 41])
            #expect(spliced.totalByteCount == whole.totalByteCount)
            var bytes = spliced.bytes
            for splice in spliced.splices.reversed() {
                bytes.insert(contentsOf: splice.token == 40 ? first : [9], at: splice.position)
            }
            #expect(bytes == whole.bytes)
        }
    }

    @Test("a field that the version cannot carry is refused, and nothing of the frame is left")
    func refusedField() throws {
        var writer = MessageWriter()
        try writer.writeResponse(HeartbeatResponse(), version: 0, correlationID: 1)
        let before = writer.bytes
        let request = ProduceRequest(transactionalID: "t")
        #expect {
            try writer.writeRequest(request, version: 2, correlationID: 1, clientID: nil)
        } throws: { error in
            let error = error as? ProtocolError
            return error?.reason == .notInVersion && error?.field == "transactionalID"
                && error?.message == "ProduceRequest" && error?.version == 2
        }
        #expect(writer.bytes == before)
    }

    @Test("an unknown API and an unsupported version still give a header to answer to")
    func unknownRequests() throws {
        let unknown: [UInt8] = [0x03, 0xE7, 0, 1, 0, 0, 0, 7, 1, 2, 3]
        let frame = try RequestFrame(parsing: unknown.span.bytes)
        #expect(frame.apiKey == nil && frame.header.rawAPIKey == 999 && frame.header.correlationID == 7)
        let newer: [UInt8] = [0, 18, 0, 99, 0, 0, 0, 7, 0, 1, 0x63, 0, 1, 2, 3]
        let versions = try RequestFrame(parsing: newer.span.bytes)
        #expect(versions.header.clientID == "c" && versions.header.apiVersion == 99)
        #expect {
            try versions.decode(APIVersionsRequest.self, from: newer.span.bytes)
        } throws: {
            ($0 as? ProtocolError)?.reason == .unsupportedVersion(known: 0...4)
        }
    }
}
