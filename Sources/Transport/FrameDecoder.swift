internal import Base
internal import SystemIO

/// Finds the frames in a stream of bytes: four bytes of length, the highest first, then so many bytes.
///
/// Holds the bytes of a length that is not whole, and the frame that is being received into memory of its
/// own. Looks only at lengths, and copies nothing but what it is told to.
struct FrameDecoder {
    /// What comes next in a range of bytes.
    enum Step: Equatable {
        /// All bytes were looked at; more are needed.
        case needsBytes
        /// A whole frame lies at `range`; the next begins behind it.
        case frame(range: Range<Int>)
        /// A frame of `byteCount` bytes begins at `position` and does not end in these bytes.
        case partial(position: Int, byteCount: Int)
        /// The length is negative or more than allowed.
        case badLength(Int32)
    }

    let maximumByteCount: Int
    private var headerByteCount = 0
    private var header: UInt32 = 0
    /// The length of the frame that comes, once it is known and until the frame is taken.
    private(set) var frameByteCount: Int?

    init(maximumByteCount: Int) { self.maximumByteCount = min(maximumByteCount, Int(Int32.max)) }

    /// Whether the beginning of a length was seen, or a length and not its frame.
    var isWithinFrame: Bool { headerByteCount > 0 || frameByteCount != nil }

    /// Looks at the bytes of `buffer` from `position` on.
    mutating func next(_ buffer: IOBuffer, _ position: inout Int, end: Int) -> Step {
        if frameByteCount == nil {
            if headerByteCount == 0 && end - position >= 4 {
                header = buffer.bigEndianUInt32(at: position)
                position += 4
            } else {
                while headerByteCount < 4 && position < end {
                    header = header << 8 | UInt32(buffer.byte(at: position))
                    headerByteCount += 1
                    position += 1
                }
                if headerByteCount < 4 { return .needsBytes }
                headerByteCount = 0
            }
            let length = Int32(bitPattern: header)
            if length < 0 || Int(length) > maximumByteCount { return .badLength(length) }
            frameByteCount = Int(length)
        }
        guard let byteCount = frameByteCount else { return .needsBytes }
        if end - position >= byteCount {
            let start = position
            position += byteCount
            frameByteCount = nil
            return .frame(range: start..<position)
        }
        return .partial(position: position, byteCount: byteCount)
    }

    /// The frame that was begun has been received some other way.
    mutating func finishFrame() { frameByteCount = nil }
}
