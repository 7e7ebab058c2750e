internal import Base
internal import CLiburing
internal import CLinux
internal import Glibc

/// A TCP socket. Closed with the last reference.
///
/// Calls block, unless `setNonBlocking` was called: then those that would block throw `wouldBlock`. Any
/// thread may call; one that sends and one that receives do not disturb each other. What lanes call, which
/// never blocks, stands in `Socket+Lanes.swift`.
public final class Socket: Sendable {
    private let owned: OwnedDescriptor
    /// Of the peer; of a listener its own.
    public let socketAddress: SocketAddress

    init(_ descriptor: consuming OwnedDescriptor, _ address: SocketAddress) {
        owned = descriptor
        socketAddress = address
    }

    /// What errors name: `127.0.0.1:9092`.
    public var address: String { socketAddress.description }

    /// The kernel's number, valid for as long as this object lives.
    public var descriptor: Int32 { owned.rawValue }

    /// Writing to a socket whose peer is gone must be an error (EPIPE), not the end of the process. send has
    /// a flag for it, sendfile has not, so the signal is ignored once a socket exists.
    private static let ignoreBrokenPipes: Void = {
        _ = signal(SIGPIPE, SIG_IGN)
    }()

    static func open(_ address: SocketAddress, isBlocking: Bool) throws(IOError) -> Socket {
        _ = ignoreBrokenPipes
        let flags = Int32(SOCK_CLOEXEC.rawValue) | (isBlocking ? 0 : Int32(SOCK_NONBLOCK.rawValue))
        let kind = Int32(SOCK_STREAM.rawValue) | flags
        let number = try SystemCall.run(.socket, address.description) { socket(address.family, kind, 0) }
        return Socket(OwnedDescriptor(taking: number), address)
    }

    // MARK: Coming and going

    /// Listens on the loopback interface, with calls that block.
    /// - Parameter port: 0 lets the kernel choose; see `port`.
    public static func listen(port: UInt16 = 0, backlog: Int = 128) throws(IOError) -> Socket {
        let address = SocketAddress(.ipv4Loopback, port: port)
        let socket = try open(address, isBlocking: true)
        try socket.setOption(SOL_SOCKET, SO_REUSEADDR, 1)
        try socket.bindAndListen(backlog)
        return socket
    }

    func bindAndListen(_ backlog: Int) throws(IOError) {
        let number = descriptor
        _ = try SystemCall.run(.bind, address) { socketAddress.withGeneric { bind(number, $0, $1) } }
        _ = try SystemCall.run(.listen, address) { Glibc.listen(number, Int32(clamping: backlog)) }
    }

    /// Where the socket is bound on this machine.
    public func localAddress() throws(IOError) -> SocketAddress {
        let number = descriptor
        let (found, status) = SocketAddress.filled { pointer, length in getsockname(number, pointer, length) }
        _ = try SystemCall.run(.socket, address) { status }
        return found ?? socketAddress
    }

    /// The port that the socket is bound to.
    public func port() throws(IOError) -> UInt16 { try localAddress().port }

    /// Waits for the next connection of a listening socket.
    public func accept() throws(IOError) -> Socket {
        let number = descriptor
        let flags = Int32(SOCK_CLOEXEC.rawValue)
        var peer: SocketAddress?
        let taken = try SystemCall.run(.accept, address) {
            let (found, answer) = SocketAddress.filled { accept4(number, $0, $1, flags) }
            peer = found
            return answer
        }
        return Socket(OwnedDescriptor(taking: taken), peer ?? socketAddress)
    }

    /// Connects to a listener on the loopback interface, and waits until it is.
    public static func connect(port: UInt16) throws(IOError) -> Socket {
        try connect(to: SocketAddress(.ipv4Loopback, port: port))
    }

    /// Connects to a listener, and waits until it is.
    public static func connect(to address: SocketAddress) throws(IOError) -> Socket {
        let socket = try open(address, isBlocking: true)
        let (number, name) = (socket.descriptor, address.description)
        let refusal = SystemCall.once { address.withGeneric { Glibc.connect(number, $0, $1) } }
        guard let refusal else { return socket }
        guard refusal == .interrupted else { throw IOError(.connect, name, refusal) }
        // An interrupted connect goes on in the kernel: wait for its end, and ask how it went.
        var wish = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
        _ = try SystemCall.run(.connect, name) { poll(&wish, 1, -1) }
        if let failure = try socket.takeFailure() { throw IOError(.connect, name, failure) }
        return socket
    }

    /// What went wrong with the socket while nobody asked, or with a connection that was begun; asking
    /// forgets it.
    public func takeFailure() throws(IOError) -> Errno? {
        var status: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        let number = descriptor
        _ = try SystemCall.run(.socketOption, address) {
            getsockopt(number, SOL_SOCKET, SO_ERROR, &status, &length)
        }
        return status == 0 ? nil : Errno(rawValue: status)
    }

    /// Tells the peer that nothing more comes; receiving goes on.
    public func finishSending() throws(IOError) {
        let number = descriptor
        _ = try SystemCall.run(.send, address) { shutdown(number, Int32(SHUT_WR)) }
    }

    // MARK: Options

    func setOption(_ level: Int32, _ option: Int32, _ value: Int32) throws(IOError) {
        var value = value
        let number = descriptor
        _ = try SystemCall.run(.socketOption, address) {
            setsockopt(number, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    /// Sends small pieces at once rather than collecting them (TCP_NODELAY).
    public func setNoDelay(_ isOn: Bool) throws(IOError) {
        try setOption(Int32(IPPROTO_TCP), TCP_NODELAY, isOn ? 1 : 0)
    }

    /// The kernel's buffers of this socket, in bytes; it takes double and cuts at net.core.wmem_max and
    /// rmem_max.
    public func setBufferByteCounts(send: Int, receive: Int) throws(IOError) {
        try setOption(SOL_SOCKET, SO_SNDBUF, Int32(clamping: send))
        try setOption(SOL_SOCKET, SO_RCVBUF, Int32(clamping: receive))
    }

    /// From now on calls that would wait throw `wouldBlock`.
    public func setNonBlocking() throws(IOError) {
        let number = descriptor
        var isOn: Int32 = 1
        _ = try SystemCall.run(.socketOption, address) { ioctl(number, UInt(FIONBIO), &isOn) }
    }

    // MARK: Bytes

    /// Sends all of `slice`.
    /// - Parameter moreFollows: the kernel may keep the last bytes back for the next call's (MSG_MORE).
    public func send(_ slice: BufferSlice, moreFollows: Bool = false) throws(IOError) {
        let flags = Int32(MSG_NOSIGNAL) | (moreFollows ? Int32(MSG_MORE) : 0)
        let start = slice.buffer.base + slice.range.lowerBound
        let number = descriptor
        var sent = 0
        while sent < slice.byteCount {
            sent += try SystemCall.run(.send, address) {
                Glibc.send(number, start + sent, slice.byteCount - sent, flags)
            }
        }
    }

    /// Waits for bytes and puts what has come, at most the range, into `buffer`.
    /// - Returns: the number of bytes; 0 when the peer has finished sending.
    public func receive(into buffer: IOBuffer, _ range: Range<Int>) throws(IOError) -> Int {
        invariant(
            range.lowerBound >= 0 && range.upperBound <= buffer.byteCount,
            "receive into \(range) of a buffer of \(buffer.byteCount) bytes")
        let number = descriptor
        return try SystemCall.run(.receive, address) {
            recv(number, buffer.base + range.lowerBound, range.count, 0)
        }
    }

    /// Sends `byteCount` bytes of `file` from `position` on, without copying them through the process
    /// (sendfile).
    /// - Returns: the bytes sent: fewer than asked only where the file ends, or, on a non-blocking socket,
    ///   where the kernel's buffer was full.
    public func sendFile(from file: any File, position: Int64, byteCount: Int) throws(IOError) -> Int {
        guard let file = file as? PosixFile else {
            invariantFailed("\(file.path) is not a file of the kernel's, which alone it can send")
        }
        let (target, source) = (descriptor, file.descriptor)
        var sent = 0
        while sent < byteCount {
            var place = off_t(position) + sent
            do {
                let count = try SystemCall.run(.sendfile, address) {
                    sendfile(target, source, &place, byteCount - sent)
                }
                if count == 0 { break }
                sent += count
            } catch {
                if error.errno == .wouldBlock && sent > 0 { break }
                throw error
            }
        }
        return sent
    }
}
