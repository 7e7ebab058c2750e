// Snappy as Kafka's Java clients write it (xerial framing), big endian:
//
//   offset size field          meaning
//        0    8 magic          0x82 "SNAPPY" 0x00
//        8    4 version        1
//       12    4 compatible     oldest version that can read it: 1
//       16      blocks         each: 4 bytes length, then that many bytes of a raw snappy block
//
// Other clients (librdkafka among them) send one raw snappy block without a frame; what does not begin with
// the magic is read as that. Streams may be joined: where a block's length is due, the header may stand
// again.

internal import CSnappy

/// Reads and writes snappy in Kafka's framing; also reads a raw snappy block.
enum SnappyFraming {
    static let magic: [UInt8] = [0x82, 0x53, 0x4E, 0x41, 0x50, 0x50, 0x59, 0x00]
    static let headerByteCount = 16
    /// How much goes into one block: what Kafka's Java library takes by default.
    static let blockByteCount = 32 * 1024
    /// No snappy element makes more than 64 bytes out of 3, so a block that promises more lies.
    private static let maximumRatio = 22

    // MARK: - Reading

    static func decode(_ input: UnsafeRawBufferPointer, into output: ScratchBuffer) throws(DecoderFailure) {
        if !hasHeader(input, at: 0) { return try decodeBlock(input, into: output) }
        var position = headerByteCount
        while position < input.count {
            if hasHeader(input, at: position) {
                position += headerByteCount
                continue
            }
            if input.count - position < 4 { throw .defect(.truncated) }
            let length = Int(Int32(bigEndian: input.loadUnaligned(fromByteOffset: position, as: Int32.self)))
            position += 4
            if length < 0 { throw .defect(.corrupt) }
            if input.count - position < length { throw .defect(.truncated) }
            try decodeBlock(
                UnsafeRawBufferPointer(rebasing: input[position..<(position + length)]), into: output)
            position += length
        }
    }

    private static func hasHeader(_ input: UnsafeRawBufferPointer, at position: Int) -> Bool {
        if input.count - position < headerByteCount { return false }
        return input.loadUnaligned(fromByteOffset: position, as: UInt64.self).bigEndian
            == 0x8253_4E41_5050_5900
    }

    private static func decodeBlock(
        _ block: UnsafeRawBufferPointer, into output: ScratchBuffer
    ) throws(DecoderFailure) {
        guard let start = block.baseAddress?.assumingMemoryBound(to: CChar.self), !block.isEmpty else {
            throw .defect(.truncated)
        }
        var length = 0
        if snappy_uncompressed_length(start, block.count, &length) != SNAPPY_OK { throw .defect(.corrupt) }
        if !output.allows(length) { throw .tooLarge }
        if length > block.count * maximumRatio { throw .defect(.corrupt) }
        output.reserve(length)
        let destination = output.room().baseAddress?.assumingMemoryBound(to: CChar.self)
        if snappy_uncompress(start, block.count, destination, &length) != SNAPPY_OK {
            throw .defect(.corrupt)
        }
        if !output.collected(length) { throw .tooLarge }
    }

    // MARK: - Writing

    static func encode(_ input: UnsafeRawBufferPointer, into output: ScratchBuffer) throws(EncoderFailure) {
        let blocks = (input.count + blockByteCount - 1) / blockByteCount
        let bound = headerByteCount + blocks * (4 + snappy_max_compressed_length(blockByteCount))
        output.reserve(bound)
        let room = output.room()
        room.copyBytes(from: magic)
        room.storeBytes(of: UInt32(1).bigEndian, toByteOffset: 8, as: UInt32.self)
        room.storeBytes(of: UInt32(1).bigEndian, toByteOffset: 12, as: UInt32.self)
        var written = headerByteCount
        var position = 0
        while position < input.count {
            let end = min(position + blockByteCount, input.count)
            let block = UnsafeRawBufferPointer(rebasing: input[position..<end])
            let rest = UnsafeMutableRawBufferPointer(rebasing: room[(written + 4)...])
            guard let source = block.baseAddress?.assumingMemoryBound(to: CChar.self),
                let destination = rest.baseAddress?.assumingMemoryBound(to: CChar.self)
            else { throw .refused }
            var length = rest.count
            if snappy_compress(source, block.count, destination, &length) != SNAPPY_OK { throw .refused }
            room.storeBytes(of: Int32(length).bigEndian, toByteOffset: written, as: Int32.self)
            written += 4 + length
            position = end
        }
        _ = output.collected(written)
    }
}
