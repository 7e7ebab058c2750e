internal import Base
internal import CLinux
internal import Glibc

/// The address of a host: IPv4, or IPv6 with its scope.
///
/// An IPv4 address that came in through an IPv6 socket (`::ffff:192.0.2.1`) is the IPv4 address: limits and
/// log lines know one host by one name.
public struct HostAddress: Hashable, Sendable, CustomStringConvertible {
    /// The 16 bytes of the IPv6 form, as two numbers.
    let high: UInt64
    let low: UInt64
    /// The number of the interface that a link-local address belongs to, else 0.
    let scope: UInt32

    init(high: UInt64, low: UInt64, scope: UInt32 = 0) {
        self.high = high
        self.low = low
        self.scope = scope
    }

    /// - Parameter ipv4: the four bytes as a number: `0x7F00_0001` is 127.0.0.1.
    public init(ipv4: UInt32) { self.init(high: 0, low: 0xFFFF_0000_0000 | UInt64(ipv4)) }

    public static let ipv4Loopback = HostAddress(ipv4: 0x7F00_0001)
    public static let ipv6Loopback = HostAddress(high: 0, low: 1)
    /// Every IPv4 address of the machine, for listeners.
    public static let anyIPv4 = HostAddress(ipv4: 0)
    /// Every address of the machine, IPv4 and IPv6, for listeners.
    public static let any = HostAddress(high: 0, low: 0)

    public var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }

    var ipv4: UInt32 { UInt32(truncatingIfNeeded: low) }

    /// Reads an address in numbers: `192.0.2.1`, `::1`, `[::1]`. Nil for names and anything else.
    public init?(_ text: String) {
        var text = text
        if text.hasPrefix("["), text.hasSuffix("]") { text = String(text.dropFirst().dropLast()) }
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            self.init(ipv4: UInt32(bigEndian: four.s_addr))
            return
        }
        var six = in6_addr()
        guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
        self.init(six, scope: 0)
    }

    init(_ six: in6_addr, scope: UInt32) {
        let halves = withUnsafeBytes(of: six) { bytes in
            (
                UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
        self.init(high: halves.0, low: halves.1, scope: scope)
    }

    var six: in6_addr {
        var result = in6_addr()
        withUnsafeMutableBytes(of: &result) { bytes in
            bytes.storeBytes(of: high.bigEndian, as: UInt64.self)
            bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
        return result
    }

    public var description: String {
        if isIPv4 {
            return "\(ipv4 >> 24).\(ipv4 >> 16 & 0xFF).\(ipv4 >> 8 & 0xFF).\(ipv4 & 0xFF)"
        }
        var source = six
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { room in
            guard let start = room.baseAddress,
                let text = inet_ntop(AF_INET6, &source, start, socklen_t(room.count))
            else { return "::" }
            return String(cString: text)
        }
    }
}

/// A host and a TCP port.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
    public let host: HostAddress
    public let port: UInt16

    public init(_ host: HostAddress, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// `127.0.0.1:9092` or `[::1]:9092`.
    public var description: String { host.isIPv4 ? "\(host):\(port)" : "[\(host)]:\(port)" }

    /// The addresses of a host by name or in numbers, in the order that the system prefers. An empty name
    /// stands for every address of this machine.
    ///
    /// Waits for name servers: not for a lane's thread.
    /// - Throws: `noSuchFile` when there is no such name.
    public static func resolve(host: String, port: UInt16) throws(IOError) -> [SocketAddress] {
        if host.isEmpty { return [SocketAddress(.any, port: port)] }
        if let address = HostAddress(host) { return [SocketAddress(address, port: port)] }
        var wish = addrinfo()
        wish.ai_family = AF_UNSPEC
        wish.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, nil, &wish, &found)
        guard status == 0 else { throw IOError(.resolve, host, .noSuchFile) }
        defer { freeaddrinfo(found) }
        var addresses: [SocketAddress] = []
        var next = found
        while let entry = next {
            next = entry.pointee.ai_next
            guard let generic = entry.pointee.ai_addr, let address = SocketAddress(generic, port: port),
                !addresses.contains(address)
            else { continue }
            addresses.append(address)
        }
        if addresses.isEmpty { throw IOError(.resolve, host, .noSuchFile) }
        return addresses
    }

    /// - Parameter port: used instead of the port in `generic` when not nil.
    init?(_ generic: UnsafePointer<sockaddr>, port: UInt16? = nil) {
        switch Int32(generic.pointee.sa_family) {
        case AF_INET:
            let four = UnsafeRawPointer(generic).loadUnaligned(as: sockaddr_in.self)
            self.init(
                HostAddress(ipv4: UInt32(bigEndian: four.sin_addr.s_addr)),
                port: port ?? UInt16(bigEndian: four.sin_port))
        case AF_INET6:
            let six = UnsafeRawPointer(generic).loadUnaligned(as: sockaddr_in6.self)
            self.init(
                HostAddress(six.sin6_addr, scope: six.sin6_scope_id),
                port: port ?? UInt16(bigEndian: six.sin6_port))
        default: return nil
        }
    }

    var family: Int32 { host.isIPv4 ? AF_INET : AF_INET6 }

    /// Calls `body` with the address as the kernel takes it.
    func withGeneric<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        if host.isIPv4 {
            var four = sockaddr_in()
            four.sin_family = sa_family_t(AF_INET)
            four.sin_port = port.bigEndian
            four.sin_addr = in_addr(s_addr: host.ipv4.bigEndian)
            return withUnsafeBytes(of: &four) { Self.rebound($0, body) }
        }
        var six = sockaddr_in6()
        six.sin6_family = sa_family_t(AF_INET6)
        six.sin6_port = port.bigEndian
        six.sin6_addr = host.six
        six.sin6_scope_id = host.scope
        return withUnsafeBytes(of: &six) { Self.rebound($0, body) }
    }

    private static func rebound<Result>(
        _ bytes: UnsafeRawBufferPointer, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        guard let start = bytes.baseAddress else { invariantFailed("an address without bytes") }
        return body(start.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
    }

    /// Calls `body` with room for an address that the kernel fills in.
    /// - Returns: the address and what `body` returned; no address when it is of another family.
    static func filled<Result>(
        _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Result
    ) -> (SocketAddress?, Result) {
        var room = sockaddr_storage()
        return withUnsafeMutablePointer(to: &room) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
                let result = body(generic, &length)
                return (SocketAddress(generic), result)
            }
        }
    }
}
