/// Nodes together: the controller quorum, replication, quotas.
extension BrokerSettings {
    public static let quorumVoters = BrokerSetting<[QuorumVoter]>(
        "controller.quorum.voters", default: [], .different,
        meaning:
            "the voters of the controller quorum, each `ID@HOST:PORT`; none: a node with the controller's"
            + " role is a"
            + " quorum of its own")
    public static let quorumBootstrapServers = BrokerSetting<[HostAndPort]>(
        "controller.quorum.bootstrap.servers", default: [], .different,
        meaning: "where to ask for the controller quorum when `controller.quorum.voters` does not name it")
    public static let quorumElectionMilliseconds = BrokerSetting<Int>(
        "controller.quorum.election.timeout.ms", default: 1000, .atLeast(1), .milliseconds,
        meaning: "a candidate that is not elected within this time tries again")
    public static let quorumElectionBackoffMilliseconds = BrokerSetting<Int>(
        "controller.quorum.election.backoff.max.ms", default: 1000, .atLeast(1), .milliseconds,
        meaning: "the longest time between two tries")
    public static let quorumFetchMilliseconds = BrokerSetting<Int>(
        "controller.quorum.fetch.timeout.ms", default: 2000, .atLeast(1), .milliseconds,
        meaning: "a voter that has not heard of the leader for so long calls an election")
    public static let quorumRequestMilliseconds = BrokerSetting<Int>(
        "controller.quorum.request.timeout.ms", default: 2000, .atLeast(1), .milliseconds,
        meaning: "how long a request within the quorum is waited for")
    public static let quorumRetryMilliseconds = BrokerSetting<Int>(
        "controller.quorum.retry.backoff.ms", default: 20, .atLeast(0), .milliseconds,
        meaning: "how long to wait after a request within the quorum failed")
    public static let quorumLingerMilliseconds = BrokerSetting<Int>(
        "controller.quorum.append.linger.ms", default: 25, .atLeast(0), .milliseconds,
        meaning: "how long the leader of the quorum gathers records before it syncs them")
    public static let heartbeatMilliseconds = BrokerSetting<Int>(
        "broker.heartbeat.interval.ms", default: 2000, .atLeast(1), .milliseconds,
        meaning: "how often a broker tells the controller that it is there")
    public static let sessionMilliseconds = BrokerSetting<Int>(
        "broker.session.timeout.ms", default: 9000, .atLeast(1), .milliseconds,
        meaning: "a broker that is silent for so long is taken for gone")
    public static let registrationMilliseconds = BrokerSetting<Int>(
        "initial.broker.registration.timeout.ms", default: 60_000, .atLeast(1), .milliseconds,
        meaning: "a broker that cannot register for so long stops")
    public static let controlledShutdown = BrokerSetting<Bool>(
        "controlled.shutdown.enable", default: true,
        meaning: "a broker hands its leaderships over before it stops")
    public static let snapshotBytes = BrokerSetting<Int64>(
        "metadata.log.max.record.bytes.between.snapshots", default: 20 << 20, .atLeast(1), .bytes,
        meaning: "a snapshot of the metadata is made after so many bytes of records")
    public static let snapshotMilliseconds = BrokerSetting<Int64>(
        "metadata.log.max.snapshot.interval.ms", default: 3_600_000, .atLeast(0), .milliseconds,
        meaning: "and at the latest after this time, if there are new records; 0: only by bytes")
    public static let metadataSegmentBytes = BrokerSetting<Int>(
        "metadata.log.segment.bytes", default: 1 << 30, .atLeast(1 << 20), .bytes,
        meaning: "a segment of the metadata log is rolled before it would pass this")
    public static let metadataSegmentMilliseconds = BrokerSetting<Int64>(
        "metadata.log.segment.ms", default: 604_800_000, .atLeast(1), .milliseconds,
        meaning: "a segment of the metadata log is rolled when its first record is this old")
    public static let metadataRetentionBytes = BrokerSetting<Int64>(
        "metadata.max.retention.bytes", default: 100 << 20, .atLeast(-1), .bytes,
        meaning:
            "the metadata log and its snapshots may hold this much before the oldest go; -1: without limit")
    public static let metadataRetentionMilliseconds = BrokerSetting<Int64>(
        "metadata.max.retention.ms", default: 604_800_000, .atLeast(-1), .milliseconds,
        meaning: "older parts of the metadata log and older snapshots go; -1: without limit")
    public static let metadataIdleMilliseconds = BrokerSetting<Int>(
        "metadata.max.idle.interval.ms", default: 500, .atLeast(0), .milliseconds,
        meaning: "how often the leader of a quorum of several writes a record that says nothing; 0: never")
    public static let replicaLagMilliseconds = BrokerSetting<Int64>(
        "replica.lag.time.max.ms", default: 10_000, .atLeast(1), .milliseconds,
        meaning: "a follower that has not reached the log's end for so long is not in sync any more")
    public static let replicaFetchWaitMilliseconds = BrokerSetting<Int>(
        "replica.fetch.wait.max.ms", default: 500, .atLeast(1), .milliseconds,
        meaning: "how long a follower's fetch waits at the leader for new records")
    public static let replicaFetchMinimumBytes = BrokerSetting<Int>(
        "replica.fetch.min.bytes", default: 1, .atLeast(1), .bytes,
        meaning: "a follower's fetch is answered at once from so many bytes on")
    public static let replicaFetchMaximumBytes = BrokerSetting<Int>(
        "replica.fetch.max.bytes", default: 1 << 20, .atLeast(1), .bytes,
        meaning: "how much of one partition a follower fetches at once; a larger batch comes whole")
    public static let replicaFetchResponseBytes = BrokerSetting<Int>(
        "replica.fetch.response.max.bytes", default: 10 << 20, .atLeast(1), .bytes,
        meaning: "how much of all partitions together a follower fetches at once")
    public static let replicaFetchBackoffMilliseconds = BrokerSetting<Int>(
        "replica.fetch.backoff.ms", default: 1000, .atLeast(0), .milliseconds,
        meaning: "how long a follower waits after a partition's fetch failed")
    public static let replicaSocketMilliseconds = BrokerSetting<Int>(
        "replica.socket.timeout.ms", default: 30_000, .atLeast(1), .milliseconds,
        meaning: "how long a follower waits for an answer")
    public static let replicaFetchers = BrokerSetting<Int>(
        "num.replica.fetchers", default: 1, .integers(1...1024),
        meaning: "connections over which a follower fetches from one leader")
    public static let highWatermarkCheckpointMilliseconds = BrokerSetting<Int64>(
        "replica.high.watermark.checkpoint.interval.ms", default: 5000, .atLeast(1), .milliseconds,
        meaning: "how often the high watermarks are written down")
    public static let autoLeaderRebalance = BrokerSetting<Bool>(
        "auto.leader.rebalance.enable", default: true,
        meaning: "the controller gives leaderships back to the preferred replicas")
    public static let leaderImbalanceSeconds = BrokerSetting<Int64>(
        "leader.imbalance.check.interval.seconds", default: 300, .atLeast(1), .seconds,
        meaning: "how often it looks for that")
    public static let leaderImbalancePercentage = BrokerSetting<Int>(
        "leader.imbalance.per.broker.percentage", default: 10, .integers(0...100), .percent,
        meaning: "from which share of leaderships in the wrong place on")

    static let cluster = SettingFamily(
        title: "Nodes together",
        introduction:
            "The controller quorum with its metadata log, and replication. A node alone needs none of them.",
        settings: [
            quorumVoters.descriptor, quorumBootstrapServers.descriptor,
            quorumElectionMilliseconds.descriptor, quorumElectionBackoffMilliseconds.descriptor,
            quorumFetchMilliseconds.descriptor, quorumRequestMilliseconds.descriptor,
            quorumRetryMilliseconds.descriptor, quorumLingerMilliseconds.descriptor,
            heartbeatMilliseconds.descriptor, sessionMilliseconds.descriptor,
            registrationMilliseconds.descriptor, controlledShutdown.descriptor, snapshotBytes.descriptor,
            snapshotMilliseconds.descriptor, metadataSegmentBytes.descriptor,
            metadataSegmentMilliseconds.descriptor, metadataRetentionBytes.descriptor,
            metadataRetentionMilliseconds.descriptor, metadataIdleMilliseconds.descriptor,
            replicaLagMilliseconds.descriptor, replicaFetchWaitMilliseconds.descriptor,
            replicaFetchMinimumBytes.descriptor, replicaFetchMaximumBytes.descriptor,
            replicaFetchResponseBytes.descriptor, replicaFetchBackoffMilliseconds.descriptor,
            replicaSocketMilliseconds.descriptor, replicaFetchers.descriptor,
            highWatermarkCheckpointMilliseconds.descriptor, autoLeaderRebalance.descriptor,
            leaderImbalanceSeconds.descriptor, leaderImbalancePercentage.descriptor,
        ])
}
