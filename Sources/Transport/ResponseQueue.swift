internal import Base
internal import SystemIO

/// The place of one response in the order of its connection. To be completed exactly once, now or later, on
/// the connection's lane; dropping it without completing holds back every later response of the connection.
///
/// Completing after the connection was closed does nothing.
public struct ResponseTicket: Sendable {
    public let connection: Connection
    let sequence: UInt64

    /// The only thread that may complete it; others `submit` to it, or use `completeFromAnyLane`.
    public var lane: Lane { connection.lane }

    /// Sends `payload` as the response's frame when all earlier responses are on their way.
    public func complete(_ payload: OutboundPayload) {
        connection.complete(sequence, payload)
    }

    /// Sends a copy of `bytes` as the response's frame.
    public func complete(copying bytes: RawSpan) {
        connection.complete(sequence, copying: bytes)
    }

    /// The request gets no response (acks=0).
    public func completeWithoutResponse() { connection.complete(sequence, nil) }

    /// As `complete`, from any thread.
    /// - Returns: false when the lane takes nothing more: it has stopped, or its queue is full.
    @discardableResult
    public func completeFromAnyLane(_ payload: OutboundPayload) -> Bool {
        if lane.isCurrent {
            complete(payload)
            return true
        }
        return lane.submit { complete(payload) }
    }
}

/// The responses of one connection that are still to be completed, or wait for an earlier one.
struct ResponseQueue {
    private enum Place {
        case waiting
        case completed(OutboundPayload)
        case withoutResponse
    }

    private var places = Backlog<Place>()
    /// The sequence number of the oldest place.
    private var head: UInt64 = 0

    /// Requests that are not answered, or whose answer waits for an earlier one.
    var count: Int { places.count }

    /// The sequence number of the oldest place, or of the next when there is none.
    var nextSequence: UInt64 { head }

    /// - Returns: the sequence number of a new place behind all others.
    mutating func add() -> UInt64 {
        places.append(.waiting)
        return head + UInt64(places.count - 1)
    }

    /// Fills a place. Traps when it was filled before.
    /// - Parameter payload: nil when there is no response.
    /// - Returns: whether the place is the oldest: then it is taken off, and the payload's turn has come.
    mutating func complete(_ sequence: UInt64, _ payload: OutboundPayload?) -> Bool {
        invariant(
            sequence >= head && sequence - head < UInt64(places.count),
            "response \(sequence) is completed for a second time")
        let number = Int(sequence - head)
        guard case .waiting = places[number] else {
            invariantFailed("response \(sequence) is completed for a second time")
        }
        if number == 0 {
            _ = places.removeFirst()
            head += 1
            return true
        }
        places[number] = payload.map { .completed($0) } ?? .withoutResponse
        return false
    }

    /// Takes off the oldest place if it is filled and has something to send; filled ones without are skipped.
    mutating func takeNext() -> OutboundPayload? {
        while let first = places.first {
            switch first {
            case .waiting: return nil
            case .completed(let payload):
                _ = places.removeFirst()
                head += 1
                return payload
            case .withoutResponse:
                _ = places.removeFirst()
                head += 1
            }
        }
        return nil
    }

    mutating func removeAll() {
        head += UInt64(places.count)
        places.removeAll()
    }
}
