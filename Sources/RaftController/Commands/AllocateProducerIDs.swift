public import ClusterMetadata
internal import KafkaProtocol
public import RecordFormat

/// Gives a broker a block of producer IDs that nobody else has or will have (KIP-730).
public struct AllocateProducerIDs: ControllerCommand {
    /// Producer IDs that follow each other.
    public struct Block: Hashable, Sendable {
        public let first: ProducerID
        public let count: Int32
    }

    /// IDs in a block, as in Kafka.
    public static let blockCount: Int32 = 1000

    public var brokerID: Int32
    /// Of the broker's registration.
    public var brokerEpoch: Int64

    public init(brokerID: Int32, brokerEpoch: Int64) {
        self.brokerID = brokerID
        self.brokerEpoch = brokerEpoch
    }

    public func decide(
        _ image: MetadataImage, _ context: inout DecisionContext
    ) throws(CommandRefusal) -> Decision<Block> {
        _ = try RegisteredBroker.find(brokerID, epoch: brokerEpoch, image)
        let first = image.nextProducerID
        let (next, overflows) = first.rawValue.addingReportingOverflow(Int64(Self.blockCount))
        guard !overflows else {
            throw CommandRefusal(.unknownServerError, "all producer IDs have been given away")
        }
        let record = ProducerIDsRecord(
            brokerID: brokerID, brokerEpoch: brokerEpoch, nextProducerID: ProducerID(next))
        return Decision(Block(first: first, count: Self.blockCount), records: [.producerIDs(record)])
    }
}
