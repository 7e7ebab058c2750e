internal import CZstd

/// Reads Zstandard frames, one or several after each other.
final class ZstdDecoder {
    /// The largest window that a frame may ask for, as a power of two: 128 MiB, the library's and Kafka's
    /// default. It bounds what the library allocates; pages that are not used are not touched.
    private static let maximumWindowLog: Int32 = 27
    /// A frame that states its content size may have that much made ready at once in relation to its own
    /// size; more has to arrive first.
    private static let trustedRatio = 64
    private let context: OpaquePointer

    /// Nil when there is not enough memory.
    init?() {
        guard let made = ZSTD_createDCtx() else { return nil }
        context = made
        ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, Self.maximumWindowLog)
    }

    deinit { ZSTD_freeDCtx(context) }

    func decode(_ input: UnsafeRawBufferPointer, into output: ScratchBuffer) throws(DecoderFailure) {
        ZSTD_DCtx_reset(context, ZSTD_reset_session_only)
        try prepare(input, output)
        var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
        while true {
            let room = output.room()
            var destination = ZSTD_outBuffer(dst: room.baseAddress, size: room.count, pos: 0)
            let hint = ZSTD_decompressStream(context, &destination, &source)
            if !output.collected(destination.pos) { throw .tooLarge }
            if ZSTD_isError(hint) != 0 { throw .defect(Self.defect(hint)) }
            if hint == 0 && source.pos == source.size { return }
            if source.pos == source.size && destination.pos < destination.size { throw .defect(.truncated) }
        }
    }

    /// Compares the content size, where the frame states one, with the bound, and makes room for it, by which
    /// the library can decompress in one pass and without a window of its own.
    private func prepare(_ input: UnsafeRawBufferPointer, _ output: ScratchBuffer) throws(DecoderFailure) {
        let stated = ZSTD_getFrameContentSize(input.baseAddress, input.count)
        // The two highest values mean that the size is not stated, or not readable.
        if stated >= UInt64.max - 1 { return }
        if stated > UInt64(Int.max) || !output.allows(Int(stated)) { throw .tooLarge }
        let trusted = min(Int(stated), input.count * Self.trustedRatio)
        output.reserve(trusted)
    }

    private static func defect(_ code: Int) -> DecompressionDefect {
        switch ZSTD_getErrorCode(code) {
        case ZSTD_error_memory_allocation: .outOfMemory
        case ZSTD_error_frameParameter_windowTooLarge: .windowTooLarge
        default: .corrupt
        }
    }
}

/// Writes one Zstandard frame that states its content size.
final class ZstdEncoder {
    private let context: OpaquePointer

    /// Nil when there is not enough memory.
    init?() {
        guard let made = ZSTD_createCCtx() else { return nil }
        context = made
    }

    deinit { ZSTD_freeCCtx(context) }

    /// - Parameter level: the library's, -131072 (fastest) to 22.
    func encode(_ input: UnsafeRawBufferPointer, level: Int32, into output: ScratchBuffer)
        throws(EncoderFailure)
    {
        ZSTD_CCtx_reset(context, ZSTD_reset_session_only)
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
        output.reserve(ZSTD_compressBound(input.count))
        let room = output.room()
        let written = ZSTD_compress2(context, room.baseAddress, room.count, input.baseAddress, input.count)
        if ZSTD_isError(written) != 0 {
            throw ZSTD_getErrorCode(written) == ZSTD_error_memory_allocation ? .outOfMemory : .refused
        }
        _ = output.collected(written)
    }
}
