import Base

@testable import Coordinators

/// The time of a simulation and its luck: events come one after the other, each at its moment, and no time
/// passes but between them.
struct VirtualTime<Event> {
    var random: SeededGenerator
    /// No faults and no changes any more.
    var isCalm = false
    private(set) var now = CoordinatorMoment(
        monotonicMilliseconds: 0, wallClockMilliseconds: 1_700_000_000_000)
    private(set) var eventCount = 0
    private var events = DeadlineQueue<Event>()
    private var scheduledTimer = Int64.max

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func add(_ event: Event, in delay: Int64) {
        events.add(event, at: now.monotonicMilliseconds + delay)
    }

    /// The next event up to the millisecond `end`, whose moment it then is.
    mutating func next(until end: Int64) -> Event? {
        guard let (event, moment) = events.takeDue(end) else { return nil }
        let passed = max(moment - now.monotonicMilliseconds, 0)
        now.wallClockMilliseconds += passed
        now.monotonicMilliseconds += passed
        eventCount += 1
        return event
    }

    /// Has `event` come when timers are due, unless it comes before that anyway.
    mutating func schedule(_ event: Event, at deadline: Int64?) {
        guard let deadline else { return }
        let moment = max(deadline, now.monotonicMilliseconds)
        if moment >= scheduledTimer { return }
        scheduledTimer = moment
        events.add(event, at: moment)
    }

    /// The event of the timers has come, or whoever had timers is gone.
    mutating func forgetTimer() { scheduledTimer = .max }

    /// Those for which `isGone` holds will not come.
    mutating func remove(where isGone: (Event) -> Bool) {
        var rest = events
        events = DeadlineQueue()
        while let (event, moment) = rest.takeDue(.max) {
            if !isGone(event) { events.add(event, at: moment) }
        }
    }
}

/// What a simulation in virtual time has in common with the others.
protocol VirtualTimeSimulation: AnyObject {
    associatedtype Event
    var time: VirtualTime<Event> { get set }
}

extension VirtualTimeSimulation {
    var now: CoordinatorMoment { time.now }
    var eventCount: Int { time.eventCount }
    var isCalm: Bool { time.isCalm }

    func draw() -> UInt64 { time.random.next() }

    func pick(_ from: Int64, _ to: Int64) -> Int64 { from + Int64(draw() % UInt64(to - from + 1)) }

    /// Bad luck, which is over when it is calm.
    func happens(_ numerator: UInt64, in denominator: UInt64) -> Bool {
        !isCalm && time.random.chance(numerator, in: denominator)
    }

    func later(_ event: Event, in delay: Int64) { time.add(event, in: delay) }
}
