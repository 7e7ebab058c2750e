internal import Base

/// Decompresses the records of batches, with a bound, into memory that is reused from batch to batch.
///
/// One per thread that reads compressed batches: not synchronised. In the steady state nothing is allocated:
/// the contexts of the codecs are made at first use and kept, and so is the output, which grows as bytes
/// arrive. What a compressed stream says about its size is only ever compared with the bound.
public final class Decompressor {
    /// What Kafka's clients and brokers together could never exceed by default is far below this (the default
    /// `message.max.bytes` is 1 MiB); it stops a batch of a few KiB from filling the memory.
    public static let defaultMaximumByteCount = 256 * 1024 * 1024

    /// How many bytes the records of one batch may take decompressed.
    public let maximumByteCount: Int

    private var scratch = ScratchBuffer()
    private var gzip: GzipDecoder?
    private var lz4: LZ4Decoder?
    private var zstd: ZstdDecoder?

    /// - Parameter maximumByteCount: bytes that the records of one batch may take decompressed.
    public init(maximumByteCount: Int = Decompressor.defaultMaximumByteCount) {
        invariant(
            maximumByteCount >= 0 && maximumByteCount < Int.max / 4, "a bound of \(maximumByteCount) bytes")
        self.maximumByteCount = maximumByteCount
    }

    /// Gives the memory back that a large batch made it hold.
    public func releaseMemory() { scratch = ScratchBuffer() }

    /// Decompresses `bytes` and hands the result to `body`, for tests and tools. `none` hands over `bytes`
    /// themselves.
    public func withDecompressed<Result>(
        _ bytes: RawSpan, codec: CompressionCodec, _ body: (RawSpan) throws(RecordBatchError) -> Result
    ) throws(RecordBatchError) -> Result {
        if codec == .none { return try body(bytes) }
        let output = try decompress(bytes, codec: codec)
        return try body(output.bytes)
    }

    /// Decompresses `bytes`. The result is not written to again for as long as the caller holds it.
    func decompress(_ bytes: RawSpan, codec: CompressionCodec) throws(RecordBatchError) -> ScratchBuffer {
        if !isKnownUniquelyReferenced(&scratch) { scratch = ScratchBuffer() }
        scratch.reset(maximumByteCount: maximumByteCount)
        do throws(DecoderFailure) {
            try bytes.withUnsafeBytes { (input) throws(DecoderFailure) in try run(codec, input) }
            return scratch
        } catch {
            switch error {
            case .tooLarge: throw .decompressedTooLarge(codec: codec, maximumByteCount: maximumByteCount)
            case .defect(let reason): throw .decompressionFailed(codec: codec, reason: reason)
            }
        }
    }

    private func run(_ codec: CompressionCodec, _ input: UnsafeRawBufferPointer) throws(DecoderFailure) {
        switch codec {
        case .none: try copy(input)
        case .gzip:
            if gzip == nil { gzip = GzipDecoder() }
            guard let gzip else { throw .defect(.outOfMemory) }
            try gzip.decode(input, into: scratch)
        case .snappy: try SnappyFraming.decode(input, into: scratch)
        case .lz4:
            if lz4 == nil { lz4 = LZ4Decoder() }
            guard let lz4 else { throw .defect(.outOfMemory) }
            try lz4.decode(input, into: scratch)
        case .zstd:
            if zstd == nil { zstd = ZstdDecoder() }
            guard let zstd else { throw .defect(.outOfMemory) }
            try zstd.decode(input, into: scratch)
        }
    }

    private func copy(_ input: UnsafeRawBufferPointer) throws(DecoderFailure) {
        if !scratch.allows(input.count) { throw .tooLarge }
        if input.isEmpty { return }
        scratch.reserve(input.count)
        scratch.room().copyMemory(from: input)
        _ = scratch.collected(input.count)
    }
}

/// Why a decoder stopped.
enum DecoderFailure: Error {
    /// The output passes the bound of its buffer.
    case tooLarge
    case defect(DecompressionDefect)
}
