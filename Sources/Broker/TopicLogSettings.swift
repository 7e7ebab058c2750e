internal import LogStorage
internal import RecordFormat
internal import Settings

extension TopicSettingValues {
    /// As the topic's logs take them.
    var logConfiguration: LogConfiguration {
        var result = LogConfiguration()
        result.segmentByteCount = self[TopicSettings.segmentBytes]
        result.segmentMilliseconds = self[TopicSettings.segmentMilliseconds]
        result.segmentJitterMilliseconds = self[TopicSettings.segmentJitterMilliseconds]
        result.segmentIndexByteCount = self[TopicSettings.segmentIndexBytes]
        result.indexIntervalByteCount = self[TopicSettings.indexIntervalBytes]
        result.fileDeleteDelayMilliseconds = self[TopicSettings.fileDeleteDelayMilliseconds]
        result.retentionMilliseconds = self[TopicSettings.retentionMilliseconds]
        result.retentionByteCount = self[TopicSettings.retentionBytes]
        result.maximumBatchByteCount = self[TopicSettings.maximumMessageBytes]
        result.timestampType =
            switch self[TopicSettings.timestampType] {
            case .createTime: .createTime
            case .logAppendTime: .logAppendTime
            }
        result.timestampBeforeMaximumMilliseconds = self[TopicSettings.timestampBeforeMaximumMilliseconds]
        result.timestampAfterMaximumMilliseconds = self[TopicSettings.timestampAfterMaximumMilliseconds]
        result.cleanupPolicy = []
        for choice in self[TopicSettings.cleanupPolicy] {
            result.cleanupPolicy.insert(choice == .compact ? .compact : .delete)
        }
        result.minimumCleanableDirtyRatio = self[TopicSettings.minimumCleanableDirtyRatio]
        result.minimumCompactionLagMilliseconds = self[TopicSettings.minimumCompactionLagMilliseconds]
        result.maximumCompactionLagMilliseconds = self[TopicSettings.maximumCompactionLagMilliseconds]
        result.deleteRetentionMilliseconds = self[TopicSettings.deleteRetentionMilliseconds]
        result.producerIDExpirationMilliseconds = Int64(
            broker[BrokerSettings.producerIDExpirationMilliseconds])
        result.durability = self[TopicSettings.durability] == .synced ? .synced : .pageCache
        result.recordValidation =
            switch self[TopicSettings.recordValidation] {
            case .none: .none
            case .uncompressed: .uncompressed
            case .all: .all
            }
        result.compression = compression
        result.flushRecordCount = self[TopicSettings.flushMessages]
        result.flushMilliseconds = self[TopicSettings.flushMilliseconds]
        result.preallocatesSegments =
            self[TopicSettings.preallocateSegments] || self[TopicSettings.preallocate]
        return result
    }

    /// Nil: as producers send their batches.
    private var compression: StoredCompression? {
        switch self[TopicSettings.compressionType] {
        case .producer: nil
        case .uncompressed: StoredCompression(.none)
        case .snappy: StoredCompression(.snappy)
        case .gzip:
            // Kafka's -1 is no level but zlib's own choice.
            StoredCompression(
                .gzip, level: self[TopicSettings.gzipLevel] == -1 ? nil : self[TopicSettings.gzipLevel])
        case .lz4: StoredCompression(.lz4, level: self[TopicSettings.lz4Level])
        case .zstd: StoredCompression(.zstd, level: self[TopicSettings.zstdLevel])
        }
    }
}
