import Base
import Foundation
import Testing

@testable import SystemIO

/// The back ends, and rings that are too small for what is asked of them.
enum NetworkKind: String, CaseIterable {
    case epoll, ring, smallRing, reluctantRing

    func make(_ pool: BufferPool = BufferPool(limitByteCount: 16 << 20)) throws -> any NetworkBackend {
        switch self {
        case .epoll: return try NetworkBackends.make(.epoll, pool: pool, log: .silent)
        case .ring: return try NetworkBackends.make(.ioUring, pool: pool, log: .silent)
        // Polls that find no room for what they tell end, and have to be asked for again.
        case .smallRing: return ReadinessNetwork(try RingPoller(entries: 8, completionEntries: 8), pool: pool)
        // The kernel takes nothing three times out of four.
        case .reluctantRing:
            let calls = Locked(0)
            let poller = try RingPoller(entries: 8, completionEntries: 64) {
                (ring, nanoseconds) throws(IOError) in
                let number = calls.withLock { calls in
                    calls += 1
                    return calls
                }
                return number % 4 == 0 ? try ring.submitAndWait(nanoseconds: nanoseconds) : false
            }
            return ReadinessNetwork(poller, pool: pool)
        }
    }
}

/// One end of a connection in a back end, and what it was told.
private final class Channel: ChannelHandler {
    let backend: any NetworkBackend
    private(set) var socket: Socket?
    var id: ChannelID?
    var received: [UInt8] = []
    var own: BufferSlice?
    var isAsking = false
    var hasEnded = false
    var error: Errno?
    var readableCount = 0
    var writableCount = 0
    var isRemoved = false
    var onReceive: () -> Void = {}

    init(_ socket: Socket, in backend: any NetworkBackend) throws {
        self.backend = backend
        self.socket = socket
        try socket.setNonBlocking()
        id = try backend.add(socket, self)
    }

    func ask(own byteCount: Int, sharedLimit: Int) {
        guard let id, !isAsking, !hasEnded else { return }
        isAsking = true
        own = byteCount > 0 ? BufferSlice(IOBuffer(byteCount: byteCount)) : nil
        backend.receive(id, into: own, sharedLimit: sharedLimit)
    }

    /// Forgets the channel and closes its socket.
    func remove() {
        if let id { backend.remove(id) }
        id = nil
        socket = nil
        isRemoved = true
    }

    func channelReceived(ownByteCount: Int, shared: BufferSlice?) {
        #expect(!isRemoved && isAsking && !hasEnded)
        isAsking = false
        if let own {
            #expect(shared == nil || ownByteCount == own.byteCount)
            received += own.buffer.array(0..<ownByteCount)
        }
        if let shared { received += shared.buffer.array(shared.range) }
        onReceive()
    }

    func channelEnded(_ error: Errno?) {
        #expect(!isRemoved && !hasEnded)
        hasEnded = true
        isAsking = false
        self.error = error
    }

    func channelStarved() { Issue.record("the pool has memory") }

    func channelReadable() {
        #expect(!isRemoved)
        readableCount += 1
    }

    func channelWritable() {
        #expect(!isRemoved)
        writableCount += 1
    }
}

extension IOBuffer {
    fileprivate func array(_ range: Range<Int>) -> [UInt8] { bytes(range).withUnsafeBytes { Array($0) } }
}

/// Counts how often a descriptor was ready.
private final class Readiness: ReadinessHandler {
    var count = 0
    var body: () -> Void = {}
    func descriptorReady() {
        count += 1
        body()
    }
}

private final class Accepted: AcceptHandler {
    var sockets: [Socket] = []
    var failures: [Errno] = []
    func accepted(_ socket: Socket) { sockets.append(socket) }
    func acceptFailed(_ error: Errno) { failures.append(error) }
}

@Suite("What all network back ends promise")
struct NetworkBackendTests {
    struct Stuck: Error {}

    func pair(_ listener: Socket) throws -> (client: Socket, server: Socket) {
        let client = try Socket.connect(to: listener.localAddress())
        return (client, try listener.accept())
    }

    func poll(_ backend: any NetworkBackend, until condition: () -> Bool) throws {
        var left = 10_000
        while !condition() {
            backend.poll(waitNanoseconds: 1_000_000)
            left -= 1
            if left == 0 { throw Stuck() }
        }
    }

    /// Polls so often that whatever is under way has come.
    func settle(_ backend: any NetworkBackend) {
        for _ in 0..<24 { backend.poll(waitNanoseconds: 0) }
    }

    func reset(_ socket: inout Socket?) {
        var linger = linger(l_onoff: 1, l_linger: 0)
        let size = socklen_t(MemoryLayout.size(ofValue: linger))
        if let socket { setsockopt(socket.descriptor, SOL_SOCKET, SO_LINGER, &linger, size) }
        socket = nil
    }

    @Test(
        "Every byte arrives once and in order, at hundreds of connections that come and go",
        arguments: NetworkKind.allCases, [1, 2, 3] as [UInt64])
    func streams(_ kind: NetworkKind, _ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let backend = try kind.make()
        let listener = try Socket.listen(backlog: 64)
        var ends: [(client: Socket?, channel: Channel, sent: [UInt8])] = []
        for _ in 0..<4000 {
            let choice = Int.random(in: 0..<100, using: &random)
            if ends.count < 150 && choice < 12 || ends.isEmpty {
                let (client, server) = try pair(listener)
                ends.append((client, try Channel(server, in: backend), []))
            } else if choice < 50 {
                let number = Int.random(in: 0..<ends.count, using: &random)
                let bytes = (0..<Int.random(in: 1...300, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
                guard let client = ends[number].client else { continue }
                try client.send(BufferSlice(IOBuffer(copying: bytes)))
                ends[number].sent += bytes
            } else if choice < 90 {
                let channel = ends[Int.random(in: 0..<ends.count, using: &random)].channel
                let own = Bool.random(using: &random) ? Int.random(in: 1...200, using: &random) : 0
                channel.ask(own: own, sharedLimit: own > 0 ? Int.random(in: 0...9, using: &random) : 64)
            } else if choice < 93 {
                // The peer ends it: what it sent before comes all the same.
                ends[Int.random(in: 0..<ends.count, using: &random)].client = nil
            } else if choice < 96 {
                let (client, channel, sent) = ends.remove(at: Int.random(in: 0..<ends.count, using: &random))
                #expect(sent.starts(with: channel.received))
                channel.remove()
                withExtendedLifetime(client) {}
            }
            if choice % 3 == 0 { backend.poll(waitNanoseconds: 0) }
        }
        for (client, channel, sent) in ends {
            try poll(backend) {
                channel.ask(own: 0, sharedLimit: 4096)
                return channel.hasEnded || client != nil && channel.received.count == sent.count
            }
            #expect(channel.received == sent)
            #expect(channel.error == nil)
            #expect(channel.hasEnded == (client == nil))
        }
    }

    @Test(
        "Nothing is told of a channel that was removed, not to the one in its place either",
        arguments: NetworkKind.allCases)
    func removed(_ kind: NetworkKind) throws {
        let backend = try kind.make()
        let listener = try Socket.listen()
        for round in 0..<100 {
            let (client, server) = try pair(listener)
            let channel = try Channel(server, in: backend)
            channel.ask(own: 0, sharedLimit: 100)
            if round % 3 > 0 { backend.poll(waitNanoseconds: 0) }
            try client.send(BufferSlice(IOBuffer(byteCount: 10)))
            if round % 3 > 1 { try client.finishSending() }
            // The kernel knows of the bytes, and the channel goes before it is asked.
            channel.remove()
            let (nextClient, nextServer) = try pair(listener)
            let next = try Channel(nextServer, in: backend)
            next.ask(own: 0, sharedLimit: 100)
            settle(backend)
            #expect(channel.received.isEmpty && !channel.hasEnded)
            #expect(next.received.isEmpty && !next.hasEnded)
            try nextClient.send(BufferSlice(IOBuffer(byteCount: 3)))
            try poll(backend) { next.received.count == 3 }
            next.remove()
        }
    }

    @Test(
        "A poll takes all that is there, up to a bound, from who asks for it", arguments: NetworkKind.allCases
    )
    func gathered(_ kind: NetworkKind) throws {
        let backend = try kind.make()
        let (client, server) = try pair(try Socket.listen())
        let channel = try Channel(server, in: backend)
        settle(backend)
        channel.onReceive = { channel.ask(own: 4 << 10, sharedLimit: 0) }
        try client.send(BufferSlice(IOBuffer(byteCount: 128 << 10)))
        channel.ask(own: 4 << 10, sharedLimit: 0)
        // A poll goes back to a connection sixteen times.
        let many = try largestPoll(backend, channel, byteCount: 128 << 10)
        #expect(many >= 32 << 10 && many <= 18 * 4 << 10)
        channel.onReceive = { channel.ask(own: 256 << 10, sharedLimit: 0) }
        let sending = try JoinableThread(name: "client") {
            _ = try? client.send(BufferSlice(IOBuffer(byteCount: 2 << 20)))
        }
        #expect(try largestPoll(backend, channel, byteCount: 2 << 20) <= 768 << 10)
        sending.join()
    }

    /// Polls until so many bytes have come.
    /// - Returns: the most that one poll has brought.
    private func largestPoll(
        _ backend: any NetworkBackend, _ channel: Channel, byteCount: Int
    ) throws -> Int {
        let end = channel.received.count + byteCount
        var seen = channel.received.count
        var largest = 0
        try poll(backend) {
            largest = max(largest, channel.received.count - seen)
            seen = channel.received.count
            return seen == end
        }
        return largest
    }

    @Test(
        "A watch of changes tells of each signal, taken off or not", arguments: NetworkKind.allCases)
    func changes(_ kind: NetworkKind) throws {
        let backend = try kind.make()
        let event = try EventDescriptor()
        let readiness = Readiness()
        let id = try backend.watch(event.descriptor, changesOnly: true, readiness)
        settle(backend)
        for _ in 0..<100 {
            let before = readiness.count
            event.signal()
            try poll(backend) { readiness.count > before }
        }
        // Once each, and once where the kernel had to be asked anew.
        settle(backend)
        let last = readiness.count
        settle(backend)
        #expect(readiness.count == last)
        backend.remove(id)
    }

    @Test(
        "A handler may remove any channel, also one that was told of with it",
        arguments: NetworkKind.allCases)
    func removedWithin(_ kind: NetworkKind) throws {
        let backend = try kind.make()
        let listener = try Socket.listen()
        var channels: [Channel] = []
        var clients: [Socket] = []
        for _ in 0..<40 {
            let (client, server) = try pair(listener)
            clients.append(client)
            channels.append(try Channel(server, in: backend))
        }
        for channel in channels { channel.ask(own: 0, sharedLimit: 100) }
        settle(backend)
        var told = 0
        for channel in channels {
            channel.onReceive = {
                told += 1
                for other in channels where !other.isRemoved { other.remove() }
            }
        }
        for client in clients { try client.send(BufferSlice(IOBuffer(byteCount: 10))) }
        try poll(backend) { told > 0 }
        settle(backend)
        #expect(told == 1)
    }

    @Test(
        "The peer learns at once of a channel that was removed and closed, and the port is free",
        arguments: [NetworkKind.epoll, .ring, .smallRing])
    func closedAtOnce(_ kind: NetworkKind) throws {
        let backend = try kind.make()
        var listener: Socket? = try Socket.listen(on: SocketAddress(.ipv4Loopback, port: 0))
        let address = try #require(try listener?.localAddress())
        let accepted = Accepted()
        let port = try backend.accept(from: #require(listener), accepted)
        let client = try Socket.connect(to: address)
        try poll(backend) { !accepted.sockets.isEmpty }
        let channel = try Channel(accepted.sockets.removeLast(), in: backend)
        channel.ask(own: 0, sharedLimit: 10)
        backend.poll(waitNanoseconds: 0)
        backend.remove(port)
        listener = nil
        channel.remove()
        // Without a further poll, blocking.
        #expect(try client.receive(into: IOBuffer(byteCount: 1), 0..<1) == 0)
        _ = try Socket.listen(on: address)
    }

    @Test("A descriptor is not given away while the kernel has not taken that its watch ended")
    func heldDescriptor() throws {
        let isRefusing = Locked(true)
        let poller = try RingPoller(entries: 8, completionEntries: 8) { (ring, nanoseconds) throws(IOError) in
            isRefusing.withLock { $0 } ? false : try ring.submitAndWait(nanoseconds: nanoseconds)
        }
        let backend = ReadinessNetwork(poller, pool: BufferPool(limitByteCount: 1 << 20))
        let listener = try Socket.listen()
        var clients: [Socket] = []
        var removed: Set<Int32> = []
        // More than the queue holds.
        for _ in 0..<20 {
            let (client, server) = try pair(listener)
            clients.append(client)
            #expect(removed.isDisjoint(with: [client.descriptor, server.descriptor]))
            removed.insert(server.descriptor)
            let channel = try Channel(server, in: backend)
            backend.poll(waitNanoseconds: nil)
            channel.remove()
        }
        isRefusing.withLock { $0 = false }
        settle(backend)
        let room = IOBuffer(byteCount: 1)
        for client in clients { #expect(try client.receive(into: room, 0..<1) == 0) }
    }

    @Test("A peer that is gone is told of though nothing is received", arguments: NetworkKind.allCases)
    func goneWhileHeldBack(_ kind: NetworkKind) throws {
        let backend = try kind.make()
        let (client, server) = try pair(try Socket.listen())
        let channel = try Channel(server, in: backend)
        settle(backend)
        var peer: Socket? = client
        _ = consume client
        reset(&peer)
        try poll(backend) { channel.hasEnded }
        #expect(channel.error == .connectionReset)
    }

    @Test("Who waits for room to send is told once there is some", arguments: NetworkKind.allCases)
    func writable(_ kind: NetworkKind) throws {
        let backend = try kind.make()
        let (client, server) = try pair(try Socket.listen())
        let channel = try Channel(server, in: backend)
        let bytes: ContiguousArray = [BufferSlice(IOBuffer(byteCount: 1 << 20))]
        let room = IOBuffer(byteCount: 1 << 20)
        for round in 1...3 {
            var sent = 0
            while case .moved(let count) = try #require(channel.socket)
                .sendNow(bytes, skip: 0, moreFollows: false)
            {
                sent += count
            }
            try backend.awaitWritable(#require(channel.id))
            settle(backend)
            #expect(channel.writableCount == round - 1)
            while sent > 0 { sent -= try client.receive(into: room, 0..<room.byteCount) }
            try poll(backend) { channel.writableCount == round }
        }
    }

    @Test(
        "Bytes that are looked at and too few are told of again when they are enough",
        arguments: NetworkKind.allCases)
    func readable(_ kind: NetworkKind) throws {
        let backend = try kind.make()
        let (client, server) = try pair(try Socket.listen())
        let channel = try Channel(server, in: backend)
        let id = try #require(channel.id)
        backend.awaitReadable(id, isMoreNeeded: false)
        settle(backend)
        #expect(channel.readableCount == 0)
        try client.send(BufferSlice(IOBuffer(byteCount: 2)))
        try poll(backend) { channel.readableCount == 1 }
        try channel.socket?.setReadableByteCount(4)
        backend.awaitReadable(id, isMoreNeeded: true)
        settle(backend)
        #expect(channel.readableCount == 1)
        try client.send(BufferSlice(IOBuffer(byteCount: 2)))
        try poll(backend) { channel.readableCount == 2 }
        channel.ask(own: 0, sharedLimit: 100)
        try poll(backend) { channel.received.count == 4 }
    }

    @Test(
        "A descriptor is told of until it has been read, and ends the wait from another thread",
        arguments: NetworkKind.allCases)
    func descriptors(_ kind: NetworkKind) throws {
        let backend = try kind.make()
        let event = try EventDescriptor()
        let readiness = Readiness()
        let id = try backend.watch(event.descriptor, readiness)
        event.signal()
        try poll(backend) { readiness.count == 3 }
        event.clear()
        settle(backend)
        let before = readiness.count
        settle(backend)
        #expect(readiness.count == before)
        readiness.body = { event.clear() }
        for round in 1...50 {
            let thread = try PosixThread(name: "waker") { event.signal() }
            while readiness.count < before + round { backend.poll(waitNanoseconds: nil) }
            thread.join()
        }
        backend.remove(id)
        event.signal()
        settle(backend)
        #expect(readiness.count == before + 50)
    }

    @Test("A wait with nothing to come ends with its time", arguments: [NetworkKind.epoll, .ring])
    func wait(_ kind: NetworkKind) throws {
        let backend = try kind.make()
        let clock = SystemClock()
        let begin = clock.monotonicNanoseconds()
        backend.poll(waitNanoseconds: 2_000_000)
        #expect(clock.monotonicNanoseconds() - begin >= 2_000_000)
    }

    @Test(
        "A process without descriptors accepts nothing until it is told to go on, then everybody",
        arguments: NetworkKind.allCases)
    func outOfDescriptors(_ kind: NetworkKind) async throws {
        let name = kind.rawValue
        await #expect(processExitsWith: .success) { [name = name as String] in
            let backend = try #require(NetworkKind(rawValue: name)).make()
            let listener = try Socket.listen(on: SocketAddress(.ipv4Loopback, port: 0))
            let accepted = Accepted()
            let channel = try backend.accept(from: listener, accepted)
            for _ in 0..<24 { backend.poll(waitNanoseconds: 0) }
            let clients = try (0..<3).map { _ in try Socket.connect(to: listener.localAddress()) }
            var limit = rlimit(rlim_cur: 200, rlim_max: 200)
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            var taken: [Int32] = []
            while true {
                let number = dup(0)
                if number < 0 { break }
                taken.append(number)
            }
            var left = 10_000
            while accepted.failures.isEmpty && left > 0 {
                backend.poll(waitNanoseconds: 1_000_000)
                left -= 1
            }
            for _ in 0..<100 { backend.poll(waitNanoseconds: 0) }
            precondition(accepted.failures == [.tooManyOpenFiles])
            precondition(accepted.sockets.isEmpty)
            for number in taken { close(number) }
            for _ in 0..<100 { backend.poll(waitNanoseconds: 0) }
            precondition(accepted.sockets.isEmpty)
            backend.resumeAccepting(channel)
            while accepted.sockets.count < 3 && left > 0 {
                backend.poll(waitNanoseconds: 1_000_000)
                left -= 1
            }
            precondition(accepted.sockets.count == 3)
            withExtendedLifetime(clients) {}
            exit(0)
        }
    }
}
