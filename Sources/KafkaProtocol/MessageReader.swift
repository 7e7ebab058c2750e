internal import RecordFormat

/// Reads the fields of one message of one version, in order, never past the end of the bytes.
///
/// Lengths are checked before anything is allocated: a list may not have more elements than the rest of the
/// bytes could hold, and all lists of a message together may not take more memory than `allowance` times the
/// size of the message.
public struct MessageReader: ~Escapable {
    /// Strings have at most this many bytes, in flexible versions too.
    static let maximumStringByteCount = Int(Int16.max)
    /// Memory for lists, in bytes per byte of the message. The leanest honest element, a one-letter string,
    /// takes two bytes and sixteen in memory; structures of many optional fields take up to 24 times theirs.
    static let allowanceFactor = 32
    /// Memory for lists that every message may have.
    static let smallestAllowance = 1 << 16
    /// Elements to make room for before the first was read.
    static let largestReservation = 256

    private let bytes: RawSpan
    private var next: Int
    private let message: StaticString
    /// The version of the message.
    public let version: Int16
    /// Whether the version has compact lengths and tagged fields.
    public let isFlexible: Bool
    private var allowance: Int
    /// Elements of lists that may still come.
    private var elementsLeft: Int
    private let maximumElementCount: Int

    /// - Parameter maximumElementCount: of all lists of the message together, unknown tagged fields included.
    /// - Throws: when the version is none of the message's.
    @_lifetime(copy bytes)
    init<Whole: Message>(
        _ type: Whole.Type, _ bytes: RawSpan, version: Int16, from position: Int,
        maximumElementCount: Int = .max
    ) throws(ProtocolError) {
        self.bytes = bytes
        next = position
        message = type.name
        self.version = version
        isFlexible = version >= type.firstFlexibleVersion
        allowance = max(Self.smallestAllowance, bytes.byteCount * Self.allowanceFactor)
        self.maximumElementCount = maximumElementCount
        elementsLeft = maximumElementCount
        if !type.versions.contains(version) {
            throw failure("", .unsupportedVersion(known: type.versions))
        }
        if position < 0 || position > bytes.byteCount {
            throw failure("", .underflow(have: bytes.byteCount, need: position))
        }
    }

    /// Reads a header, whose strings have lengths of two bytes in all versions.
    @_lifetime(copy bytes)
    init(header name: StaticString, _ bytes: RawSpan, version: Int16) throws(ProtocolError) {
        self.bytes = bytes
        next = 0
        message = name
        self.version = version
        isFlexible = false
        allowance = Self.smallestAllowance
        maximumElementCount = .max
        elementsLeft = .max
    }

    /// How many bytes were read, including those before the message.
    public var position: Int { next }

    /// Throws when bytes are left.
    func finish() throws(ProtocolError) {
        if next != bytes.byteCount { throw failure("", .trailingBytes(count: bytes.byteCount - next)) }
    }

    @inline(never)
    func failure(_ field: StaticString, _ reason: ProtocolError.Reason) -> ProtocolError {
        failure(field, reason, at: next)
    }

    // Where a value has been passed over that is refused, its position is given instead of set: release
    // builds of Swift 6.3 do not compile when a change of `next` stands before a use of the whole reader.
    @inline(never)
    private func failure(
        _ field: StaticString, _ reason: ProtocolError.Reason, at position: Int
    ) -> ProtocolError {
        ProtocolError(message: message, version: version, field: field, position: position, reason: reason)
    }

    @inline(never)
    private func underflow(_ field: StaticString, _ need: Int) -> ProtocolError {
        failure(field, .underflow(have: bytes.byteCount - next, need: need))
    }

    // MARK: - Numbers

    @inline(__always)
    private mutating func integer<Value: FixedWidthInteger & BitwiseCopyable>(
        _ field: StaticString
    ) throws(ProtocolError) -> Value {
        let width = MemoryLayout<Value>.size
        if bytes.byteCount - next < width { throw underflow(field, width) }
        let value = Value(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: next, as: Value.self))
        next += width
        return value
    }

    mutating func int8(_ field: StaticString) throws(ProtocolError) -> Int8 { try integer(field) }
    mutating func int16(_ field: StaticString) throws(ProtocolError) -> Int16 { try integer(field) }
    mutating func int32(_ field: StaticString) throws(ProtocolError) -> Int32 { try integer(field) }
    mutating func int64(_ field: StaticString) throws(ProtocolError) -> Int64 { try integer(field) }
    mutating func uint16(_ field: StaticString) throws(ProtocolError) -> UInt16 { try integer(field) }

    /// Any byte but zero is true, as Kafka reads it.
    mutating func bool(_ field: StaticString) throws(ProtocolError) -> Bool {
        let value: UInt8 = try integer(field)
        return value != 0
    }

    mutating func float64(_ field: StaticString) throws(ProtocolError) -> Double {
        Double(bitPattern: try integer(field))
    }

    mutating func uuid(_ field: StaticString) throws(ProtocolError) -> UniqueID {
        let high: UInt64 = try integer(field)
        let low: UInt64 = try integer(field)
        return UniqueID(high: high, low: low)
    }

    /// An unsigned number, seven bits a byte, the lowest first.
    mutating func unsignedVarint(_ field: StaticString) throws(ProtocolError) -> UInt32 {
        if next < bytes.byteCount {
            let byte = bytes.unsafeLoad(fromByteOffset: next, as: UInt8.self)
            if byte < 0x80 {
                next += 1
                return UInt32(byte)
            }
        }
        return try longVarint(field)
    }

    private mutating func longVarint(_ field: StaticString) throws(ProtocolError) -> UInt32 {
        var value: UInt64 = 0
        for index in 0..<5 {
            if next + index >= bytes.byteCount { throw underflow(field, bytes.byteCount - next + 1) }
            let byte = bytes.unsafeLoad(fromByteOffset: next + index, as: UInt8.self)
            value |= UInt64(byte & 0x7F) << UInt64(7 * index)
            if byte < 0x80 {
                guard let result = UInt32(exactly: value) else { break }
                next += index + 1
                return result
            }
        }
        throw failure(field, .overlongNumber)
    }

    // MARK: - Lengths

    private enum Width { case short, long }

    /// A length that is at most `maximum`; nil for null.
    private mutating func length(
        _ field: StaticString, _ width: Width, maximum: Int, mayBeNull: Bool
    ) throws(ProtocolError) -> Int? {
        let start = next
        let length: Int
        if isFlexible {
            length = Int(try unsignedVarint(field)) - 1
        } else {
            length = width == .short ? Int(try int16(field)) : Int(try int32(field))
        }
        if length >= 0 && length <= maximum { return length }
        if length == -1 && mayBeNull { return nil }
        throw failure(field, length == -1 ? .unexpectedNull : .invalidLength(length), at: start)
    }

    /// Passes over `count` bytes.
    ///
    /// - Returns: where they begin.
    private mutating func skip(_ count: Int, _ field: StaticString) throws(ProtocolError) -> Int {
        if bytes.byteCount - next < count { throw underflow(field, count) }
        let start = next
        next += count
        return start
    }

    // Spans are made and used up in functions of their own that change nothing: release builds of Swift 6.3
    // do not compile when a span of `bytes` lives on while `next` changes.

    /// The bytes of a range as text, nil when they are not UTF-8.
    @inline(never)
    private func text(_ range: Range<Int>) -> String? {
        guard let text = try? UTF8Span(validating: Span<UInt8>(_bytes: bytes.extracting(range))) else {
            return nil
        }
        return String(copying: text)
    }

    @inline(never)
    private func copy(_ range: Range<Int>) -> [UInt8] { Array(copying: bytes.extracting(range)) }

    // MARK: - Strings and bytes

    mutating func optionalString(
        _ field: StaticString, mayBeNull: Bool
    ) throws(ProtocolError) -> String? {
        let length = try length(
            field, .short, maximum: Self.maximumStringByteCount, mayBeNull: mayBeNull)
        guard let length else { return nil }
        if bytes.byteCount - next < length { throw underflow(field, length) }
        guard let text = text(next..<(next + length)) else { throw failure(field, .invalidUTF8) }
        next += length
        return text
    }

    mutating func string(_ field: StaticString) throws(ProtocolError) -> String {
        try optionalString(field, mayBeNull: false) ?? ""
    }

    mutating func optionalBytes(
        _ field: StaticString, mayBeNull: Bool
    ) throws(ProtocolError) -> [UInt8]? {
        let length = try length(field, .long, maximum: Int(Int32.max), mayBeNull: mayBeNull)
        guard let length else { return nil }
        let start = try skip(length, field)
        return copy(start..<next)
    }

    mutating func bytes(_ field: StaticString) throws(ProtocolError) -> [UInt8] {
        try optionalBytes(field, mayBeNull: false) ?? []
    }

    /// Not copied: only where they are.
    mutating func optionalRecords(
        _ field: StaticString, mayBeNull: Bool
    ) throws(ProtocolError) -> RecordBytes? {
        let length = try length(field, .long, maximum: Int(Int32.max), mayBeNull: mayBeNull)
        guard let length else { return nil }
        let start = try skip(length, field)
        return .external(position: start, byteCount: length)
    }

    mutating func records(_ field: StaticString) throws(ProtocolError) -> RecordBytes {
        try optionalRecords(field, mayBeNull: false) ?? .empty
    }

    // MARK: - Structures and lists

    mutating func structure<Structure: WireStructure>(
        _ field: StaticString
    ) throws(ProtocolError) -> Structure {
        try Structure(from: &self)
    }

    /// A structure after a byte that is 1, or -1 for null.
    mutating func optionalStructure<Structure: WireStructure>(
        _ field: StaticString, mayBeNull: Bool
    ) throws(ProtocolError) -> Structure? {
        if !mayBeNull { return try Structure(from: &self) }
        let start = next
        let presence = try int8(field)
        if presence == -1 { return nil }
        if presence != 1 {
            throw failure(field, .invalidPresence(presence), at: start)
        }
        return try Structure(from: &self)
    }

    /// The count of a list whose elements take at least `minimum` bytes each, and `stride` in memory.
    private mutating func count(
        _ field: StaticString, minimum: Int, stride: Int, mayBeNull: Bool
    ) throws(ProtocolError) -> Int? {
        let start = next
        guard let count = try length(field, .long, maximum: Int(Int32.max), mayBeNull: mayBeNull) else {
            return nil
        }
        if count > (bytes.byteCount - next) / max(minimum, 1) {
            throw failure(field, .impossibleCount(count), at: start)
        }
        elementsLeft -= count
        if elementsLeft < 0 {
            throw failure(field, .tooManyElementsInAll(maximumElementCount), at: start)
        }
        allowance -= count * stride
        if allowance < 0 {
            throw failure(field, .tooManyElements(count), at: start)
        }
        return count
    }

    mutating func optionalStructures<Element: WireStructure>(
        _ field: StaticString, mayBeNull: Bool
    ) throws(ProtocolError) -> [Element]? {
        let count = try count(
            field, minimum: Element.minimumByteCount, stride: MemoryLayout<Element>.stride,
            mayBeNull: mayBeNull)
        guard let count else { return nil }
        var result: [Element] = []
        result.reserveCapacity(min(count, Self.largestReservation))
        for _ in 0..<count { result.append(try Element(from: &self)) }
        return result
    }

    mutating func structures<Element: WireStructure>(_ field: StaticString) throws(ProtocolError) -> [Element]
    {
        try optionalStructures(field, mayBeNull: false) ?? []
    }

    mutating func optionalScalars<Element: WireScalar>(
        _ field: StaticString, mayBeNull: Bool
    ) throws(ProtocolError) -> [Element]? {
        let count = try count(
            field, minimum: Element.minimumByteCount, stride: MemoryLayout<Element>.stride,
            mayBeNull: mayBeNull)
        guard let count else { return nil }
        var result: [Element] = []
        result.reserveCapacity(min(count, Self.largestReservation))
        for _ in 0..<count { result.append(try Element(from: &self, field)) }
        return result
    }

    mutating func scalars<Element: WireScalar>(_ field: StaticString) throws(ProtocolError) -> [Element] {
        try optionalScalars(field, mayBeNull: false) ?? []
    }

    // MARK: - Tagged fields

    /// Where a reader is among the tagged fields of a structure.
    struct Tags {
        fileprivate var left: UInt32
        fileprivate var tag: UInt32 = 0
        fileprivate var isFirst = true
        fileprivate var byteCount = 0
        fileprivate var start = 0
    }

    mutating func beginTaggedFields() throws(ProtocolError) -> Tags {
        let count = try unsignedVarint("taggedFields")
        if Int(count) > (bytes.byteCount - next) / 2 {
            throw failure("taggedFields", .impossibleCount(Int(count)))
        }
        return Tags(left: count)
    }

    /// The next tag, nil after the last. Its value follows.
    mutating func nextTag(_ tags: inout Tags) throws(ProtocolError) -> UInt32? {
        if tags.left == 0 { return nil }
        tags.left -= 1
        let start = next
        let tag = try unsignedVarint("taggedFields")
        if !tags.isFirst && tag <= tags.tag {
            throw failure("taggedFields", .unorderedTag(tag), at: start)
        }
        (tags.tag, tags.isFirst) = (tag, false)
        let byteCount = Int(try unsignedVarint("taggedFields"))
        if byteCount > bytes.byteCount - next { throw underflow("taggedFields", byteCount) }
        tags.byteCount = byteCount
        tags.start = next
        return tag
    }

    /// After its value: throws unless it took as many bytes as it was to take.
    func endTag(_ tags: Tags) throws(ProtocolError) {
        if next - tags.start != tags.byteCount {
            throw failure(
                "taggedFields", .wrongTagByteCount(announced: tags.byteCount, taken: next - tags.start))
        }
    }

    /// The value of the present tag as bytes.
    mutating func unknownTaggedField(_ tags: Tags) throws(ProtocolError) -> UnknownTaggedField {
        allowance -= MemoryLayout<UnknownTaggedField>.stride
        if allowance < 0 { throw failure("taggedFields", .tooManyElements(1)) }
        elementsLeft -= 1
        if elementsLeft < 0 { throw failure("taggedFields", .tooManyElementsInAll(maximumElementCount)) }
        let start = try skip(tags.byteCount, "taggedFields")
        return UnknownTaggedField(tag: tags.tag, bytes: copy(start..<next))
    }

    /// All tagged fields of a structure that has none of its own.
    mutating func taggedFields() throws(ProtocolError) -> [UnknownTaggedField] {
        var tags = try beginTaggedFields()
        if tags.left == 0 { return [] }
        var result: [UnknownTaggedField] = []
        while try nextTag(&tags) != nil {
            result.append(try unknownTaggedField(tags))
            try endTag(tags)
        }
        return result
    }
}
