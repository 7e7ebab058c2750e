import Base
import SimulationKit
import SystemIO
import Testing

@testable import Transport

@Suite("Lanes")
struct LaneTests {
    func lane(_ backend: NetworkChoice, _ clock: any TimeSource = SimulatedClock()) throws -> Lane {
        try Lane(
            index: 0, backend: backend, requestMemory: BufferPool(limitByteCount: 16 << 20),
            responseMemory: BufferPool(limitByteCount: 16 << 20), timeSource: clock, log: .silent)
    }

    final class FiredTags: TimerHandler {
        var tags: [UInt64] = []
        func timerFired(_ tag: UInt64) { tags.append(tag) }
    }

    @Test("Timers fire in the order of their moments, as in a slow list of them")
    func timers() {
        var random = SeededGenerator(seed: 3)
        var timers = LaneTimers()
        var model: [(deadline: UInt64, tag: UInt64, id: TimerID)] = []
        let fired = FiredTags()
        var expected: [UInt64] = []
        var now: UInt64 = 0
        for step in 0..<20_000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                let deadline = now + UInt64.random(in: 0...50, using: &random)
                let tag = UInt64(step)
                model.append((deadline, tag, timers.add(deadline, fired, tag)))
            case 5..<7:
                guard let place = model.indices.randomElement(using: &random) else { continue }
                timers.cancel(model[place].id)
                // A second time changes nothing, also when its place was given to another.
                if Bool.random(using: &random) { timers.cancel(model[place].id) }
                model.remove(at: place)
            default:
                now += UInt64.random(in: 0...20, using: &random)
                let due = model.filter { $0.deadline <= now }.sorted {
                    ($0.deadline, $0.tag) < ($1.deadline, $1.tag)
                }
                expected += due.map(\.tag)
                model.removeAll { $0.deadline <= now }
                while let (handler, tag) = timers.takeDue(now) { handler.timerFired(tag) }
            }
            #expect(timers.count == model.count)
            #expect(timers.nextDeadline == model.map(\.deadline).min())
        }
        #expect(fired.tags == expected)
        #expect(expected.count > 1000)
    }

    @Test(
        "What is submitted runs in its order, and wakes a lane that sleeps", arguments: NetworkChoice.backEnds
    )
    func submit(_ backend: NetworkChoice) throws {
        let lane = try lane(backend, SystemClock())
        let seen = Locked<[Int]>([])
        let thread = try JoinableThread(name: "lane") { lane.run() }
        for number in 0..<1000 {
            #expect(lane.submit { seen.withLock { $0.append(number) } })
            // Now and then the lane is given the time to fall asleep.
            if number % 100 == 0 { while seen.withLock({ $0.count }) <= number {} }
        }
        lane.stop()
        thread.join()
        #expect(seen.withLock { $0 } == Array(0..<1000))
        #expect(!lane.submit {})
    }

    @Test(
        "What a lane hands to another in one turn wakes it when the turn has brought all",
        arguments: NetworkChoice.backEnds)
    func handedOver(_ backend: NetworkChoice) throws {
        let (sender, receiver) = (try lane(backend), try lane(backend, SystemClock()))
        let seen = Locked<[Int]>([])
        let (rounds, pieces) = (50, 20)
        let thread = try JoinableThread(name: "lane") { receiver.run() }
        for round in 0..<rounds {
            while !receiver.mustBeWoken {}
            let isTaken = sender.submit {
                for number in 0..<pieces {
                    #expect(receiver.submit(from: sender) { seen.withLock { $0.append(number) } })
                }
            }
            #expect(isTaken)
            sender.turn(waitNanoseconds: 0)
            while seen.withLock({ $0.count }) < pieces * (round + 1) {}
        }
        receiver.stop()
        thread.join()
        #expect(seen.withLock { $0 } == (0..<rounds).flatMap { _ in Array(0..<pieces) })
        // One a round, where it was asleep indeed and not just about to be; never one for each piece.
        #expect(receiver.counters.turns.value < rounds * pieces / 4)
        #expect(!receiver.submit(from: sender) {})
    }

    @Test(
        "Lanes that hand each other work lose none of it, whoever sleeps", arguments: NetworkChoice.backEnds)
    func exchange(_ backend: NetworkChoice) throws {
        let lanes = try (0..<3).map { _ in try lane(backend, SystemClock()) }
        let threads = try lanes.map { lane in try JoinableThread(name: "lane") { lane.run() } }
        let arrivals = Locked(0)
        let hopCount = 300
        @Sendable func hop(_ place: Int, _ left: Int, _ step: Int) {
            guard left > 0 else { return arrivals.withLock { $0 += 1 } }
            let next = (place + step) % 3
            #expect(lanes[next].submit(from: lanes[place]) { hop(next, left - 1, step) })
        }
        for walk in 0..<30 {
            #expect(lanes[walk % 3].submit { hop(walk % 3, hopCount, walk % 2 + 1) })
            // Some walk alone, among lanes that sleep.
            if walk % 3 == 0 { while arrivals.withLock({ $0 }) <= walk {} }
        }
        while arrivals.withLock({ $0 }) < 30 {}
        for lane in lanes { lane.stop() }
        for thread in threads { thread.join() }
    }

    @Test(
        "A turn is quiet when it brought nothing, and a lane that is to look again does not wait",
        arguments: NetworkChoice.backEnds)
    func quiet(_ backend: NetworkChoice) throws {
        let lane = try lane(backend, SystemClock())
        var quiet: [Bool] = []
        lane.turn(waitNanoseconds: 0)
        lane.turnEnded = { quiet.append(lane.isQuiet) }
        #expect(lane.submit {})
        lane.turn(waitNanoseconds: 0)
        lane.lookAgain()
        // Without an end to the wait.
        lane.turn(waitNanoseconds: nil)
        #expect(quiet == [false, true])
    }

    @Test("A lane with nothing to do sleeps: it makes no turns", arguments: NetworkChoice.backEnds)
    func idle(_ backend: NetworkChoice) throws {
        let lane = try lane(backend, SystemClock())
        let thread = try JoinableThread(name: "lane") { lane.run() }
        let round = Locked(0)
        // Each round trip costs the lane a turn or two, and nothing else does.
        for number in 1...50 {
            #expect(lane.submit { round.withLock { $0 += 1 } })
            while round.withLock({ $0 }) < number {}
        }
        lane.stop()
        thread.join()
        #expect(lane.counters.turns.value <= 110)
    }

    @Test(
        "Timers of a lane fire when the clock says so, and the wait in the kernel ends for them",
        arguments: NetworkChoice.backEnds)
    func scheduling(_ backend: NetworkChoice) throws {
        let clock = SimulatedClock()
        let lane = try lane(backend, clock)
        var fired: [Int] = []
        lane.schedule(afterMilliseconds: 30) { fired.append(30) }
        lane.schedule(afterMilliseconds: 10) {
            fired.append(10)
            lane.schedule(afterMilliseconds: 5) { fired.append(15) }
        }
        let cancelled = lane.schedule(afterMilliseconds: 20) { fired.append(20) }
        lane.turn(waitNanoseconds: 0)
        #expect(fired.isEmpty)
        clock.advance(milliseconds: 10)
        lane.turn(waitNanoseconds: nil)
        #expect(fired == [10])
        lane.cancel(cancelled)
        clock.advance(milliseconds: 100)
        lane.turn(waitNanoseconds: nil)
        #expect(fired == [10, 15, 30])

        let real = try self.lane(backend, SystemClock())
        var hasFired = false
        real.schedule(afterMilliseconds: 2) { hasFired = true }
        while !hasFired { real.turn(waitNanoseconds: nil) }
    }

    final class Events: AppendCompletionHandler {
        var events: [AppendEvent] = []
        func appendQueue(completed event: AppendEvent, _ token: CompletionToken, failure: IOError?) {
            #expect(failure == nil)
            events.append(event)
        }
    }

    @Test(
        "The completions of an append queue end the lane's wait",
        arguments: NetworkChoice.backEnds, AppendQueueChoice.allCases)
    func appendQueue(_ backend: NetworkChoice, _ choice: AppendQueueChoice) throws {
        let directory = try TemporaryDirectory()
        let lane = try lane(backend)
        let queue = try AppendQueues.make(choice, log: .silent)
        let events = Events()
        try lane.attach(queue) { queue.poll(waitNanoseconds: 0) }
        lane.turnEnded = { if queue.pendingCount > 0 { queue.submit() } }
        let file = try PosixFileSystem().open(directory.file("a"), .createNew)
        let slice = BufferSlice(IOBuffer(copying: [1, 2, 3]))
        for round in 1...50 {
            nonisolated(unsafe) let (target, handler) = (queue, events)
            let isTaken = lane.submit {
                target.write(
                    [slice], to: file, at: Int64(round), thenSync: true, CompletionToken(rawValue: 1),
                    handler)
            }
            #expect(isTaken)
            var turns = 0
            while events.events.count < 2 * round {
                // So long that only a completion ends it in time.
                lane.turn(waitNanoseconds: 2_000_000_000)
                turns += 1
                try #require(turns < 20)
            }
        }
        // Nothing is left that would wake the lane in vain: of two turns without a wait neither delivers.
        let before = events.events.count
        lane.turn(waitNanoseconds: 0)
        lane.turn(waitNanoseconds: 0)
        #expect(events.events.count == before)
        #expect(queue.pendingCount == 0)
    }
}
