// A record within a batch. All numbers but the first are variable-length and zigzag:
//
//   field           type     meaning
//   length          varint   bytes that follow this field
//   attributes      int8     unused
//   timestampDelta  varlong  timestamp - base timestamp of the batch
//   offsetDelta     varint   offset - base offset of the batch
//   keyLength       varint   -1: null, no key bytes follow
//   key
//   valueLength     varint   -1: null, no value bytes follow
//   value
//   headerCount     varint   headers that follow, each:
//     keyLength       varint   0 or more
//     key                      UTF-8
//     valueLength     varint   -1: null
//     value

/// Where the fields of one record lie within the bytes of a batch's records. Holds positions only.
struct RecordFields {
    /// Where the record ends and the next begins.
    var end = 0
    /// Where the bytes begin that the length field counts.
    var attributesPosition = 0
    var attributes: UInt8 = 0
    var timestampDelta: Int64 = 0
    var offsetDelta: Int32 = 0
    var keyStart = 0
    /// -1: no key.
    var keyByteCount = -1
    var valueStart = 0
    /// -1: no value.
    var valueByteCount = -1
    var headersStart = 0
    var headerCount: Int32 = 0

    /// Reads and checks the record that begins at `start`, headers included. Inlined, so that who wants few
    /// of the fields pays for few.
    @inline(__always)
    init(_ bytes: RawSpan, at start: Int) throws(RecordDefect) {
        var position = start
        let length = try VariableLength.int32(bytes, &position, bytes.byteCount)
        if length < 0 { throw .negativeLength(length) }
        if bytes.byteCount - position < Int(length) { throw .truncated }
        end = position + Int(length)
        if position == end { throw .truncated }
        attributesPosition = position
        attributes = bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
        position += 1
        timestampDelta = try VariableLength.int64(bytes, &position, end)
        offsetDelta = try VariableLength.int32(bytes, &position, end)
        (keyStart, keyByteCount) = try Self.field(bytes, &position, end)
        (valueStart, valueByteCount) = try Self.field(bytes, &position, end)
        headerCount = try VariableLength.int32(bytes, &position, end)
        headersStart = position
        // A header takes two bytes at least.
        if headerCount < 0 || Int(headerCount) > (end - position) / 2 { throw .headerCount(headerCount) }
        if headerCount > 0 { try Self.passHeaders(headerCount, bytes, &position, end) }
        if position != end { throw .trailingBytes(end - position) }
    }

    private static func passHeaders(
        _ count: Int32, _ bytes: RawSpan, _ position: inout Int, _ end: Int
    ) throws(RecordDefect) {
        // Not a loop over a range, which allocates in debug builds: tests of allocations run in both.
        var remaining = count
        while remaining > 0 {
            remaining -= 1
            let (_, keyByteCount) = try field(bytes, &position, end)
            if keyByteCount < 0 { throw .negativeLength(Int32(keyByteCount)) }
            _ = try field(bytes, &position, end)
        }
    }

    /// Reads a length and passes over that many bytes. Returns where they begin and how many; -1 for null.
    @inline(__always)
    static func field(
        _ bytes: RawSpan, _ position: inout Int, _ end: Int
    ) throws(RecordDefect) -> (start: Int, byteCount: Int) {
        let length = try VariableLength.int32(bytes, &position, end)
        if length < 0 {
            if length < -1 { throw .negativeLength(length) }
            return (position, -1)
        }
        if end - position < Int(length) { throw .truncated }
        let start = position
        position += Int(length)
        return (start, Int(length))
    }
}

/// Variable-length numbers of records, from bytes up to `end`, which must lie within the span.
enum VariableLength {
    @inline(__always)
    static func int32(_ bytes: RawSpan, _ position: inout Int, _ end: Int) throws(RecordDefect) -> Int32 {
        if let short = short(bytes, &position, end) {
            return Int32(bitPattern: short >> 1) ^ -Int32(bitPattern: short & 1)
        }
        let value = try unsigned(bytes, &position, end, byteCount: 5)
        if value > UInt64(UInt32.max) { throw .overlongNumber }
        let narrow = UInt32(truncatingIfNeeded: value)
        return Int32(bitPattern: narrow >> 1) ^ -Int32(bitPattern: narrow & 1)
    }

    @inline(__always)
    static func int64(_ bytes: RawSpan, _ position: inout Int, _ end: Int) throws(RecordDefect) -> Int64 {
        if let short = short(bytes, &position, end) {
            return Int64(short >> 1) ^ -Int64(short & 1)
        }
        let value = try unsigned(bytes, &position, end, byteCount: 10)
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    /// A number of one or two bytes, as nearly all are; nil leaves the rest to `unsigned`.
    @inline(__always)
    private static func short(_ bytes: RawSpan, _ position: inout Int, _ end: Int) -> UInt32? {
        guard position < end else { return nil }
        let first = UInt32(bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self))
        if first < 0x80 {
            position += 1
            return first
        }
        guard end - position > 1 else { return nil }
        let second = UInt32(bytes.unsafeLoad(fromUncheckedByteOffset: position + 1, as: UInt8.self))
        if second >= 0x80 { return nil }
        position += 2
        return first & 0x7F | second << 7
    }

    private static func unsigned(
        _ bytes: RawSpan, _ position: inout Int, _ end: Int, byteCount: Int
    ) throws(RecordDefect) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        let last = position + byteCount
        while position < last {
            if position >= end { throw .truncated }
            let byte = bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
            position += 1
            // The tenth byte has room for one bit only.
            if shift == 63 && byte > 1 { throw .overlongNumber }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        throw .overlongNumber
    }
}
