internal import Base
internal import CLiburing
internal import CLinux
internal import Glibc

/// A write or a sync that an append queue has taken on, from the call to its last event.
struct AppendRequest {
    /// Held open until the last event.
    var file: PosixFile?
    /// The caller's array, not a copy: held, with its buffers, until the bytes are written.
    var slices: [BufferSlice] = []
    var cursor = WriteCursor([])
    /// Where the next byte goes.
    var position: Int64 = 0
    var isWrite = false
    var wantsSync = false
    var token = CompletionToken(rawValue: 0)
    var handler: (any AppendCompletionHandler)?

    /// Completions that the kernel owes us.
    var isWriteInFlight = false
    var isSyncInFlight = false
    /// The first thing that went wrong, and with what.
    var failure: IOError?
    /// The write's last byte has been taken by the kernel.
    var isWritten = false

    /// Room for the kernel's vectors where the queue asked for it; the place keeps it.
    var vectors: UnsafeMutableBufferPointer<iovec>?
    /// Counts the requests that have had this place, so that a late completion is not taken for a newer
    /// one's.
    var generation: UInt32 = 0

    /// Notes that the kernel has taken the next `byteCount` bytes.
    mutating func advance(by byteCount: Int) {
        cursor.advance(by: byteCount, in: slices)
        position += Int64(byteCount)
        if cursor.remaining == 0 { isWritten = true }
    }
}

/// The places for the requests of one queue. Grows to the most that were pending at once, and never allocates
/// after, whichever request gets which place: completions come in any order.
final class AppendRequestPool {
    var places: ContiguousArray<AppendRequest> = []
    private var free: ContiguousArray<UInt32> = []
    private let givesVectors: Bool

    /// - Parameter givesVectors: each place has room for the kernel's vectors.
    init(givesVectors: Bool) { self.givesVectors = givesVectors }

    /// The places in use.
    var count: Int { places.count - free.count }

    /// More requests than this at once mean that a caller has no limit of its own: a log has few under way.
    static let maximumCount = 1 << 20

    deinit {
        for place in places { place.vectors?.deallocate() }
    }

    /// - Returns: the subscript of an empty place.
    func take() -> Int {
        if let index = free.popLast() { return Int(index) }
        invariant(places.count < Self.maximumCount, "\(places.count) requests pending in one append queue")
        places.append(AppendRequest())
        if givesVectors {
            places[places.count - 1].vectors = .allocate(capacity: WriteCursor.vectorsPerCall)
        }
        // So that giving back never has to make room.
        free.reserveCapacity(places.capacity)
        return places.count - 1
    }

    /// Empties a place for the next.
    func giveBack(_ index: Int) {
        places[index].file = nil
        places[index].slices = []
        places[index].handler = nil
        places[index].failure = nil
        places[index].isWriteInFlight = false
        places[index].isSyncInFlight = false
        places[index].isWritten = false
        places[index].generation = (places[index].generation + 1) & Self.generationMask
        free.append(UInt32(index))
    }

    /// 24 bits of it go into the number that the kernel gives back.
    static let generationMask: UInt32 = 0xFF_FFFF

    /// Takes a request on.
    func add(
        _ slices: [BufferSlice]?, _ file: any File, at position: Int64, wantsSync: Bool,
        _ token: CompletionToken,
        _ handler: any AppendCompletionHandler
    ) -> Int {
        guard let file = file as? PosixFile else {
            invariantFailed("\(file.path) is not a file of the kernel's: it belongs to another append queue")
        }
        let index = take()
        places[index].file = file
        if let slices {
            places[index].slices = slices
            places[index].cursor = WriteCursor(slices)
        }
        places[index].isWrite = slices != nil
        places[index].position = position
        places[index].wantsSync = wantsSync
        places[index].token = token
        places[index].handler = handler
        return index
    }

    /// Writes the request's bytes by a system call of this thread; a failure is noted in the request.
    func writeNow(_ index: Int) {
        guard let file = places[index].file else { return }
        do {
            try file.write(places[index].slices, at: places[index].position)
            places[index].isWritten = true
        } catch {
            places[index].failure = error
        }
    }

    /// Tells the handler, after giving the place back if the event is the request's last: the handler may
    /// make new requests.
    func deliver(_ event: AppendEvent, _ index: Int) {
        let handler = places[index].handler
        let token = places[index].token
        let failure = places[index].failure
        // Before the handler is told, which then alone has the array, and may empty it in place.
        if event == .written { places[index].slices = [] }
        if event == .synced || failure != nil || !places[index].wantsSync { giveBack(index) }
        handler?.appendQueue(completed: event, token, failure: failure)
    }
}

/// An event that waits for the next `poll` to be delivered.
struct ReadyEvent {
    let event: AppendEvent
    let index: Int
}
