import KafkaProtocol
import Testing

/// Names and numbers of result codes.
@Suite("Error codes")
struct ErrorCodeTests {
    @Test("codes have Kafka's names and numbers")
    func names() {
        #expect(ErrorCode.none.rawValue == 0 && ErrorCode.none.name == "NONE")
        #expect(ErrorCode.unknownServerError.rawValue == -1)
        #expect(ErrorCode.notLeaderOrFollower.rawValue == 6)
        #expect(ErrorCode.notLeaderOrFollower.isRetriable)
        #expect(ErrorCode.unsupportedVersion.name == "UNSUPPORTED_VERSION")
        #expect(!ErrorCode.messageTooLarge.isRetriable)
        #expect(ErrorCode.unknownTopicID.rawValue == 100)
        #expect("\(ErrorCode(rawValue: 9999))" == "9999" && !ErrorCode(9999).isRetriable)
    }

    @Test("the table has all codes in order, each with a sentence of its own")
    func table() {
        let codes = ErrorCode.known
        #expect(codes.map(\.rawValue) == Array(-1...133))
        #expect(Set(codes.map(\.name)).count == codes.count)
        #expect(Set(codes.map(\.message)).count == codes.count)
        for code in codes { #expect(code.message.hasSuffix("."), "\(code)") }
    }
}
