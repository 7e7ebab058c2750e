internal import Base
internal import CLiburing
internal import CLinux
internal import Glibc

/// A TCP socket on the loopback interface. Closed with the last reference.
///
/// Calls block, unless `setNonBlocking` was called: then those that would block throw `wouldBlock`. Any
/// thread may call; one that sends and one that receives do not disturb each other.
public final class Socket: Sendable {
    private let owned: OwnedDescriptor
    /// What errors name: `127.0.0.1:9092`.
    public let address: String

    private init(_ descriptor: consuming OwnedDescriptor, address: String) {
        owned = descriptor
        self.address = address
    }

    /// The kernel's number, valid for as long as this object lives.
    public var descriptor: Int32 { owned.rawValue }

    /// Writing to a socket whose peer is gone must be an error (EPIPE), not the end of the process. send has
    /// a flag for it, sendfile has not, so the signal is ignored once a socket exists.
    private static let ignoreBrokenPipes: Void = {
        _ = signal(SIGPIPE, SIG_IGN)
    }()

    private static func open(_ address: String) throws(IOError) -> OwnedDescriptor {
        _ = ignoreBrokenPipes
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        return OwnedDescriptor(taking: try SystemCall.run(.socket, address) { socket(AF_INET, kind, 0) })
    }

    private static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr = in_addr(s_addr: UInt32(0x7F00_0001).bigEndian)
        return address
    }

    private static func withGeneric<Result>(
        _ address: inout sockaddr_in, _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    // MARK: Coming and going

    /// Listens on the loopback interface.
    /// - Parameter port: 0 lets the kernel choose; see `port`.
    public static func listen(port: UInt16 = 0, backlog: Int = 128) throws(IOError) -> Socket {
        let name = "127.0.0.1:\(port)"
        let socket = Socket(try open(name), address: name)
        try socket.setOption(SOL_SOCKET, SO_REUSEADDR, 1)
        let number = socket.descriptor
        var address = loopback(port)
        _ = try SystemCall.run(.bind, name) { withGeneric(&address) { bind(number, $0, $1) } }
        _ = try SystemCall.run(.listen, name) { Glibc.listen(number, Int32(backlog)) }
        return socket
    }

    /// The port that the socket is bound to.
    public func port() throws(IOError) -> UInt16 {
        var address = sockaddr_in()
        let number = descriptor
        _ = try SystemCall.run(.socket, self.address) {
            Self.withGeneric(&address) { pointer, size in
                var length = size
                return getsockname(number, pointer, &length)
            }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    /// Waits for the next connection of a listening socket.
    public func accept() throws(IOError) -> Socket {
        let number = descriptor
        let taken = try SystemCall.run(.accept, address) {
            accept4(number, nil, nil, Int32(SOCK_CLOEXEC.rawValue))
        }
        return Socket(OwnedDescriptor(taking: taken), address: address)
    }

    /// Connects to a listener on the loopback interface.
    public static func connect(port: UInt16) throws(IOError) -> Socket {
        let name = "127.0.0.1:\(port)"
        let socket = Socket(try open(name), address: name)
        let number = socket.descriptor
        var address = loopback(port)
        let refusal = SystemCall.once { withGeneric(&address) { Glibc.connect(number, $0, $1) } }
        guard let refusal else { return socket }
        guard refusal == .interrupted else { throw IOError(.connect, name, refusal) }
        // An interrupted connect goes on in the kernel: wait for its end, and ask how it went.
        var wish = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
        _ = try SystemCall.run(.connect, name) { poll(&wish, 1, -1) }
        var status: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        _ = try SystemCall.run(.connect, name) { getsockopt(number, SOL_SOCKET, SO_ERROR, &status, &length) }
        if status != 0 { throw IOError(.connect, name, Errno(rawValue: status)) }
        return socket
    }

    /// Tells the peer that nothing more comes; receiving goes on.
    public func finishSending() throws(IOError) {
        let number = descriptor
        _ = try SystemCall.run(.send, address) { shutdown(number, Int32(SHUT_WR)) }
    }

    // MARK: Options

    private func setOption(_ level: Int32, _ option: Int32, _ value: Int32) throws(IOError) {
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
