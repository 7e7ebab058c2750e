import Base
import SystemIO

/// Says on a terminal how much has been read; silent elsewhere and when there is little to read.
struct DumpProgress {
    private static let minimumByteCount: Int64 = 64 << 20
    private static let intervalNanoseconds: UInt64 = 200_000_000

    private let isShown: Bool
    private let total: Int64
    private let clock: any TimeSource
    private let start: UInt64
    private var lastShown: UInt64 = 0
    private var done: Int64 = 0

    /// - Parameters:
    ///   - isWanted: false keeps it silent.
    ///   - total: bytes that there are to read.
    init(isWanted: Bool, total: Int64, clock: any TimeSource = SystemClock()) {
        isShown = isWanted && total >= Self.minimumByteCount && StandardStream.error.isTerminal
        self.total = total
        self.clock = clock
        start = clock.monotonicNanoseconds()
    }

    /// Counts bytes that were read.
    mutating func advance(_ byteCount: Int64) {
        guard isShown else { return }
        done += byteCount
        let now = clock.monotonicNanoseconds()
        guard now - lastShown >= Self.intervalNanoseconds else { return }
        lastShown = now
        show("\r\u{1B}[K" + ProgressLine.text(done: done, total: total, elapsedNanoseconds: now - start))
    }

    /// Removes the line.
    func end() {
        if isShown { show("\r\u{1B}[K") }
    }

    private func show(_ text: String) { _ = try? StandardStream.error.write(text) }
}
