internal import Base
internal import CLinux
internal import Glibc

/// How a connection of a server or of its clients behaves in the kernel.
public struct SocketOptions: Sendable {
    /// The kernel's buffer for bytes on their way out (SO_SNDBUF); nil leaves it to the kernel.
    public var sendBufferByteCount: Int?
    /// The kernel's buffer for bytes that came (SO_RCVBUF); nil leaves it to the kernel.
    public var receiveBufferByteCount: Int?
    /// A peer that says nothing for so long is asked whether it is still there (TCP_KEEPIDLE).
    public var keepAliveSeconds = 60
    /// Time between two such questions, and how many stay unanswered until the connection is dropped.
    public var keepAliveIntervalSeconds = 10
    public var keepAliveCount = 6
    /// Bytes that the peer does not acknowledge for so long end the connection (TCP_USER_TIMEOUT).
    public var unacknowledgedMilliseconds = 60_000

    public init(sendBufferByteCount: Int? = nil, receiveBufferByteCount: Int? = nil) {
        self.sendBufferByteCount = sendBufferByteCount
        self.receiveBufferByteCount = receiveBufferByteCount
    }
}

/// The answer to `Socket.acceptNow`.
public enum AcceptOutcome: Sendable {
    case accepted(Socket)
    /// Nobody waits to be accepted.
    case none
    case failed(Errno)
}

/// What the kernel took of what it was given to send, or gave of what was asked for.
public enum TransferOutcome: Sendable, Equatable {
    /// So many bytes, at least one, moved.
    case moved(Int)
    /// None now: wait until the socket is ready.
    case wouldBlock
    /// The peer has finished sending; or, of a file to send, the file ends here.
    case ended
    case failed(Errno)

    /// - Parameter answer: of a system call, errors negated.
    @inline(__always)
    init(_ answer: Int) {
        if answer > 0 {
            self = .moved(answer)
        } else if answer == 0 {
            self = .ended
        } else if answer == -Int(EAGAIN) {
            self = .wouldBlock
        } else {
            self = .failed(Errno(rawValue: Int32(-answer)))
        }
    }
}

extension Socket {
    // MARK: Coming and going

    /// Listens at `address`; `acceptNow` does not wait.
    ///
    /// The address `any` takes IPv4 and IPv6 connections; on a machine without IPv6, IPv4 alone.
    /// - Throws: `addressInUse` when another listener has the port; the error names it.
    public static func listen(
        on address: SocketAddress, backlog: Int = 1024, options: SocketOptions = SocketOptions()
    ) throws(IOError) -> Socket {
        do {
            let socket = try open(address, isBlocking: false)
            try socket.setOption(SOL_SOCKET, SO_REUSEADDR, 1)
            if !address.host.isIPv4 {
                try socket.setOption(Int32(IPPROTO_IPV6), IPV6_V6ONLY, address.host == .any ? 0 : 1)
            }
            // Buffers are inherited by accepted sockets, and the window is agreed on before the accept.
            try socket.setBuffers(options)
            try socket.bindAndListen(backlog)
            return socket
        } catch
            where address.host == .any
            && (error.errno == .addressFamilyNotSupported || error.errno == .addressNotAvailable)
        {
            return try listen(
                on: SocketAddress(.anyIPv4, port: address.port), backlog: backlog, options: options)
        }
    }

    /// Takes the next connection of a listening socket, if one waits. The new socket does not block either.
    public func acceptNow() -> AcceptOutcome {
        let number = descriptor
        let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let (peer, answer) = SocketAddress.filled { pointer, length in
            SystemCall.answer(.accept) { Int(accept4(number, pointer, length, flags)) }
        }
        switch TransferOutcome(answer) {
        case .moved(let taken):
            return .accepted(Socket(OwnedDescriptor(taking: Int32(taken)), peer ?? socketAddress))
        case .wouldBlock: return .none
        case .failed(let error): return .failed(error)
        // Number 0 is open from the start and stays so.
        case .ended: invariantFailed("a connection was given the number of the standard input")
        }
    }

    /// Begins to connect and does not wait: when the socket is writable, `takeFailure` tells how it went.
    public static func beginConnecting(
        to address: SocketAddress, options: SocketOptions = SocketOptions()
    ) throws(IOError) -> Socket {
        let socket = try open(address, isBlocking: false)
        try socket.setBuffers(options)
        let number = socket.descriptor
        let refusal = SystemCall.once { address.withGeneric { Glibc.connect(number, $0, $1) } }
        if let refusal, refusal != .inProgress && refusal != .interrupted {
            throw IOError(.connect, address.description, refusal)
        }
        return socket
    }

    // MARK: Options

    private func setBuffers(_ options: SocketOptions) throws(IOError) {
        if let byteCount = options.sendBufferByteCount {
            try setOption(SOL_SOCKET, SO_SNDBUF, Int32(clamping: byteCount))
        }
        if let byteCount = options.receiveBufferByteCount {
            try setOption(SOL_SOCKET, SO_RCVBUF, Int32(clamping: byteCount))
        }
    }

    /// Sets what is set on a connection: no delay of small pieces, the watch over peers that are gone. The
    /// buffers' sizes come with the listener or the connect.
    public func apply(_ options: SocketOptions) throws(IOError) {
        let tcp = Int32(IPPROTO_TCP)
        try setNoDelay(true)
        try setOption(SOL_SOCKET, SO_KEEPALIVE, 1)
        try setOption(tcp, TCP_KEEPIDLE, Int32(clamping: options.keepAliveSeconds))
        try setOption(tcp, TCP_KEEPINTVL, Int32(clamping: options.keepAliveIntervalSeconds))
        try setOption(tcp, TCP_KEEPCNT, Int32(clamping: options.keepAliveCount))
        try setOption(tcp, TCP_USER_TIMEOUT, Int32(clamping: options.unacknowledgedMilliseconds))
    }

    /// The socket counts as readable only when so many bytes wait (SO_RCVLOWAT), or no more will come.
    public func setReadableByteCount(_ byteCount: Int) throws(IOError) {
        try setOption(SOL_SOCKET, SO_RCVLOWAT, Int32(clamping: byteCount))
    }

    // MARK: Bytes, without waiting

    /// Looks at the first bytes that wait without taking them off (MSG_PEEK).
    /// - Returns: the outcome, and the bytes, the first in the highest byte.
    public func peekFour() -> (TransferOutcome, UInt32) {
        let number = descriptor
        var bytes: UInt32 = 0
        let answer = SystemCall.answer(.receive) {
            recv(number, &bytes, 4, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
        }
        return (TransferOutcome(answer), UInt32(bigEndian: bytes))
    }

    /// Sends what the kernel takes of the slices, one after the other.
    /// - Parameters:
    ///   - skip: bytes of the first slice that went already.
    ///   - moreFollows: the kernel may keep the last bytes back for the next call's (MSG_MORE).
    public func sendNow(
        _ slices: ContiguousArray<BufferSlice>, skip: Int, moreFollows: Bool
    ) -> TransferOutcome {
        if slices.count == 1 { return sendNow(slices[0], skip: skip, moreFollows: moreFollows) }
        let number = descriptor
        let flags = Self.sendFlags(moreFollows)
        return withUnsafeTemporaryAllocation(of: iovec.self, capacity: WriteCursor.vectorsPerCall) {
            vectors in
            var count = 0
            var offset = skip
            while count < min(slices.count, vectors.count) {
                let slice = slices[count]
                vectors.initializeElement(
                    at: count,
                    to: iovec(
                        iov_base: slice.buffer.base + (slice.range.lowerBound + offset),
                        iov_len: slice.byteCount - offset))
                offset = 0
                count += 1
            }
            var message = msghdr()
            message.msg_iov = vectors.baseAddress
            message.msg_iovlen = count
            return TransferOutcome(SystemCall.answer(.send) { sendmsg(number, &message, flags) })
        }
    }

    /// Slices that one `sendNow` can take.
    public static var slicesPerSend: Int { WriteCursor.vectorsPerCall }

    private func sendNow(_ slice: BufferSlice, skip: Int, moreFollows: Bool) -> TransferOutcome {
        let number = descriptor
        let start = slice.buffer.base + (slice.range.lowerBound + skip)
        let flags = Self.sendFlags(moreFollows)
        return TransferOutcome(
            SystemCall.answer(.send) { Glibc.send(number, start, slice.byteCount - skip, flags) })
    }

    private static func sendFlags(_ moreFollows: Bool) -> Int32 {
        Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
            | (moreFollows ? Int32(MSG_MORE) : 0)
    }

    /// Whether `sendFileNow` can send `file`: it is one of the kernel's.
    public static func canSend(_ file: any File) -> Bool { file is PosixFile }

    /// Sends what the kernel takes of a part of a file, without copying it through the process (sendfile).
    /// - Returns: `ended` when the file has no byte at `position`.
    public func sendFileNow(_ file: any File, position: Int64, byteCount: Int) -> TransferOutcome {
        guard let file = file as? PosixFile else {
            invariantFailed("\(file.path) is not a file of the kernel's, which alone it can send")
        }
        let (target, source) = (descriptor, file.descriptor)
        var place = off_t(position)
        return TransferOutcome(SystemCall.answer(.sendfile) { sendfile(target, source, &place, byteCount) })
    }
}
