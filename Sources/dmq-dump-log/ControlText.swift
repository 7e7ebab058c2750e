import RecordFormat

/// Control records in words.
enum ControlText {
    static func value(_ record: Record) -> DumpValue {
        do throws(ControlRecordError) {
            return value(try decode(record))
        } catch {
            return .object([DumpField("fault", error.description)])
        }
    }

    /// The control record that `record` is.
    static func decode(_ record: Record) throws(ControlRecordError) -> ControlRecord {
        guard let key = record.key else { throw .missingKey }
        guard let value = record.value else { throw .missingValue }
        return try ControlRecord(key: key.span.bytes, value: value.span.bytes)
    }

    private static func value(_ record: ControlRecord) -> DumpValue {
        switch record {
        case .endTransaction(let isCommit, let coordinatorEpoch):
            .object([
                DumpField("type", isCommit ? "commit" : "abort"),
                DumpField("coordinatorEpoch", coordinatorEpoch),
            ])
        case .leaderChange(let change):
            .object([
                DumpField("type", "leaderChange"), DumpField("leaderId", change.leaderID),
                DumpField("voters", .list(change.voters.map(value))),
                DumpField("grantingVoters", .list(change.grantingVoters.map(value))),
            ])
        case .snapshotHeader(let timestamp):
            .object([
                DumpField("type", "snapshotHeader"), DumpField("lastContainedLogTimestamp", timestamp),
            ])
        case .snapshotFooter: .object([DumpField("type", "snapshotFooter")])
        case .kraftVersion(let version):
            .object([DumpField("type", "kraftVersion"), DumpField("version", version)])
        case .kraftVoters(let voters):
            .object([DumpField("type", "kraftVoters"), DumpField("voters", .list(voters.map(value)))])
        case .unknown(let type): .object([DumpField("type", "unknown"), DumpField("number", type)])
        }
    }

    private static func value(_ voter: QuorumVoter) -> DumpValue {
        .object([
            DumpField("id", voter.id),
            DumpField("directoryId", voter.directoryID.map { .text($0.description) } ?? .null),
        ])
    }

    private static func value(_ voter: KRaftVoter) -> DumpValue {
        .object([
            DumpField("id", voter.id), DumpField("directoryId", voter.directoryID.description),
            DumpField(
                "endpoints",
                .list(
                    voter.endpoints.map {
                        .object([
                            DumpField("name", $0.name), DumpField("host", $0.host),
                            DumpField("port", $0.port),
                        ])
                    })),
            DumpField("minimumVersion", voter.supportedVersions.lowerBound),
            DumpField("maximumVersion", voter.supportedVersions.upperBound),
        ])
    }
}
