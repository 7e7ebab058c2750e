internal import Base
public import SystemIO

/// Bytes of a file that are sent from where they lie. The file stays open until they are sent.
public struct FileRegion: Sendable {
    public let file: any File
    /// The first byte in the file.
    public let position: Int64
    public let byteCount: Int

    public init(_ file: any File, position: Int64, byteCount: Int) {
        invariant(position >= 0 && byteCount >= 0, "\(byteCount) bytes from \(position) of \(file.path)")
        self.file = file
        self.position = position
        self.byteCount = byteCount
    }
}

/// A part of what is sent.
public enum OutboundPiece: Sendable {
    /// Must not change until it is sent.
    case bytes(BufferSlice)
    case file(FileRegion)

    public var byteCount: Int {
        switch self {
        case .bytes(let slice): slice.byteCount
        case .file(let region): region.byteCount
        }
    }
}

/// The body of one frame on its way out: pieces in their order. The four bytes of its length are not part of
/// it; the connection writes them.
///
/// A payload of one slice of bytes needs no memory of its own.
public struct OutboundPayload: Sendable {
    private(set) var first: OutboundPiece?
    private(set) var rest: [OutboundPiece] = []
    /// Of all pieces.
    public private(set) var byteCount = 0

    public init() {}

    public init(_ bytes: BufferSlice) { append(.bytes(bytes)) }

    /// Adds a piece behind the others; an empty one is left out.
    public mutating func append(_ piece: OutboundPiece) {
        if piece.byteCount == 0 { return }
        byteCount += piece.byteCount
        if first == nil { first = piece } else { rest.append(piece) }
    }

    /// Adds bytes behind the others, which must not change until they are sent.
    public mutating func append(_ bytes: BufferSlice) { append(.bytes(bytes)) }

    /// Adds a part of a file behind the others.
    public mutating func append(_ region: FileRegion) { append(.file(region)) }

    /// The only piece, when it is bytes.
    var onlyBytes: BufferSlice? {
        guard rest.isEmpty, case .bytes(let slice) = first else { return nil }
        return slice
    }
}

/// Memory for small things on their way out, handed out one after the other and used again when all of it
/// was sent.
struct OutboundArena {
    private let pool: BufferPool
    private var current: IOBuffer?
    private var filled = 0
    static let bufferByteCount = 64 << 10
    /// What is larger gets memory of its own, so that little is lost at the end of a buffer.
    static let largestByteCount = 16 << 10

    init(pool: BufferPool) { self.pool = pool }

    /// Room for `byteCount` bytes, to be written now.
    mutating func take(_ byteCount: Int) -> BufferSlice {
        if byteCount > Self.largestByteCount { return BufferSlice(fresh(byteCount), 0..<byteCount) }
        if filled > 0 && isKnownUniquelyReferenced(&current) { filled = 0 }
        if let current, current.byteCount - filled >= byteCount {
            let slice = BufferSlice(current, filled..<(filled + byteCount))
            filled += byteCount
            return slice
        }
        let buffer = fresh(Self.bufferByteCount)
        current = buffer
        filled = byteCount
        return BufferSlice(buffer, 0..<byteCount)
    }

    private func fresh(_ byteCount: Int) -> IOBuffer {
        // A response cannot be put off: past the limit memory comes from the system, and the bound on what
        // waits to be sent holds back the requests.
        pool.take(byteCount: byteCount) ?? IOBuffer(byteCount: byteCount)
    }
}
