/// What Kafka 4.1 has for each setting when nobody sets it: a key and its value a line, as its documentation
/// has them. `-` stands for no value.
let kafkaTopicDefaults = kafkaDefaults(
    """
    cleanup.policy delete
    compression.gzip.level -1
    compression.lz4.level 9
    compression.type producer
    compression.zstd.level 3
    delete.retention.ms 86400000
    file.delete.delay.ms 60000
    flush.messages 9223372036854775807
    flush.ms 9223372036854775807
    follower.replication.throttled.replicas
    index.interval.bytes 4096
    leader.replication.throttled.replicas
    max.compaction.lag.ms 9223372036854775807
    max.message.bytes 1048588
    message.timestamp.after.max.ms 3600000
    message.timestamp.before.max.ms 9223372036854775807
    message.timestamp.type CreateTime
    min.cleanable.dirty.ratio 0.5
    min.compaction.lag.ms 0
    min.insync.replicas 1
    preallocate false
    retention.bytes -1
    retention.ms 604800000
    segment.bytes 1073741824
    segment.index.bytes 10485760
    segment.jitter.ms 0
    segment.ms 604800000
    unclean.leader.election.enable false
    """)

let kafkaBrokerDefaults = kafkaDefaults(
    """
    advertised.listeners -
    auto.create.topics.enable true
    auto.leader.rebalance.enable true
    broker.heartbeat.interval.ms 2000
    broker.id -1
    broker.rack -
    broker.session.timeout.ms 9000
    compression.gzip.level -1
    compression.lz4.level 9
    compression.type producer
    compression.zstd.level 3
    connections.max.idle.ms 600000
    controlled.shutdown.enable true
    controller.listener.names
    controller.quorum.append.linger.ms 25
    controller.quorum.bootstrap.servers
    controller.quorum.election.backoff.max.ms 1000
    controller.quorum.election.timeout.ms 1000
    controller.quorum.fetch.timeout.ms 2000
    controller.quorum.request.timeout.ms 2000
    controller.quorum.retry.backoff.ms 20
    controller.quorum.voters
    controller.quota.window.num 11
    controller.quota.window.size.seconds 1
    default.replication.factor 1
    delete.topic.enable true
    fetch.max.bytes 57671680
    follower.replication.throttled.rate 9223372036854775807
    group.consumer.assignors uniform,range
    group.consumer.heartbeat.interval.ms 5000
    group.consumer.max.heartbeat.interval.ms 15000
    group.consumer.max.session.timeout.ms 60000
    group.consumer.max.size 2147483647
    group.consumer.migration.policy bidirectional
    group.consumer.min.heartbeat.interval.ms 5000
    group.consumer.min.session.timeout.ms 45000
    group.consumer.session.timeout.ms 45000
    group.coordinator.rebalance.protocols classic,consumer,streams
    group.initial.rebalance.delay.ms 3000
    group.max.session.timeout.ms 1800000
    group.max.size 2147483647
    group.min.session.timeout.ms 6000
    initial.broker.registration.timeout.ms 60000
    inter.broker.listener.name -
    leader.imbalance.check.interval.seconds 300
    leader.imbalance.per.broker.percentage 10
    leader.replication.throttled.rate 9223372036854775807
    listener.security.protocol.map PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
    listeners PLAINTEXT://:9092
    log.cleaner.backoff.ms 15000
    log.cleaner.dedupe.buffer.size 134217728
    log.cleaner.delete.retention.ms 86400000
    log.cleaner.enable true
    log.cleaner.io.buffer.load.factor 0.9
    log.cleaner.io.buffer.size 524288
    log.cleaner.io.max.bytes.per.second 1.7976931348623157E308
    log.cleaner.max.compaction.lag.ms 9223372036854775807
    log.cleaner.min.cleanable.ratio 0.5
    log.cleaner.min.compaction.lag.ms 0
    log.cleaner.threads 1
    log.cleanup.policy delete
    log.dir /tmp/kafka-logs
    log.dir.failure.timeout.ms 30000
    log.dirs -
    log.flush.interval.messages 9223372036854775807
    log.flush.interval.ms -
    log.flush.offset.checkpoint.interval.ms 60000
    log.flush.scheduler.interval.ms 9223372036854775807
    log.flush.start.offset.checkpoint.interval.ms 60000
    log.index.interval.bytes 4096
    log.index.size.max.bytes 10485760
    log.message.timestamp.after.max.ms 3600000
    log.message.timestamp.before.max.ms 9223372036854775807
    log.message.timestamp.type CreateTime
    log.preallocate false
    log.retention.bytes -1
    log.retention.check.interval.ms 300000
    log.retention.hours 168
    log.retention.minutes -
    log.retention.ms -
    log.roll.hours 168
    log.roll.jitter.hours 0
    log.roll.jitter.ms -
    log.roll.ms -
    log.segment.bytes 1073741824
    log.segment.delete.delay.ms 60000
    max.connection.creation.rate 2147483647
    max.connections 2147483647
    max.connections.per.ip 2147483647
    max.connections.per.ip.overrides
    max.incremental.fetch.session.cache.slots 1000
    max.request.partition.size.limit 2000
    message.max.bytes 1048588
    metadata.log.dir -
    metadata.log.max.record.bytes.between.snapshots 20971520
    metadata.log.max.snapshot.interval.ms 3600000
    metadata.log.segment.bytes 1073741824
    metadata.log.segment.ms 604800000
    metadata.max.idle.interval.ms 500
    metadata.max.retention.bytes 104857600
    metadata.max.retention.ms 604800000
    min.insync.replicas 1
    node.id -1
    num.partitions 1
    num.recovery.threads.per.data.dir 2
    num.replica.fetchers 1
    offset.metadata.max.bytes 4096
    offsets.commit.timeout.ms 5000
    offsets.retention.check.interval.ms 600000
    offsets.retention.minutes 10080
    offsets.topic.compression.codec 0
    offsets.topic.num.partitions 50
    offsets.topic.replication.factor 3
    offsets.topic.segment.bytes 104857600
    process.roles
    producer.id.expiration.ms 86400000
    queued.max.request.bytes -1
    queued.max.requests 500
    quota.window.num 11
    quota.window.size.seconds 1
    replica.alter.log.dirs.io.max.bytes.per.second 9223372036854775807
    replica.fetch.backoff.ms 1000
    replica.fetch.max.bytes 1048576
    replica.fetch.min.bytes 1
    replica.fetch.response.max.bytes 10485760
    replica.fetch.wait.max.ms 500
    replica.high.watermark.checkpoint.interval.ms 5000
    replica.lag.time.max.ms 30000
    replica.socket.timeout.ms 30000
    socket.listen.backlog.size 50
    socket.receive.buffer.bytes 102400
    socket.request.max.bytes 104857600
    socket.send.buffer.bytes 102400
    transaction.abort.timed.out.transaction.cleanup.interval.ms 10000
    transaction.max.timeout.ms 900000
    transaction.partition.verification.enable true
    transaction.remove.expired.transaction.cleanup.interval.ms 3600000
    transaction.state.log.min.isr 2
    transaction.state.log.num.partitions 50
    transaction.state.log.replication.factor 3
    transaction.state.log.segment.bytes 104857600
    transactional.id.expiration.ms 604800000
    unclean.leader.election.enable false
    """)

/// Keys to values; a nil value is none.
private func kafkaDefaults(_ text: String) -> [String: String?] {
    var result: [String: String?] = [:]
    for line in text.split(separator: "\n") {
        let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
        let value = parts.count == 2 ? parts[1] : ""
        result[parts[0]] = .some(value == "-" ? nil : value)
    }
    return result
}
