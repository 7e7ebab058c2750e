internal import Base

/// Names a timer of one lane. Never used again.
public struct TimerID: Hashable, Sendable {
    let index: Int32
    let generation: UInt32
}

/// Told that a timer's moment has come, on the lane.
public protocol TimerHandler: AnyObject {
    /// - Parameter tag: what the timer was made with.
    func timerFired(_ tag: UInt64)
}

/// The timers of one lane: a binary heap by deadline, in room that is used again. Timers of one moment fire
/// in the order in which they were made.
struct LaneTimers {
    private struct Entry {
        var deadline: UInt64 = 0
        var order: UInt64 = 0
        var tag: UInt64 = 0
        var generation: UInt32 = 0
        /// Its place in the heap; -1 when there is no such timer.
        var place: Int32 = -1
        var handler: (any TimerHandler)?
    }

    private var entries: ContiguousArray<Entry> = []
    private var free: ContiguousArray<Int32> = []
    /// Subscripts of entries, the earliest first.
    private var heap: ContiguousArray<Int32> = []
    private var nextOrder: UInt64 = 0

    var count: Int { heap.count }

    /// When the earliest fires, in nanoseconds of the monotonic clock.
    var nextDeadline: UInt64? { heap.isEmpty ? nil : entries[Int(heap[0])].deadline }

    mutating func add(_ deadline: UInt64, _ handler: any TimerHandler, _ tag: UInt64) -> TimerID {
        let index: Int
        if let known = free.popLast() {
            index = Int(known)
        } else {
            index = entries.count
            entries.append(Entry())
            // So that neither firing nor cancelling has to make room.
            free.reserveCapacity(entries.capacity)
            heap.reserveCapacity(entries.capacity)
        }
        entries[index].deadline = deadline
        entries[index].order = nextOrder
        entries[index].tag = tag
        entries[index].handler = handler
        nextOrder += 1
        heap.append(Int32(index))
        rise(from: heap.count - 1)
        return TimerID(index: Int32(index), generation: entries[index].generation)
    }

    /// Does nothing when the timer has fired or was cancelled.
    mutating func cancel(_ timer: TimerID) {
        let index = Int(timer.index)
        guard index < entries.count, entries[index].generation == timer.generation,
            entries[index].place >= 0
        else { return }
        remove(at: Int(entries[index].place))
    }

    /// Takes the earliest timer whose deadline is `now` or before.
    mutating func takeDue(_ now: UInt64) -> (handler: any TimerHandler, tag: UInt64)? {
        guard let first = heap.first, entries[Int(first)].deadline <= now,
            let handler = entries[Int(first)].handler
        else { return nil }
        let tag = entries[Int(first)].tag
        remove(at: 0)
        return (handler, tag)
    }

    private mutating func remove(at place: Int) {
        let index = Int(heap[place])
        let last = heap.removeLast()
        if place < heap.count {
            heap[place] = last
            entries[Int(last)].place = Int32(place)
            sink(from: place)
            rise(from: Int(entries[Int(last)].place))
        }
        entries[index].place = -1
        entries[index].handler = nil
        entries[index].generation &+= 1
        free.append(Int32(index))
    }

    private func isEarlier(_ left: Int32, _ right: Int32) -> Bool {
        let (one, other) = (entries[Int(left)].deadline, entries[Int(right)].deadline)
        return one != other ? one < other : entries[Int(left)].order < entries[Int(right)].order
    }

    private mutating func rise(from start: Int) {
        var place = start
        let moving = heap[start]
        while place > 0 {
            let above = (place - 1) / 2
            if !isEarlier(moving, heap[above]) { break }
            heap[place] = heap[above]
            entries[Int(heap[place])].place = Int32(place)
            place = above
        }
        heap[place] = moving
        entries[Int(moving)].place = Int32(place)
    }

    private mutating func sink(from start: Int) {
        var place = start
        let moving = heap[start]
        while true {
            var below = 2 * place + 1
            if below >= heap.count { break }
            if below + 1 < heap.count && isEarlier(heap[below + 1], heap[below]) { below += 1 }
            if !isEarlier(heap[below], moving) { break }
            heap[place] = heap[below]
            entries[Int(heap[place])].place = Int32(place)
            place = below
        }
        heap[place] = moving
        entries[Int(moving)].place = Int32(place)
    }
}

/// Calls a closure once.
final class ClosureTimer: TimerHandler {
    private let body: () -> Void

    init(_ body: @escaping () -> Void) { self.body = body }

    func timerFired(_ tag: UInt64) { body() }
}
