internal import CLZ4

/// Reads one LZ4 frame: linked or independent blocks of any size, with or without content size and checksums,
/// which the library verifies. Bytes after the frame are refused: Kafka would not see them.
final class LZ4Decoder {
    private let context: OpaquePointer

    /// Nil when there is not enough memory.
    init?() {
        var made: OpaquePointer?
        if LZ4F_isError(LZ4F_createDecompressionContext(&made, UInt32(LZ4F_VERSION))) != 0 { return nil }
        guard let made else { return nil }
        context = made
    }

    deinit { LZ4F_freeDecompressionContext(context) }

    func decode(_ input: UnsafeRawBufferPointer, into output: ScratchBuffer) throws(DecoderFailure) {
        guard let start = input.baseAddress, !input.isEmpty else { throw .defect(.truncated) }
        LZ4F_resetDecompressionContext(context)
        var position = try readFrameHeader(input, start, output)
        while true {
            let room = output.room()
            var written = room.count
            var consumed = input.count - position
            let hint = LZ4F_decompress(context, room.baseAddress, &written, start + position, &consumed, nil)
            if LZ4F_isError(hint) != 0 { throw .defect(.corrupt) }
            position += consumed
            if !output.collected(written) { throw .tooLarge }
            if hint == 0 {
                if position < input.count { throw .defect(.trailingBytes) }
                return
            }
            if position == input.count && written < room.count { throw .defect(.truncated) }
            if consumed == 0 && written == 0 { throw .defect(.corrupt) }
        }
    }

    /// Compares the content size, where the frame states one, with the bound. Returns where the blocks begin.
    private func readFrameHeader(
        _ input: UnsafeRawBufferPointer, _ start: UnsafeRawPointer, _ output: ScratchBuffer
    ) throws(DecoderFailure) -> Int {
        let headerSize = LZ4F_headerSize(start, input.count)
        if LZ4F_isError(headerSize) != 0 {
            throw .defect(input.count < Int(LZ4F_HEADER_SIZE_MIN) ? .truncated : .corrupt)
        }
        if headerSize > input.count { throw .defect(.truncated) }
        var frame = LZ4F_frameInfo_t()
        var consumed = input.count
        if LZ4F_isError(LZ4F_getFrameInfo(context, &frame, start, &consumed)) != 0 { throw .defect(.corrupt) }
        if frame.contentSize > UInt64(Int.max) || !output.allows(Int(frame.contentSize)) { throw .tooLarge }
        return consumed
    }
}

/// Writes one LZ4 frame of independent blocks of 64 KiB without checksums, which is what Kafka writes and the
/// only kind that its Java reader takes.
final class LZ4Encoder {
    private let context: OpaquePointer

    /// Nil when there is not enough memory.
    init?() {
        var made: OpaquePointer?
        if LZ4F_isError(LZ4F_createCompressionContext(&made, UInt32(LZ4F_VERSION))) != 0 { return nil }
        guard let made else { return nil }
        context = made
    }

    deinit { LZ4F_freeCompressionContext(context) }

    /// What Kafka calls level 9 and has as the default is LZ4's fast way, not the ninth of its thorough ones.
    private static let kafkaFastLevel: Int32 = 9
    private static let fastLevel: Int32 = 0

    /// - Parameter level: 1 to 17, as Kafka counts them; but for 9 the library's own, thorough from 3 on.
    func encode(_ input: UnsafeRawBufferPointer, level: Int32, into output: ScratchBuffer)
        throws(EncoderFailure)
    {
        var preferences = LZ4F_preferences_t()
        preferences.frameInfo.blockSizeID = LZ4F_max64KB
        preferences.frameInfo.blockMode = LZ4F_blockIndependent
        preferences.compressionLevel = level == Self.kafkaFastLevel ? Self.fastLevel : level
        let bound = Int(LZ4F_HEADER_SIZE_MAX) + LZ4F_compressBound(input.count, &preferences)
        output.reserve(bound)
        let room = output.room()
        guard let destination = room.baseAddress else { throw .outOfMemory }
        var written = 0
        for step in 0..<3 {
            let rest = room.count - written
            let count =
                switch step {
                case 0: LZ4F_compressBegin(context, destination, rest, &preferences)
                case 1:
                    LZ4F_compressUpdate(
                        context, destination + written, rest, input.baseAddress, input.count, nil)
                default: LZ4F_compressEnd(context, destination + written, rest, nil)
                }
            if LZ4F_isError(count) != 0 { throw .refused }
            written += count
        }
        _ = output.collected(written)
    }
}
