internal import Base
internal import Glibc

/// The network by readiness and calls that do not wait.
///
/// What the kernel said of a connection is remembered until it said that it would block, or gave less than
/// was asked for: connections are watched for changes only. Listeners and descriptors under watch are told of
/// as long as there is something. Where readiness comes from is the poller's: epoll or a ring.
final class ReadinessNetwork<Poller: ReadinessPoller>: NetworkBackend {
    var name: String { poller.name }

    private enum Target {
        case none
        case connection(any ChannelHandler)
        case listener(any AcceptHandler)
        case descriptor(any ReadinessHandler, WatchMode)
    }

    /// What a channel holds.
    private struct Place {
        var socket: Socket?
        var target = Target.none
        var own: BufferSlice?
    }

    /// How things stand with a channel. Apart from what it holds, so that a look at it counts no references.
    private struct State {
        var generation: UInt32 = 0
        var descriptor: Int32 = -1
        var isReadable = false
        /// The end has been seen coming: no change will tell of it again.
        var isEnding = false
        var wantsReceive = false
        var wantsReadable = false
        var wantsWritable = false
        /// A listener that the kernel has refused to accept for.
        var isPaused = false
        /// Stands in `ready`.
        var isQueued = false
        var sharedLimit = 0
    }

    private var places: ContiguousArray<Place> = []
    private var states: ContiguousArray<State> = []
    private var free: ContiguousArray<UInt32> = []
    /// Connections that wait for something which is known to be there.
    private var ready = Backlog<ChannelID>()
    private var memory: SharedReceiveMemory
    /// Of this poll.
    private var receivedByteCount = 0
    private let poller: Poller

    /// Connections accepted at once from one listener, so that a flood of them does not hold up the others.
    private static var acceptsPerEvent: Int { 64 }
    /// A poll that has received so much receives no more from connections that it has served: more would
    /// leave the processor's cache before it is worked off, and keep the others waiting.
    private static var gatheredByteCount: Int { 512 << 10 }
    /// How often a poll goes back to a connection. Bounds what many small receives cost the others.
    private static var furtherRounds: Int { 16 }

    /// - Parameter pool: where memory to receive into comes from.
    init(_ poller: Poller, pool: BufferPool) {
        self.poller = poller
        memory = SharedReceiveMemory(pool: pool)
    }

    // MARK: Channels

    func add(_ socket: Socket, _ handler: any ChannelHandler) throws(IOError) -> ChannelID {
        try register(socket.descriptor, socket, .connection(handler), .edges)
    }

    func accept(from listener: Socket, _ handler: any AcceptHandler) throws(IOError) -> ChannelID {
        try register(listener.descriptor, listener, .listener(handler), .level)
    }

    func watch(
        _ descriptor: Int32, changesOnly: Bool, _ handler: any ReadinessHandler
    ) throws(IOError) -> ChannelID {
        let mode: WatchMode = changesOnly ? .edges : .level
        return try register(descriptor, nil, .descriptor(handler, mode), mode)
    }

    private func register(
        _ descriptor: Int32, _ socket: Socket?, _ target: Target, _ mode: WatchMode
    ) throws(IOError) -> ChannelID {
        let index: Int
        if let known = free.popLast() {
            index = Int(known)
        } else {
            index = places.count
            places.append(Place())
            states.append(State())
            free.reserveCapacity(places.capacity)
        }
        let channel = ChannelID(index: UInt32(index), generation: states[index].generation)
        do {
            try poller.watch(descriptor, mode, channel.number)
        } catch {
            free.append(UInt32(index))
            throw error
        }
        states[index].descriptor = descriptor
        places[index].socket = socket
        places[index].target = target
        return channel
    }

    func resumeAccepting(_ channel: ChannelID) {
        guard let index = index(of: channel), states[index].isPaused else { return }
        states[index].isPaused = false
        poller.watchAgain(states[index].descriptor, .level, channel.number)
    }

    func remove(_ channel: ChannelID) {
        guard let index = index(of: channel) else { return }
        poller.forget(states[index].descriptor, channel.number, places[index].socket)
        let generation = states[index].generation &+ 1
        places[index] = Place()
        states[index] = State()
        states[index].generation = generation
        free.append(UInt32(index))
    }

    /// The channel's place; nil when it was removed.
    private func index(of channel: ChannelID) -> Int? {
        let index = Int(channel.index)
        return index < states.count && states[index].generation == channel.generation
            && states[index].descriptor >= 0 ? index : nil
    }

    // MARK: Asking

    func receive(_ channel: ChannelID, into own: BufferSlice?, sharedLimit: Int) {
        guard let index = index(of: channel) else { return }
        invariant(!states[index].wantsReceive, "a second receive of one connection")
        invariant(own != nil || sharedLimit > 0, "a receive of nothing")
        places[index].own = own
        states[index].sharedLimit = sharedLimit
        states[index].wantsReceive = true
        queueIfReadable(channel, index)
    }

    func awaitReadable(_ channel: ChannelID, isMoreNeeded: Bool) {
        guard let index = index(of: channel) else { return }
        // What comes from now on is a new change.
        if isMoreNeeded { states[index].isReadable = false }
        states[index].wantsReadable = true
        queueIfReadable(channel, index)
    }

    /// Told by the next change, which the kernel's refusal has armed.
    func awaitWritable(_ channel: ChannelID) {
        guard let index = index(of: channel) else { return }
        states[index].wantsWritable = true
    }

    private func queueIfReadable(_ channel: ChannelID, _ index: Int) {
        if !states[index].isReadable || states[index].isQueued { return }
        states[index].isQueued = true
        ready.append(channel)
    }

    // MARK: Polling

    @discardableResult
    func poll(waitNanoseconds: UInt64?) -> Bool {
        let count = poller.wait(nanoseconds: ready.isEmpty ? waitNanoseconds : 0)
        receivedByteCount = 0
        // Those that are known to be ready had their turn before the wait of this one: each gets one more.
        let known = ready.count
        var number = 0
        while number < count {
            take(poller.event(number))
            number += 1
        }
        serveReady(known)
        // What else is there is taken too as long as it is little, so that it shares what follows: a write,
        // an answer, the next wait.
        var rounds = Self.furtherRounds
        while rounds > 0 && !ready.isEmpty && receivedByteCount < Self.gatheredByteCount {
            rounds -= 1
            serveReady(ready.count)
        }
        return count > 0 || known > 0
    }

    /// Serves the first `count` of those that are known to be ready.
    private func serveReady(_ count: Int) {
        var left = count
        while left > 0, let channel = ready.removeFirst() {
            left -= 1
            guard let index = index(of: channel) else { continue }
            states[index].isQueued = false
            serve(channel, index)
        }
    }

    private func take(_ event: PollEvent) {
        let channel = ChannelID(
            index: UInt32(truncatingIfNeeded: event.number),
            generation: UInt32(truncatingIfNeeded: event.number >> 32))
        guard let index = index(of: channel) else { return }
        switch places[index].target {
        case .none: return
        case .descriptor(let handler, let mode):
            handler.descriptorReady()
            if event.isLast { watchAgain(channel, mode) }
        case .listener(let handler):
            acceptAll(channel, index, handler)
            if event.isLast { watchAgain(channel, .level) }
        case .connection(let handler):
            if let failure = event.failure {
                handler.channelEnded(failure)
                return
            }
            // Before the handlers: the next change is told of, however long they take.
            if event.isLast { watchAgain(channel, .edges) }
            takeEdges(event.conditions, channel, index, handler)
        }
    }

    private func watchAgain(_ channel: ChannelID, _ mode: WatchMode) {
        guard let index = index(of: channel), !states[index].isPaused else { return }
        poller.watchAgain(states[index].descriptor, mode, channel.number)
    }

    private func takeEdges(
        _ conditions: UInt32, _ channel: ChannelID, _ index: Int, _ handler: any ChannelHandler
    ) {
        if conditions & (PollEvent.readable | PollEvent.ending | PollEvent.broken) != 0 {
            states[index].isReadable = true
        }
        if conditions & (PollEvent.ending | PollEvent.broken) != 0 { states[index].isEnding = true }
        if conditions & (PollEvent.writable | PollEvent.broken) != 0 && states[index].wantsWritable {
            states[index].wantsWritable = false
            handler.channelWritable()
            guard self.index(of: channel) != nil else { return }
        }
        let isAwaited = states[index].wantsReceive || states[index].wantsReadable
        if conditions & PollEvent.failed != 0 && !isAwaited {
            // Nobody receives now and would learn that the peer is gone.
            let error = try? places[index].socket?.takeFailure()
            handler.channelEnded(error ?? .connectionReset)
            return
        }
        if states[index].isReadable && !states[index].isQueued { serve(channel, index) }
    }

    private func acceptAll(_ channel: ChannelID, _ place: Int, _ handler: any AcceptHandler) {
        guard let listener = places[place].socket else { return }
        var left = Self.acceptsPerEvent
        while left > 0 && index(of: channel) != nil {
            left -= 1
            switch listener.acceptNow() {
            case .accepted(let socket): handler.accepted(socket)
            case .none: return
            case .failed(let error):
                // A peer that gave up meanwhile takes nothing from the next.
                if error == .connectionAborted { continue }
                states[place].isPaused = true
                poller.pause(states[place].descriptor, channel.number)
                handler.acceptFailed(error)
                return
            }
        }
    }

    // MARK: Receiving

    /// Does for a readable connection what it asked for.
    private func serve(_ channel: ChannelID, _ index: Int) {
        guard case .connection(let handler) = places[index].target else { return }
        if states[index].wantsReadable {
            states[index].wantsReadable = false
            handler.channelReadable()
            return
        }
        if states[index].wantsReceive { receiveNow(channel, index, handler) }
    }

    private func receiveNow(_ channel: ChannelID, _ index: Int, _ handler: any ChannelHandler) {
        let limit = states[index].sharedLimit
        let shared = limit > 0 ? memory.room() : nil
        if shared == nil && limit > 0 && places[index].own == nil {
            states[index].wantsReceive = false
            handler.channelStarved()
            return
        }
        let own = places[index].own
        let room = shared.map { min($0.buffer.byteCount - $0.position, limit) } ?? 0
        let answer = receive(states[index].descriptor, own, shared, room)
        if answer == -Int(EAGAIN) {
            states[index].isReadable = false
            return
        }
        states[index].wantsReceive = false
        places[index].own = nil
        if answer <= 0 {
            handler.channelEnded(answer == 0 ? nil : Errno(rawValue: Int32(-answer)))
            return
        }
        receivedByteCount += answer
        let ownByteCount = min(own?.byteCount ?? 0, answer)
        let sharedByteCount = answer - ownByteCount
        // Less than asked for: there was no more, and what comes next is a new change.
        if answer < (own?.byteCount ?? 0) + room && !states[index].isEnding {
            states[index].isReadable = false
        }
        var slice: BufferSlice?
        if sharedByteCount > 0, let shared {
            slice = BufferSlice(shared.buffer, shared.position..<(shared.position + sharedByteCount))
            memory.advance(by: sharedByteCount)
        }
        handler.channelReceived(ownByteCount: ownByteCount, shared: slice)
    }

    private func receive(
        _ descriptor: Int32, _ own: BufferSlice?, _ shared: (buffer: IOBuffer, position: Int)?, _ room: Int
    ) -> Int {
        guard let own else {
            guard let shared else { return 0 }
            let start = shared.buffer.base + shared.position
            return SystemCall.answer(.receive) { recv(descriptor, start, room, 0) }
        }
        let start = own.buffer.base + own.range.lowerBound
        guard let shared else {
            return SystemCall.answer(.receive) { recv(descriptor, start, own.byteCount, 0) }
        }
        return withUnsafeTemporaryAllocation(of: iovec.self, capacity: 2) { vectors in
            vectors.initializeElement(at: 0, to: iovec(iov_base: start, iov_len: own.byteCount))
            vectors.initializeElement(
                at: 1, to: iovec(iov_base: shared.buffer.base + shared.position, iov_len: room))
            return SystemCall.answer(.receive) { readv(descriptor, vectors.baseAddress, 2) }
        }
    }
}
