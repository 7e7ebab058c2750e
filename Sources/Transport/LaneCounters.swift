internal import Synchronization

/// Why a connection or a frame was refused or a connection ended early, as metrics count it.
public enum RefusalReason: Int, Sendable, CaseIterable {
    case tooManyConnections, tooManyFromAddress, tooFastFromAddress, frameTooLarge, badLength
    case tlsNotConfigured, http
    case idle, frameTooSlow, stalled, shortFile, shuttingDown
}

/// A number that one lane counts and any thread reads.
public final class LaneCounter: Sendable {
    private let number = Atomic<Int>(0)

    public init() {}

    /// Any thread; a little behind.
    public var value: Int { number.load(ordering: .relaxed) }

    /// Only the lane, so that no other thread's change can be lost.
    @inline(__always)
    func add(_ amount: Int) {
        number.store(number.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }
}

/// What a lane has done since it was made.
public struct LaneCounters: Sendable {
    /// Connections there are now, those that the process made itself included.
    public let connections = LaneCounter()
    public let connectionsOpened = LaneCounter()
    public let bytesIn = LaneCounter()
    public let bytesOut = LaneCounter()
    /// Frames handed to a handler.
    public let requests = LaneCounter()
    /// Frames put on their way out in answer.
    public let responses = LaneCounter()
    /// Turns of the loop.
    public let turns = LaneCounter()
    private let refusals = RefusalReason.allCases.map { _ in LaneCounter() }

    public init() {}

    /// How often that was the reason.
    public func refused(_ reason: RefusalReason) -> Int { refusals[reason.rawValue].value }

    func countRefusal(_ reason: RefusalReason) { refusals[reason.rawValue].add(1) }
}
