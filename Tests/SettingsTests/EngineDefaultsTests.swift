import LogStorage
import Testing

@testable import Settings

@Suite("defaults of the storage engine")
struct EngineDefaultsTests {
    @Test("a log without settings is configured as the table says")
    func logs() {
        let log = LogConfiguration()
        let values = SettingValues()
        #expect(log.segmentByteCount == values[TopicSettings.segmentBytes])
        #expect(log.segmentMilliseconds == values[TopicSettings.segmentMilliseconds])
        #expect(log.segmentJitterMilliseconds == values[TopicSettings.segmentJitterMilliseconds])
        #expect(log.indexIntervalByteCount == values[TopicSettings.indexIntervalBytes])
        #expect(log.segmentIndexByteCount == values[TopicSettings.segmentIndexBytes])
        #expect(log.retentionMilliseconds == values[TopicSettings.retentionMilliseconds])
        #expect(log.retentionByteCount == values[TopicSettings.retentionBytes])
        #expect(log.maximumBatchByteCount == values[TopicSettings.maximumMessageBytes])
        #expect(
            log.timestampBeforeMaximumMilliseconds == values[TopicSettings.timestampBeforeMaximumMilliseconds]
        )
        #expect(
            log.timestampAfterMaximumMilliseconds == values[TopicSettings.timestampAfterMaximumMilliseconds])
        #expect(log.minimumCleanableDirtyRatio == values[TopicSettings.minimumCleanableDirtyRatio])
        #expect(
            log.minimumCompactionLagMilliseconds == values[TopicSettings.minimumCompactionLagMilliseconds])
        #expect(
            log.maximumCompactionLagMilliseconds == values[TopicSettings.maximumCompactionLagMilliseconds])
        #expect(log.deleteRetentionMilliseconds == values[TopicSettings.deleteRetentionMilliseconds])
        #expect(log.fileDeleteDelayMilliseconds == values[TopicSettings.fileDeleteDelayMilliseconds])
        #expect(log.flushRecordCount == values[TopicSettings.flushMessages])
        #expect(log.flushMilliseconds == values[TopicSettings.flushMilliseconds])
        #expect(log.compression == nil && values[TopicSettings.compressionType] == .producer)
        #expect(log.preallocatesSegments == values[TopicSettings.preallocateSegments])
        #expect(
            log.producerIDExpirationMilliseconds
                == Int64(values[BrokerSettings.producerIDExpirationMilliseconds]))
        #expect(log.cleanupPolicy == .delete && values[TopicSettings.cleanupPolicy] == [.delete])
    }

    @Test("words of settings are the engine's words")
    func words() {
        #expect(AckDurability.allCases.map(\.rawValue) == DurabilityChoice.allCases.map(\.rawValue))
        #expect(RecordValidation.allCases.map(\.rawValue) == RecordValidationChoice.allCases.map(\.rawValue))
        let log = LogConfiguration()
        let values = SettingValues()
        #expect(log.durability.rawValue == values[TopicSettings.durability].rawValue)
        #expect(log.recordValidation.rawValue == values[TopicSettings.recordValidation].rawValue)
    }

    @Test("a store and a cleaner without settings are configured as the table says")
    func stores() {
        let store = LogStoreConfiguration(directoryPaths: [])
        let cleaner = CleanerConfiguration()
        let values = SettingValues()
        #expect(Int(store.nodeID) == values[BrokerSettings.nodeID])
        #expect(store.reserveByteCount == values[BrokerSettings.diskReserveBytes])
        #expect(store.recycleByteCount == values[BrokerSettings.segmentRecycleBytes])
        #expect(store.recoveryThreadsPerDirectory == values[BrokerSettings.recoveryThreads])
        #expect(cleaner.threadCount == values[BrokerSettings.cleanerThreads])
        #expect(Int64(cleaner.dedupeByteCount) == values[BrokerSettings.cleanerDedupeBytes])
        #expect(cleaner.loadFactor == values[BrokerSettings.cleanerLoadFactor])
        #expect(cleaner.bufferByteCount == values[BrokerSettings.cleanerBufferBytes])
        #expect(cleaner.bytesPerSecond == nil)
        #expect(values[BrokerSettings.cleanerBytesPerSecond] == .greatestFiniteMagnitude)
        #expect(cleaner.backoffMilliseconds == values[BrokerSettings.cleanerBackoffMilliseconds])
    }
}
