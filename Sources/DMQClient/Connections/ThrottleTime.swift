internal import KafkaProtocol
internal import Transport

/// How long a broker wants to hear nothing from us (KIP-219): it answers a client that is over its quota at
/// once, with the time that the client is to wait before it asks again. On the client's lane.
struct ThrottleTime {
    /// Before this moment, in the lane's nanoseconds, the broker gets no request.
    private(set) var end: UInt64 = 0

    /// In older versions the broker waits itself before it answers, and only says how long it has waited.
    /// APIs that are not named here came about after KIP-219, or have no such time.
    private static let firstVersions: [APIKey: Int16] = [
        .produce: 6, .fetch: 8, .listOffsets: 3, .metadata: 6, .offsetCommit: 4, .offsetFetch: 4,
        .findCoordinator: 2, .joinGroup: 3, .heartbeat: 2, .leaveGroup: 2, .syncGroup: 2, .describeGroups: 2,
        .listGroups: 2, .apiVersions: 2, .createTopics: 3, .deleteTopics: 2, .deleteRecords: 1,
        .initProducerID: 1, .addPartitionsToTxn: 1, .addOffsetsToTxn: 1, .endTxn: 1, .txnOffsetCommit: 1,
        .describeConfigs: 2, .alterConfigs: 1, .alterReplicaLogDirs: 1, .describeLogDirs: 1,
        .createPartitions: 1, .deleteGroups: 1,
    ]

    /// What a response asks for.
    /// - Returns: milliseconds to wait from now on; 0 when there is nothing to wait for.
    static func milliseconds<Body: ResponseMessage>(of response: Body, version: Int16) -> Int64 {
        let time = response.throttleTimeMilliseconds
        if time <= 0 || version < firstVersions[Body.apiKey] ?? 0 { return 0 }
        return Int64(time)
    }

    /// - Returns: whether it ends later than before.
    mutating func extend(to moment: UInt64) -> Bool {
        if moment <= end { return false }
        end = moment
        return true
    }
}
