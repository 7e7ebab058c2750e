import Foundation
import Testing

@testable import SystemIO

@Suite("Rings")
struct SubmissionRingTests {
    /// Takes all completions there are.
    func drain(_ ring: SubmissionRing) -> [RingCompletion] {
        let room = UnsafeMutableBufferPointer<RingCompletion>.allocate(capacity: SubmissionRing.drainBatch)
        defer { room.deallocate() }
        var all: [RingCompletion] = []
        while true {
            let count = ring.drain(into: room)
            if count == 0 { return all }
            all += room[..<count]
        }
    }

    @Test("This kernel takes the best mode")
    func mode() throws {
        #expect(try SubmissionRing(entries: 8).mode == "deferred")
    }

    @Test("Every completion carries the number of its request")
    func userData() throws {
        let ring = try SubmissionRing(entries: 64)
        for number in 0..<64 { #expect(ring.prepareNothing(userData: UInt64(number) << 40)) }
        #expect(!ring.prepareNothing(userData: 0), "the queue is full")
        #expect(ring.spaceLeft == 0 && ring.outstanding == 64)
        #expect(try ring.submit())
        #expect(ring.spaceLeft == 64)
        #expect(drain(ring).map(\.userData) == (0..<64).map { UInt64($0) << 40 })
        #expect(ring.outstanding == 0)
    }

    @Test("Completions that do not fit into their queue are not lost")
    func overflow() throws {
        let ring = try SubmissionRing(entries: 8)
        var made = 0
        // Many times what the completion queue holds, without taking any off.
        while made < ring.completionCapacity * 10 {
            while made < ring.completionCapacity * 10, ring.prepareNothing(userData: UInt64(made)) {
                made += 1
            }
            if !(try ring.submit()) { break }
        }
        #expect(made > ring.completionCapacity)
        var all: [RingCompletion] = []
        while ring.outstanding > 0 {
            _ = try ring.submitAndWait(nanoseconds: nil)
            all += drain(ring)
        }
        #expect(all.map(\.userData) == (0..<made).map(UInt64.init))
    }

    @Test("A wait with nothing to come ends with its time")
    func timeout() throws {
        let ring = try SubmissionRing(entries: 8)
        #expect(try ring.submitAndWait(nanoseconds: 1_000_000))
        #expect(try ring.submitAndWait(nanoseconds: 0))
        #expect(drain(ring).isEmpty)
    }

    @Test("Another thread wakes a ring through an event descriptor")
    func waking() throws {
        let ring = try SubmissionRing(entries: 8)
        let event = try EventDescriptor()
        for round in 0..<100 {
            #expect(ring.prepareReadable(event.descriptor, userData: UInt64(round)))
            let thread = Thread { event.signal() }
            thread.start()
            _ = try ring.submitAndWait(nanoseconds: nil)
            let completions = drain(ring)
            #expect(completions.map(\.userData) == [UInt64(round)])
            #expect(completions.allSatisfy { $0.result > 0 })
            event.clear()
        }
    }

    @Test("A request can be cancelled")
    func cancel() throws {
        let ring = try SubmissionRing(entries: 8)
        let event = try EventDescriptor()
        #expect(ring.prepareReadable(event.descriptor, userData: 1))
        #expect(ring.prepareCancel(1, userData: 2))
        var completions: [RingCompletion] = []
        while ring.outstanding > 0 {
            _ = try ring.submitAndWait(nanoseconds: nil)
            completions += drain(ring)
        }
        #expect(Set(completions.map(\.userData)) == [1, 2])
        #expect(completions.first { $0.userData == 1 }?.result == -ECANCELED)
    }

    @Test("A second thread is refused")
    func secondThread() async throws {
        await #expect(processExitsWith: .success) {
            let ring = try SubmissionRing(entries: 8)
            _ = try ring.submitAndWait(nanoseconds: 0)
            nonisolated(unsafe) let shared = ring
            let thread = try PosixThread(name: "other") {
                do throws(IOError) {
                    _ = shared.prepareNothing(userData: 1)
                    _ = try shared.submit()
                    exit(1)
                } catch {
                    precondition(error.errno == .alreadyExists)
                }
            }
            thread.join()
        }
    }
}
