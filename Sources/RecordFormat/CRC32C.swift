internal import Base
internal import CShims

/// CRC-32C (Castagnoli), the checksum of record batches, by the best instructions of the processor.
public enum CRC32C {
    /// The checksum of `bytes`; 0 for none.
    public static func checksum(_ bytes: RawSpan) -> UInt32 { extended(0, with: bytes) }

    /// The checksum of what `checksum` covers, followed by `bytes`.
    public static func extended(_ checksum: UInt32, with bytes: RawSpan) -> UInt32 {
        bytes.withUnsafeBytes { dmq_crc32c(checksum, $0.baseAddress, $0.count) }
    }

    /// The name of the routine in use: "avx512-vpclmulqdq", "sse4.2", "armv8-crc" or "table".
    public static var routineName: String { String(cString: dmq_crc32c_routine()) }

    /// The names of all routines that this processor can run, the portable table first and the one in use
    /// last.
    public static var routineNames: [String] {
        (0..<dmq_crc32c_routine_count()).map { String(cString: dmq_crc32c_routine_name($0)) }
    }

    /// `checksum` by the routine at `index` of `routineNames`, for tests and measurements.
    public static func checksum(_ bytes: RawSpan, routine index: Int) -> UInt32 {
        invariant(index >= 0 && index < Int(dmq_crc32c_routine_count()), "there is no routine \(index)")
        return bytes.withUnsafeBytes { dmq_crc32c_by(Int32(index), 0, $0.baseAddress, $0.count) }
    }
}
