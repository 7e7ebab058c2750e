public import Base
internal import Synchronization
public import SystemIO

/// The lanes of a program: so many threads, which share the memory of requests.
public final class LaneGroup: @unchecked Sendable {
    // @unchecked: `threads` is touched by who starts and stops the group only.

    public let lanes: [Lane]
    public let requestMemory: BufferPool
    private let responseMemory: BufferPool
    private var threads: [JoinableThread] = []
    private let nextAcceptor = Atomic<Int>(0)
    private let log: Logger

    /// - Parameter longestFrame: the longest frame that any listener allows: memory for one is always there.
    /// - Throws: when the kernel refuses a back end, or descriptors.
    public init(
        _ settings: LaneSettings, longestFrame: Int = TransportSettings().maximumFrameByteCount,
        timeSource: any TimeSource, log: Logger
    ) throws(IOError) {
        invariant(settings.laneCount > 0, "\(settings.laneCount) lanes")
        self.log = log
        // Rounding up to a size class takes up to a quarter more.
        let least = longestFrame + longestFrame / 4 + settings.laneCount << 20
        requestMemory = BufferPool(
            limitByteCount: max(settings.requestMemoryByteCount, least),
            keptByteCount: settings.keptMemoryByteCount)
        responseMemory = BufferPool(limitByteCount: .max / 2, keptByteCount: settings.keptMemoryByteCount / 4)
        var lanes: [Lane] = []
        for index in 0..<settings.laneCount {
            lanes.append(
                try Lane(
                    index: index, backend: settings.backend, requestMemory: requestMemory,
                    responseMemory: responseMemory, timeSource: timeSource, log: log,
                    // One line says for all lanes what the kernel refuses.
                    logsBackend: index == 0))
        }
        self.lanes = lanes
    }

    deinit { invariant(threads.isEmpty, "a group of lanes was let go of without being stopped") }

    /// The name of the back end that was chosen.
    public var backendName: String { lanes[0].backend.name }

    /// Starts the threads.
    /// - Throws: when the process may have no more threads; then none runs.
    public func start() throws(IOError) {
        for lane in lanes {
            do {
                threads.append(try JoinableThread(name: "lane-\(lane.index)") { lane.run() })
            } catch {
                stop()
                throw error
            }
        }
    }

    /// Ends all connections, after those requests are answered that came and are answered within
    /// `drainMilliseconds`; then ends the threads and waits for them. Listeners are to be closed before.
    ///
    /// Not from a lane.
    public func stop(drainMilliseconds: Int64 = 0) {
        for lane in lanes where !threads.isEmpty {
            _ = lane.submit { lane.drain(milliseconds: drainMilliseconds) }
        }
        for thread in threads { thread.join() }
        threads = []
    }

    /// The lanes take turns in accepting for the listeners.
    func laneForAccepting() -> Lane {
        lanes[nextAcceptor.add(1, ordering: .relaxed).oldValue % lanes.count]
    }
}
