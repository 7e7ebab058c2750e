/// What a transactional ID is doing, by Kafka's names and numbers.
///
///     from                            to               when
///     Empty                           Empty            a producer begins anew
///     Empty, CompleteX                Ongoing          the first partition is added
///     Empty, CompleteX                PrepareAbort     a client of version 2 aborts what it never began
///     Ongoing                         Ongoing          another partition is added
///     Ongoing                         PrepareCommit    the client commits
///     Ongoing                         PrepareAbort     the client aborts, the time is over, or another
///                                                      producer takes the ID
///     PrepareCommit                   CompleteCommit   all partitions have the marker
///     PrepareAbort                    CompleteAbort    all partitions have the marker
///     CompleteX                       Empty            a producer begins anew
///     Empty, CompleteX                Dead             nobody has used the ID for long
///
/// From Prepare on the outcome is decided: it is in the log, and whoever comes later goes on with it.
public enum TransactionState: Int8, CaseIterable, Sendable {
    case empty = 0
    case ongoing, prepareCommit, prepareAbort, completeCommit, completeAbort, dead
    /// Kafka has it in memory only, between two appends that are one here.
    case prepareEpochFence

    /// Kafka's name.
    public var name: String {
        switch self {
        case .empty: "Empty"
        case .ongoing: "Ongoing"
        case .prepareCommit: "PrepareCommit"
        case .prepareAbort: "PrepareAbort"
        case .completeCommit: "CompleteCommit"
        case .completeAbort: "CompleteAbort"
        case .dead: "Dead"
        case .prepareEpochFence: "PrepareEpochFence"
        }
    }

    /// Whether the outcome is decided and markers are on their way.
    var isPrepared: Bool { self == .prepareCommit || self == .prepareAbort }
    /// Whether there is no transaction.
    var isIdle: Bool { self == .empty || self == .completeCommit || self == .completeAbort }

    func mayBecome(_ next: TransactionState) -> Bool {
        switch (self, next) {
        case (.empty, .empty), (.empty, .ongoing), (.empty, .prepareAbort), (.empty, .dead),
            (.ongoing, .ongoing), (.ongoing, .prepareCommit), (.ongoing, .prepareAbort),
            (.prepareCommit, .completeCommit), (.prepareAbort, .completeAbort),
            (.completeCommit, .empty), (.completeCommit, .ongoing), (.completeCommit, .prepareAbort),
            (.completeCommit, .dead), (.completeAbort, .empty), (.completeAbort, .ongoing),
            (.completeAbort, .prepareAbort), (.completeAbort, .dead):
            true
        default: false
        }
    }
}
