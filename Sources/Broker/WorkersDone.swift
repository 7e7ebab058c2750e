internal import Synchronization
internal import SystemIO

/// Waits until so many have said that they are done.
final class WorkersDone: Sendable {
    private let pause = Pause()
    private let left: Atomic<Int>

    init(count: Int) { left = Atomic(count) }

    func finishOne() {
        if left.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { pause.end() }
    }

    func wait() {
        while left.load(ordering: .acquiring) > 0 { pause.wait(nanoseconds: 1_000_000_000) }
    }
}
