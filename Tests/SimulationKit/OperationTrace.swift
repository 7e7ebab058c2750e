internal import Base
public import SystemIO

/// What was done to a simulated disk, one entry for each operation and each event: two runs with one seed
/// give equal traces, and the trace of a failing seed shows how it came to it.
public final class OperationTrace: Sendable {
    public struct Entry: Hashable, Sendable, CustomStringConvertible {
        /// What was asked; nil for something that happened to the disk (a crash).
        public let operation: IOOperation?
        /// The path, or what happened.
        public let subject: String
        /// Where in the file, in bytes; the second path of a rename is in `detail`.
        public let position: Int64
        public let byteCount: Int64
        public let detail: String
        /// Nil when it worked.
        public let errno: Errno?

        public var description: String {
            var line = "\(operation?.rawValue ?? "***") \(subject)"
            if byteCount != 0 || position != 0 { line += " [\(position), +\(byteCount)]" }
            if !detail.isEmpty { line += " \(detail)" }
            if let errno { line += " failed: \(errno)" }
            return line
        }
    }

    private struct State {
        var entries: [Entry] = []
        var droppedCount = 0
    }

    /// Entries beyond this are counted, not kept: a run that needs more is not read by anyone.
    public let maximumCount: Int
    private let state = Locked(State())

    public init(maximumCount: Int = 100_000) { self.maximumCount = maximumCount }

    public var entries: [Entry] { state.withLock { $0.entries } }

    func record(_ entry: Entry) {
        state.withLock { state in
            if state.entries.count < maximumCount {
                state.entries.append(entry)
            } else {
                state.droppedCount += 1
            }
        }
    }

    /// Takes down something that no operation did: what a test wants to see between its operations.
    public func note(_ event: String, detail: String = "") {
        record(Entry(operation: nil, subject: event, position: 0, byteCount: 0, detail: detail, errno: nil))
    }

    /// Numbered lines, to print beside a failed expectation.
    public var transcript: String {
        let (entries, dropped) = state.withLock { ($0.entries, $0.droppedCount) }
        var lines = entries.enumerated().map { "\($0.offset + 1) \($0.element)" }
        if dropped > 0 { lines.append("... and \(dropped) more") }
        return lines.joined(separator: "\n")
    }
}
