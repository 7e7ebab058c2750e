internal import CZlib

/// Reads gzip (RFC 1952): one member or several after each other, each with its checksum and length checked
/// by zlib.
final class GzipDecoder {
    /// Window bits of 15 and 16 more, which tells zlib to expect a gzip header.
    private static let gzipWindowBits: Int32 = 15 + 16
    /// On the heap because zlib keeps a pointer to it.
    private let stream: UnsafeMutablePointer<z_stream>

    /// Nil when there is not enough memory.
    init?() {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let size = Int32(MemoryLayout<z_stream>.size)
        if inflateInit2_(stream, Self.gzipWindowBits, ZLIB_VERSION, size) != Z_OK {
            stream.deallocate()
            return nil
        }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    func decode(_ input: UnsafeRawBufferPointer, into output: ScratchBuffer) throws(DecoderFailure) {
        if input.count > UInt32.max { throw .tooLarge }
        inflateReset(stream)
        stream.pointee.next_in = UnsafeMutablePointer(
            mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = UInt32(input.count)
        while true {
            let room = output.room()
            let offered = UInt32(min(room.count, Int(UInt32.max)))
            stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
            stream.pointee.avail_out = offered
            let status = inflate(stream, Z_NO_FLUSH)
            if !output.collected(Int(offered - stream.pointee.avail_out)) { throw .tooLarge }
            switch status {
            case Z_OK, Z_BUF_ERROR:
                if stream.pointee.avail_in == 0 && stream.pointee.avail_out > 0 { throw .defect(.truncated) }
            case Z_STREAM_END:
                if stream.pointee.avail_in == 0 { return }
                inflateReset(stream)
            case Z_MEM_ERROR: throw .defect(.outOfMemory)
            default: throw .defect(.corrupt)
            }
        }
    }
}

/// Writes gzip with a plain header, in one piece.
final class GzipEncoder {
    private static let gzipWindowBits: Int32 = 15 + 16
    private static let memoryLevel: Int32 = 8 // zlib's default
    private let stream: UnsafeMutablePointer<z_stream>
    private let level: Int32

    /// - Parameter level: 1 to 9, or -1 for zlib's default. Nil when there is not enough memory.
    init?(level: Int32) {
        self.level = level
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let size = Int32(MemoryLayout<z_stream>.size)
        let status = deflateInit2_(
            stream, level, Z_DEFLATED, Self.gzipWindowBits, Self.memoryLevel, Z_DEFAULT_STRATEGY,
            ZLIB_VERSION, size)
        if status != Z_OK {
            stream.deallocate()
            return nil
        }
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// Whether this encoder compresses at `level`.
    func isFor(level: Int32) -> Bool { self.level == level }

    func encode(_ input: UnsafeRawBufferPointer, into output: ScratchBuffer) throws(EncoderFailure) {
        deflateReset(stream)
        let bound = Int(deflateBound(stream, UInt(input.count)))
        guard input.count <= UInt32.max, bound <= UInt32.max else { throw .tooLarge }
        output.reserve(bound)
        let room = output.room()
        stream.pointee.next_in = UnsafeMutablePointer(
            mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = UInt32(input.count)
        stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let offered = UInt32(min(room.count, Int(UInt32.max)))
        stream.pointee.avail_out = offered
        if deflate(stream, Z_FINISH) != Z_STREAM_END { throw .refused }
        _ = output.collected(Int(offered - stream.pointee.avail_out))
    }
}
