/// What an acknowledged append survives (`dmq.ack.durability`).
public enum DurabilityChoice: String, SettingChoice {
    case synced
    case pageCache = "page-cache"
}

/// How closely a client's records are looked at (`dmq.record.validation`).
public enum RecordValidationChoice: String, SettingChoice {
    case none, uncompressed, all
}

/// What happens to old records (`cleanup.policy`).
public enum CleanupChoice: String, SettingChoice, SettingListElement {
    case compact, delete
}

/// Whose time records carry (`message.timestamp.type`).
public enum TimestampChoice: String, SettingChoice {
    case createTime = "CreateTime"
    case logAppendTime = "LogAppendTime"
}

/// How batches are stored (`compression.type`).
public enum CompressionChoice: String, SettingChoice {
    case uncompressed, zstd, lz4, snappy, gzip
    /// As the producer sent them.
    case producer
}

/// What a node does in its cluster (`process.roles`).
public enum NodeRole: String, SettingChoice, SettingListElement {
    case broker, controller
}

/// How the kernel is asked for input and output (`dmq.io.back.end`).
public enum BackEndChoice: String, SettingChoice {
    /// io_uring where the kernel lets it, epoll where not.
    case automatic = "auto"
    case ring = "io_uring"
    case epoll
}

/// How log lines are written (`dmq.log.format`).
public enum LogFormatChoice: String, SettingChoice {
    /// Words and key=value.
    case text
    case json
}

/// From which level on log lines are written (`dmq.log.level`).
public enum LogLevelChoice: String, SettingChoice {
    case debug, info, warn, error
}

/// How a group finds out who consumes what (`group.coordinator.rebalance.protocols`).
public enum GroupProtocolChoice: String, SettingChoice, SettingListElement {
    case classic, consumer
}

/// Into which protocol a group may change (`group.consumer.migration.policy`).
public enum GroupMigrationChoice: String, SettingChoice {
    case bidirectional, upgrade, downgrade, disabled
}
