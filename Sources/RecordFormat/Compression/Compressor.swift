/// Why records could not be compressed.
public enum CompressionError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The codec has no such level; nil where it has none at all.
    case unknownLevel(codec: CompressionCodec, level: Int, allowed: ClosedRange<Int>?)
    /// More bytes than a batch can hold.
    case tooLarge(byteCount: Int)
    case outOfMemory
    /// The codec's library reported an error that its documentation does not foresee here.
    case refused(codec: CompressionCodec)

    public var description: String {
        switch self {
        case .unknownLevel(let codec, let level, let allowed?):
            "\(codec) has no compression level \(level): use \(allowed.lowerBound) to \(allowed.upperBound)"
        case .unknownLevel(let codec, let level, nil):
            "\(codec) has no compression levels, so not \(level) either"
        case .tooLarge(let count): "\(count) bytes of records are more than a batch can hold"
        case .outOfMemory: "there is not enough memory to compress a batch"
        case .refused(let codec): "the library for \(codec) could not compress a batch"
        }
    }
}

/// Why an encoder stopped.
enum EncoderFailure: Error {
    case tooLarge, outOfMemory, refused
}

extension CompressionCodec {
    /// The levels that the codec has, as Kafka's `compression.<codec>.level` allows them; nil where it has
    /// none.
    public var levels: ClosedRange<Int>? {
        switch self {
        case .none, .snappy: nil
        case .gzip: 1...9
        case .lz4: 1...17
        case .zstd: -131_072...22
        }
    }

    /// Kafka's default level; nil where the codec has none. Gzip's -1 is zlib's own choice, 6; LZ4's 9 is its
    /// fast way, not its ninth thorough one.
    public var defaultLevel: Int? {
        switch self {
        case .none, .snappy: nil
        case .gzip: -1
        case .lz4: 9
        case .zstd: 3
        }
    }
}

/// Compresses the records of batches. One per thread that writes them: not synchronised. The contexts of the
/// codecs are made at first use and kept, as is the memory for the output.
public final class Compressor {
    /// A batch's length is a signed 32-bit number that counts 49 bytes of header too.
    static let maximumByteCount = Int(Int32.max) - RecordBatchHeader.byteCount

    private let scratch = ScratchBuffer()
    private var gzip: GzipEncoder?
    private var lz4: LZ4Encoder?
    private var zstd: ZstdEncoder?

    public init() {}

    /// Appends `bytes`, compressed, to `writer`.
    ///
    /// - Parameter level: one of `codec.levels`, or nil for Kafka's default.
    public func compress(
        _ bytes: RawSpan, codec: CompressionCodec, level: Int? = nil, into writer: inout ByteWriter
    ) throws(CompressionError) {
        if codec == .none { return writer.write(bytes) }
        if let level, codec.levels?.contains(level) != true {
            throw .unknownLevel(codec: codec, level: level, allowed: codec.levels)
        }
        if bytes.byteCount > Self.maximumByteCount { throw .tooLarge(byteCount: bytes.byteCount) }
        scratch.reset(maximumByteCount: Int(Int32.max) * 2)
        let chosen = Int32(level ?? codec.defaultLevel ?? 0)
        do throws(EncoderFailure) {
            try bytes.withUnsafeBytes { (input) throws(EncoderFailure) in try run(codec, chosen, input) }
        } catch {
            switch error {
            case .tooLarge: throw .tooLarge(byteCount: bytes.byteCount)
            case .outOfMemory: throw .outOfMemory
            case .refused: throw .refused(codec: codec)
            }
        }
        let output = scratch
        writer.write(output.bytes)
    }

    private func run(
        _ codec: CompressionCodec, _ level: Int32, _ input: UnsafeRawBufferPointer
    ) throws(EncoderFailure) {
        switch codec {
        case .none: break
        case .gzip:
            if gzip?.isFor(level: level) != true { gzip = GzipEncoder(level: level) }
            guard let gzip else { throw .outOfMemory }
            try gzip.encode(input, into: scratch)
        case .snappy: try SnappyFraming.encode(input, into: scratch)
        case .lz4:
            if lz4 == nil { lz4 = LZ4Encoder() }
            guard let lz4 else { throw .outOfMemory }
            try lz4.encode(input, level: level, into: scratch)
        case .zstd:
            if zstd == nil { zstd = ZstdEncoder() }
            guard let zstd else { throw .outOfMemory }
            try zstd.encode(input, level: level, into: scratch)
        }
    }
}
