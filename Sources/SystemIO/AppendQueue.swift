// The asynchronous half of the disk: writes and syncs that many logs of one lane share.

/// What a completion says about a request.
public enum AppendEvent: Sendable {
    /// The bytes are in the file (page cache).
    case written
    /// The bytes, and all that was written to the file before the request, are on stable storage.
    case synced
}

/// Names a request to whoever made it; comes back with every completion of that request.
public struct CompletionToken: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// Receives completions, on the thread that calls `AppendQueue.poll`.
public protocol AppendCompletionHandler: AnyObject {
    /// - Parameter failure: nil when it worked. After a failure no further event of that request comes.
    func appendQueue(completed event: AppendEvent, _ token: CompletionToken, failure: IOError?)
}

/// Writes and syncs handed to the kernel in batches, completed later. Owned by one thread (a lane).
///
/// A request is *queued* until `submit`, then *in flight* until its last event. Requests to one file may be
/// carried out in any order and overlap, with one exception: the sync of `write(thenSync: true)` follows its
/// own write. Buffers of a write are retained and must stay as they are until its `written` event.
public protocol AppendQueue: AnyObject {
    /// The name of the back end as settings and benchmarks spell it: `io_uring`, `epoll`, `simulated`.
    var name: String { get }

    /// Requests queued or in flight.
    var pendingCount: Int { get }

    /// A descriptor that can be read when completions are due that a `poll` would deliver, for whoever waits
    /// in another place than `poll`. Nil when there is none.
    var completionDescriptor: Int32? { get }

    /// Whether a `poll` would deliver events without waiting. Such events need not show at
    /// `completionDescriptor`.
    var hasDeliverableEvents: Bool { get }

    /// Queues a write of the slices one after the other at `position`; short writes are continued. Event
    /// `written`, then, with `thenSync`, event `synced` (fdatasync).
    func write(
        _ slices: [BufferSlice], to file: any File, at position: Int64, thenSync: Bool,
        _ token: CompletionToken, _ handler: any AppendCompletionHandler)

    /// Queues an fdatasync that covers everything written to the file before this call. Event `synced`.
    func sync(_ file: any File, _ token: CompletionToken, _ handler: any AppendCompletionHandler)

    /// Hands everything queued to the kernel; does not wait.
    func submit()

    /// Submits, then delivers the completions there are; when there are none but requests are pending, waits
    /// for one up to `waitNanoseconds` (nil: without limit; 0: not at all).
    /// - Returns: the number of events delivered.
    @discardableResult
    func poll(waitNanoseconds: UInt64?) -> Int
}

extension AppendQueue {
    public var completionDescriptor: Int32? { nil }
    public var hasDeliverableEvents: Bool { pendingCount > 0 }
}
