public import SystemIO

/// Why a connection ended.
public enum CloseReason: Sendable, Equatable, CustomStringConvertible {
    case peerFinished
    case failed(Errno)
    /// The owner asked for it, with words for the log.
    case requested(String)
    case idle
    /// A frame was begun and not finished in time.
    case frameTooSlow
    /// The peer did not take what waited to be sent.
    case stalled
    /// A frame of more bytes than allowed, or of a negative number of them, was announced.
    case badLength(Int32)
    /// A file that was being sent is shorter than it was.
    case shortFile(String)
    case http
    case tlsNotConfigured
    case shutdown
    /// A connection that the process began did not come about in time.
    case connectTimedOut

    public var description: String {
        switch self {
        case .peerFinished: "the peer has finished"
        case .failed(let error): error.description
        case .requested(let words): words
        case .idle: "idle for too long"
        case .frameTooSlow: "a frame was begun and not finished in time"
        case .stalled: "the peer does not take what is sent"
        case .badLength(let length): "a frame of \(length) bytes was announced"
        case .shortFile(let path): "\(path) is shorter than what was to be sent of it"
        case .http: "HTTP was answered"
        case .tlsNotConfigured: "the peer speaks TLS, which this listener does not"
        case .shutdown: "shutdown"
        case .connectTimedOut: "no connection in time"
        }
    }
}

/// What stands above the transport: takes the frames that come in at a listener. One object for each lane;
/// all calls come on that lane's thread.
public protocol FrameHandler: AnyObject {
    /// The first bytes of a connection have shown that it speaks in frames.
    func connectionOpened(_ connection: Connection)

    /// A whole frame, without its length. Its bytes stay as they are for as long as somebody holds the slice;
    /// who holds it for long holds memory that other requests need.
    /// - Parameter ticket: to be completed exactly once, now or later.
    func frameArrived(_ frame: BufferSlice, _ ticket: ResponseTicket)

    /// No more frames come, and tickets that are not completed need not be. Called once for each opened
    /// connection.
    func connectionClosed(_ connection: Connection, _ reason: CloseReason)
}

/// Takes over connections whose first bytes are HTTP.
public protocol HTTPHandler: AnyObject, Sendable {
    /// Called on a lane. Nothing of what the peer has sent was taken off the socket, which does not block.
    /// - Parameter listener: the name of the listener that it came in at.
    func adopt(_ socket: Socket, listener: String)
}

/// What the first four bytes of a connection say about it.
enum FirstBytes {
    case frames, http, tls, tooFew

    /// - Parameters:
    ///   - bytes: the first in the highest byte.
    ///   - count: how many of them there are.
    static func classify(_ bytes: UInt32, count: Int) -> FirstBytes {
        // What fewer bytes than four rule out need not be waited for: only methods and TLS begin like this.
        if count < 4 {
            let first = UInt8(truncatingIfNeeded: bytes >> 24)
            return first == 0x16 || methods.contains { UInt8($0 >> 24) == first } ? .tooFew : .frames
        }
        if methods.contains(bytes) { return .http }
        // A handshake record of TLS 1.x or SSL 3: as a length of a first frame it would be 352 MiB.
        return bytes >> 16 == 0x1603 ? .tls : .frames
    }

    /// `GET `, `HEAD`, `POST`, `PUT `, `DELE`TE, `OPTI`ONS, `PATC`H, `TRAC`E, `CONN`ECT, and `PRI ` of
    /// HTTP/2. As lengths of frames they would all be more than a gigabyte.
    private static let methods: [UInt32] = [
        0x4745_5420, 0x4845_4144, 0x504F_5354, 0x5055_5420, 0x4445_4C45, 0x4F50_5449, 0x5041_5443,
        0x5452_4143, 0x434F_4E4E, 0x5052_4920,
    ]
}
