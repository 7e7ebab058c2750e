internal import RecordFormat

/// Which lane a partition belongs to: the same at every start with as many lanes, and the partitions of a
/// topic one after the other.
struct PartitionPlacement: Sendable {
    let laneCount: Int

    func lane(of partition: TopicPartition) -> Int {
        if laneCount == 1 { return 0 }
        // FNV-1a.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in partition.topic.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return Int((hash >> 32 &+ UInt64(UInt32(bitPattern: partition.partition))) % UInt64(laneCount))
    }
}
