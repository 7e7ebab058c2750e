internal import Base
internal import CLinux
internal import Glibc

/// The network by epoll and calls that do not wait.
///
/// Connections are watched edge-triggered from the beginning, for reading and writing: no system call is
/// spent on changing interests. What an edge said is remembered until the kernel said that it would block, or
/// gave less than was asked for. Listeners and descriptors under watch are level-triggered.
public final class EpollNetwork: NetworkBackend {
    public var name: String { "epoll" }

    private enum Target {
        case none
        case connection(any ChannelHandler)
        case listener(any AcceptHandler)
        case descriptor(any ReadinessHandler)
    }

    private struct Place {
        var generation: UInt32 = 0
        var descriptor: Int32 = -1
        var socket: Socket?
        var target = Target.none
        var isReadable = false
        /// The end has been seen coming: no edge will tell of it again.
        var isEnding = false
        var wantsReceive = false
        var wantsReadable = false
        var wantsWritable = false
        /// Stands in `ready`.
        var isQueued = false
        var own: BufferSlice?
        var sharedLimit = 0
    }

    private var places: ContiguousArray<Place> = []
    private var free: ContiguousArray<UInt32> = []
    /// Connections that wait for something which is known to be there.
    private var ready = Backlog<ChannelID>()
    private var memory: SharedReceiveMemory
    private let epoll: OwnedDescriptor
    private let events: UnsafeMutableBufferPointer<epoll_event>

    /// Events taken at once.
    private static let eventCount = 256
    /// Connections accepted at once from one listener, so that a flood of them does not hold up the others.
    private static let acceptsPerEvent = 64

    /// - Parameter pool: where memory to receive into comes from.
    /// - Throws: when the process has no descriptors left.
    public init(pool: BufferPool) throws(IOError) {
        memory = SharedReceiveMemory(pool: pool)
        epoll = OwnedDescriptor(
            taking: try SystemCall.run(.epoll, "epoll_create1") { epoll_create1(O_CLOEXEC) })
        events = .allocate(capacity: Self.eventCount)
    }

    deinit { events.deallocate() }

    // MARK: Channels

    public func add(_ socket: Socket, _ handler: any ChannelHandler) throws(IOError) -> ChannelID {
        let edges = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue
        return try register(socket.descriptor, socket, .connection(handler), edges)
    }

    public func accept(from listener: Socket, _ handler: any AcceptHandler) throws(IOError) -> ChannelID {
        try register(listener.descriptor, listener, .listener(handler), EPOLLIN.rawValue)
    }

    public func watch(_ descriptor: Int32, _ handler: any ReadinessHandler) throws(IOError) -> ChannelID {
        try register(descriptor, nil, .descriptor(handler), EPOLLIN.rawValue)
    }

    private func register(
        _ descriptor: Int32, _ socket: Socket?, _ target: Target, _ interest: UInt32
    ) throws(IOError) -> ChannelID {
        let index: Int
        if let known = free.popLast() {
            index = Int(known)
        } else {
            index = places.count
            places.append(Place())
            free.reserveCapacity(places.capacity)
        }
        let channel = ChannelID(index: UInt32(index), generation: places[index].generation)
        do {
            try control(EPOLL_CTL_ADD, descriptor, interest, channel)
        } catch {
            free.append(UInt32(index))
            throw error
        }
        places[index].descriptor = descriptor
        places[index].socket = socket
        places[index].target = target
        return channel
    }

    private func control(
        _ operation: Int32, _ descriptor: Int32, _ interest: UInt32, _ channel: ChannelID
    ) throws(IOError) {
        var event = epoll_event(events: interest, data: epoll_data(u64: channel.number))
        let number = epoll.rawValue
        _ = try SystemCall.run(.epoll, "epoll_ctl") { epoll_ctl(number, operation, descriptor, &event) }
    }

    public func resumeAccepting(_ channel: ChannelID) {
        guard let index = index(of: channel) else { return }
        // Fails only for want of memory, and then the next call tries again.
        _ = try? control(EPOLL_CTL_MOD, places[index].descriptor, EPOLLIN.rawValue, channel)
    }

    public func remove(_ channel: ChannelID) {
        guard let index = index(of: channel) else { return }
        // Closing would do it, but others may hold the socket still.
        _ = try? control(EPOLL_CTL_DEL, places[index].descriptor, 0, channel)
        let generation = places[index].generation &+ 1
        places[index] = Place()
        places[index].generation = generation
        free.append(UInt32(index))
    }

    /// The channel's place; nil when it was removed.
    private func index(of channel: ChannelID) -> Int? {
        let index = Int(channel.index)
        return index < places.count && places[index].generation == channel.generation
            && places[index].descriptor >= 0 ? index : nil
    }

    // MARK: Asking

    public func receive(_ channel: ChannelID, into own: BufferSlice?, sharedLimit: Int) {
        guard let index = index(of: channel) else { return }
        invariant(!places[index].wantsReceive, "a second receive of one connection")
        invariant(own != nil || sharedLimit > 0, "a receive of nothing")
        places[index].own = own
        places[index].sharedLimit = sharedLimit
        places[index].wantsReceive = true
        queueIfReadable(channel, index)
    }

    public func awaitReadable(_ channel: ChannelID, isMoreNeeded: Bool) {
        guard let index = index(of: channel) else { return }
        // What comes from now on is a new edge.
        if isMoreNeeded { places[index].isReadable = false }
        places[index].wantsReadable = true
        queueIfReadable(channel, index)
    }

    /// Told by the next edge, which the kernel's refusal has armed.
    public func awaitWritable(_ channel: ChannelID) {
        guard let index = index(of: channel) else { return }
        places[index].wantsWritable = true
    }

    private func queueIfReadable(_ channel: ChannelID, _ index: Int) {
        if !places[index].isReadable || places[index].isQueued { return }
        places[index].isQueued = true
        ready.append(channel)
    }

    // MARK: Polling

    public func poll(waitNanoseconds: UInt64?) {
        let count = wait(ready.isEmpty ? waitNanoseconds : 0)
        // Those that are known to be ready had their turn before the wait of this one: each gets one more.
        var left = ready.count
        var number = 0
        while number < count {
            let event = events[number]
            take(event.events, event.data.u64)
            number += 1
        }
        while left > 0, let channel = ready.removeFirst() {
            left -= 1
            guard let index = index(of: channel) else { continue }
            places[index].isQueued = false
            serve(channel, index)
        }
    }

    private func wait(_ nanoseconds: UInt64?) -> Int {
        // Rounded up: waiting too short would turn the rest into a busy loop.
        let milliseconds =
            nanoseconds.map { Int32(clamping: $0 / 1_000_000 + ($0 % 1_000_000 == 0 ? 0 : 1)) } ?? -1
        let (number, room) = (epoll.rawValue, events)
        let answer = SystemCall.answerOnce(.epoll) {
            Int(epoll_wait(number, room.baseAddress, Int32(room.count), milliseconds))
        }
        invariant(answer >= 0 || answer == -Int(EINTR), "epoll_wait: \(Errno(rawValue: Int32(-answer)))")
        return max(answer, 0)
    }

    private func take(_ events: UInt32, _ number: UInt64) {
        let channel = ChannelID(
            index: UInt32(truncatingIfNeeded: number), generation: UInt32(truncatingIfNeeded: number >> 32))
        guard let index = index(of: channel) else { return }
        switch places[index].target {
        case .none: return
        case .descriptor(let handler): handler.descriptorReady()
        case .listener(let handler): acceptAll(channel, index, handler)
        case .connection(let handler):
            let broken = EPOLLERR.rawValue | EPOLLHUP.rawValue
            if events & (EPOLLIN.rawValue | EPOLLRDHUP.rawValue | broken) != 0 {
                places[index].isReadable = true
            }
            if events & (EPOLLRDHUP.rawValue | broken) != 0 { places[index].isEnding = true }
            if events & (EPOLLOUT.rawValue | broken) != 0 && places[index].wantsWritable {
                places[index].wantsWritable = false
                handler.channelWritable()
                guard self.index(of: channel) != nil else { return }
            }
            let isAwaited = places[index].wantsReceive || places[index].wantsReadable
            if events & EPOLLERR.rawValue != 0 && !isAwaited {
                // Nobody receives now and would learn that the peer is gone.
                let error = try? places[index].socket?.takeFailure()
                handler.channelEnded(error ?? .connectionReset)
                return
            }
            if places[index].isReadable && !places[index].isQueued { serve(channel, index) }
        }
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
                _ = try? control(EPOLL_CTL_MOD, places[place].descriptor, 0, channel)
                handler.acceptFailed(error)
                return
            }
        }
    }

    // MARK: Receiving

    /// Does for a readable connection what it asked for.
    private func serve(_ channel: ChannelID, _ index: Int) {
        guard case .connection(let handler) = places[index].target else { return }
        if places[index].wantsReadable {
            places[index].wantsReadable = false
            handler.channelReadable()
            return
        }
        if places[index].wantsReceive { receiveNow(channel, index, handler) }
    }

    private func receiveNow(_ channel: ChannelID, _ index: Int, _ handler: any ChannelHandler) {
        let limit = places[index].sharedLimit
        let shared = limit > 0 ? memory.room() : nil
        if shared == nil && limit > 0 && places[index].own == nil {
            places[index].wantsReceive = false
            handler.channelStarved()
            return
        }
        let own = places[index].own
        let room = shared.map { min($0.buffer.byteCount - $0.position, limit) } ?? 0
        let answer = receive(places[index].descriptor, own, shared, room)
        if answer == -Int(EAGAIN) {
            places[index].isReadable = false
            return
        }
        places[index].wantsReceive = false
        places[index].own = nil
        if answer <= 0 {
            handler.channelEnded(answer == 0 ? nil : Errno(rawValue: Int32(-answer)))
            return
        }
        let ownByteCount = min(own?.byteCount ?? 0, answer)
        let sharedByteCount = answer - ownByteCount
        // Less than asked for: there was no more, and what comes next is a new edge.
        if answer < (own?.byteCount ?? 0) + room && !places[index].isEnding {
            places[index].isReadable = false
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
