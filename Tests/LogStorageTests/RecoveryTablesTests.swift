import Testing

@testable import LogStorage

@Suite("The tables of recovery")
struct RecoveryTablesTests {
    @Test("each fact about a file is answered by exactly one row")
    func files() {
        for kind in LogFileKind.allCases {
            for suffix in LogFileSuffix.allCases.map(Optional.some) + [nil] {
                for hasLog in [true, false] {
                    let facts = FileRecovery.Facts(kind: kind, suffix: suffix, hasLog: hasLog)
                    let rows = FileRecovery.table.filter { $0.applies(facts) }
                    #expect(rows.count == 1, "\(facts): \(rows.map(\.name))")
                }
            }
        }
    }

    @Test("each fact about a segment is answered by exactly one row")
    func segments() {
        for wasClean in [true, false] {
            for extent in SegmentRecovery.Extent.allCases {
                for indexes in SegmentRecovery.IndexState.allCases {
                    let facts = SegmentRecovery.Facts(
                        wasShutDownCleanly: wasClean, extent: extent, indexes: indexes)
                    let rows = SegmentRecovery.table.filter { $0.applies(facts) }
                    #expect(rows.count == 1, "\(facts): \(rows.map(\.name))")
                }
            }
        }
    }

    @Test("each end of a scan is answered by exactly one row, and nothing below the recovery point is cut")
    func tails() {
        for end in TailRecovery.End.allCases {
            for reach in TailRecovery.Reach.allCases {
                for isBelow in [true, false] {
                    let facts = TailRecovery.Facts(end: end, reach: reach, isBelowRecoveryPoint: isBelow)
                    let rows = TailRecovery.table.filter { $0.applies(facts) }
                    #expect(rows.count == 1, "\(facts): \(rows.map(\.name))")
                    if isBelow { #expect(rows.first?.action != .cut) }
                }
            }
        }
    }
}
