internal import Base
public import RecordFormat

/// Committed records of the metadata log: what an image at their start needs to become that at their end.
/// Handed from the controller's lane to all others.
public struct MetadataUpdate: Sendable {
    /// In the order of the log. Those of transactions come when their transaction has ended.
    public let records: [MetadataRecord]
    /// What they change.
    public let delta: MetadataDelta
    /// The offset after the last of them.
    public let endOffset: Offset
    /// Of the leader that wrote them.
    public let epoch: LeaderEpoch

    public init(records: [MetadataRecord], delta: MetadataDelta, endOffset: Offset, epoch: LeaderEpoch) {
        self.records = records
        self.delta = delta
        self.endOffset = endOffset
        self.epoch = epoch
    }
}

extension MetadataImage {
    /// Takes over committed records, in place. They were applied before to an equal image.
    public mutating func apply(_ update: MetadataUpdate) {
        for record in update.records {
            do {
                try apply(record)
            } catch {
                invariantFailed("a committed record does not fit the image: \(error)")
            }
        }
    }
}
