import Base
import Foundation
import Testing

@testable import SystemIO

@Suite("Worker threads")
struct WorkerThreadsTests {
    @Test("Every job is run once, before finish returns", arguments: [1, 2, 7])
    func allJobs(_ limit: Int) throws {
        let workers = WorkerThreads(limit: limit, name: "test")
        let seen = Locked<[Int]>([])
        for number in 0..<500 { #expect(try workers.submit { seen.withLock { $0.append(number) } }) }
        workers.finish()
        #expect(seen.withLock { $0.sorted() } == Array(0..<500))
        #expect(try !workers.submit {}, "nothing is taken after finish")
    }

    @Test("One thread runs the jobs in their order")
    func order() throws {
        let workers = WorkerThreads(limit: 1, name: "test")
        let seen = Locked<[Int]>([])
        for number in 0..<100 { _ = try workers.submit { seen.withLock { $0.append(number) } } }
        workers.finish()
        #expect(seen.withLock { $0 } == Array(0..<100))
    }

    @Test("A full queue refuses jobs")
    func full() throws {
        let workers = WorkerThreads(limit: 1, queueLimit: 3, name: "test")
        let gate = Monitor()
        let state = Locked((running: false, open: false, done: 0))
        #expect(
            try workers.submit {
                gate.locked {
                    state.withLock { $0.running = true }
                    gate.wakeAll()
                    while !state.withLock({ $0.open }) { gate.wait() }
                }
            })
        gate.locked { while !state.withLock({ $0.running }) { gate.wait() } }
        for _ in 0..<3 { #expect(try workers.submit { state.withLock { $0.done += 1 } }) }
        #expect(try !workers.submit {})
        gate.locked {
            state.withLock { $0.open = true }
            gate.wakeAll()
        }
        workers.finish()
        #expect(state.withLock { $0.done } == 3)
    }

    @Test(
        "A range is worked off by several threads, each number once", arguments: [0, 1, 5, 1000], [1, 2, 8])
    func forEach(_ count: Int, _ threads: Int) {
        let seen = Locked<[Int]>([])
        WorkerThreads.forEach(count, threads: threads, name: "test") { number in
            seen.withLock { $0.append(number) }
        }
        #expect(seen.withLock { $0.sorted() } == Array(0..<count))
    }

    @Test("How many jobs are run at once may be changed, up and down")
    func threadLimit() throws {
        let workers = WorkerThreads(limit: 1, name: "test")
        let monitor = Monitor()
        let state = Locked((inside: 0, most: 0, done: 0, gate: 0))
        /// Jobs that stay inside until `gate` have been let out.
        func submit(_ count: Int) throws {
            for _ in 0..<count {
                _ = try workers.submit {
                    monitor.locked {
                        state.withLock {
                            $0.inside += 1
                            $0.most = max($0.most, $0.inside)
                        }
                        monitor.wakeAll()
                        while state.withLock({ $0.done >= $0.gate }) { monitor.wait() }
                        state.withLock {
                            $0.inside -= 1
                            $0.done += 1
                        }
                        monitor.wakeAll()
                    }
                }
            }
        }
        func wait(until isReached: ((inside: Int, most: Int, done: Int, gate: Int)) -> Bool) {
            monitor.locked { while !isReached(state.withLock { $0 }) { monitor.wait() } }
        }
        func letOut(upTo gate: Int) {
            monitor.locked {
                state.withLock { $0.gate = gate }
                monitor.wakeAll()
            }
            wait { $0.done == gate }
        }
        workers.setThreadLimit(3)
        #expect(workers.threadLimit == 3)
        try submit(5)
        wait { $0.inside == 3 }
        // The two that wait come one after the other.
        workers.setThreadLimit(1)
        letOut(upTo: 3)
        wait { $0.inside == 1 }
        state.withLock { $0.most = 0 }
        letOut(upTo: 4)
        wait { $0.inside == 1 }
        letOut(upTo: 5)
        #expect(state.withLock { $0.most } == 1)
        // Room for more lets those in that wait already.
        try submit(2)
        wait { $0.inside == 1 }
        workers.setThreadLimit(2)
        wait { $0.inside == 2 }
        letOut(upTo: 7)
        workers.finish()
        #expect(state.withLock { $0.done } == 7)
    }

    @Test("As many threads run as were asked for")
    func parallel() {
        // Comes back only if four are inside at once.
        let monitor = Monitor()
        let inside = Locked(0)
        WorkerThreads.forEach(4, threads: 4, name: "test") { _ in
            monitor.locked {
                inside.withLock { $0 += 1 }
                monitor.wakeAll()
                while inside.withLock({ $0 }) < 4 { monitor.wait() }
            }
        }
        #expect(inside.withLock { $0 } == 4)
    }
}
