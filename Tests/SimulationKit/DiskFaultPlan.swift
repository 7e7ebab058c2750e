public import SystemIO

/// Which paths a fault concerns.
public enum PathPattern: Hashable, Sendable {
    case any
    case exactly(String)
    case hasPrefix(String)
    case hasSuffix(String)
    case contains(String)

    public func matches(_ path: String) -> Bool {
        switch self {
        case .any: true
        case .exactly(let text): path == text
        case .hasPrefix(let text): path.hasPrefix(text)
        case .hasSuffix(let text): path.hasSuffix(text)
        case .contains(let text): path.contains(text)
        }
    }
}

/// Something that goes wrong on a simulated disk: on which operations, when, and what.
public struct DiskFault: Hashable, Sendable {
    public enum Trigger: Hashable, Sendable {
        /// At one of the matching operations, the first of which is 1.
        case nth(Int)
        /// At that one and all after it.
        case from(Int)
        /// At each with this probability.
        case chance(UInt64, in: UInt64)
    }

    public enum Effect: Hashable, Sendable {
        /// The operation fails. Of a write any part may have been written; what a failed sync should have
        /// carried is lost to all later syncs; anything else has no effect.
        case fail(Errno)
        /// A write takes fewer bytes than it was given, at least one. Seen by append queues, which continue
        /// it; the synchronous `File.write` continues it itself.
        case shortWrite
        /// The power goes in the middle of the operation. It and all after it fail, until
        /// `SimulatedDisk.crash`.
        case losePower
        /// The operation takes this much longer, in virtual time.
        case delay(nanoseconds: UInt64)
    }

    /// Nil: all.
    public var operations: Set<IOOperation>?
    public var paths: PathPattern
    /// Only operations that change something on the disk or make it durable.
    public var changesOnly: Bool
    public var trigger: Trigger
    public var effect: Effect
    /// How often it happens at most.
    public var maximumCount: Int

    public init(
        _ operations: Set<IOOperation>? = nil, paths: PathPattern = .any, changesOnly: Bool = false,
        trigger: Trigger, effect: Effect, maximumCount: Int = .max
    ) {
        self.operations = operations
        self.paths = paths
        self.changesOnly = changesOnly
        self.trigger = trigger
        self.effect = effect
        self.maximumCount = maximumCount
    }
}

/// All that is to go wrong on a simulated disk, and how long things take on it.
public struct DiskFaultPlan: Hashable, Sendable {
    public var faults: [DiskFault]
    /// In how many of 1024 operations that change something the kernel writes some of what is unsynced back
    /// by itself, so that older versions of bytes and names may be what a crash leaves.
    public var writeBackPer1024: UInt64 = 0
    /// What a failed sync should have carried is also dropped from the page cache, as memory pressure would
    /// do: each of its sectors reads as it was last synced, unless it happened to reach the disk.
    public var evictsAfterFailedSync = false
    /// How long an operation takes in virtual time, in nanoseconds; drawn from the range.
    public var latencies: [IOOperation: ClosedRange<UInt64>] = [:]

    public init(_ faults: [DiskFault] = []) { self.faults = faults }

    /// Nothing goes wrong.
    public static let none = DiskFaultPlan()

    /// The nth operation (from 1) that changes something fails. With n from 1 to the number of changes that a
    /// run without faults counts, every write point is failed once.
    public static func failing(change n: Int, _ errno: Errno = .inputOutput) -> DiskFaultPlan {
        DiskFaultPlan([DiskFault(changesOnly: true, trigger: .nth(n), effect: .fail(errno))])
    }

    /// From the nth operation (from 1) that changes something on, all of them fail.
    public static func failing(fromChange n: Int, _ errno: Errno = .inputOutput) -> DiskFaultPlan {
        DiskFaultPlan([DiskFault(changesOnly: true, trigger: .from(n), effect: .fail(errno))])
    }

    /// The power goes in the middle of the nth operation (from 1) that changes something.
    public static func losingPower(atChange n: Int) -> DiskFaultPlan {
        DiskFaultPlan([DiskFault(changesOnly: true, trigger: .nth(n), effect: .losePower)])
    }
}
