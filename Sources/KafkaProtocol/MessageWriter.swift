internal import Base
internal import RecordFormat

/// A place in what a `MessageWriter` wrote where bytes belong that it did not write.
public struct Splice: Hashable, Sendable {
    /// How many of the writer's own bytes stand before them.
    public let position: Int
    /// How many bytes belong there.
    public let byteCount: Int
    /// The number by which the caller finds them: the `position` of `RecordBytes.external`.
    public let token: Int
}

/// Writes frames and messages one after the other into memory that grows and can be used again.
///
/// Records that lie elsewhere are not copied: for each of them there is a `Splice`. What goes to the peer is
/// `span` from the start to the first splice's position, the bytes of that splice, `span` from there to the
/// next one, and so on. Lengths of frames count the spliced bytes.
public struct MessageWriter: Sendable {
    /// A length in front of a frame takes this many bytes.
    public static let lengthPrefixByteCount = 4

    // What was written, and behind it room for more: zeros, or what was written before `removeAll`.
    private var storage: [UInt8]
    private var end = 0
    /// Bytes to be put in between, by rising position.
    public private(set) var splices: [Splice] = []
    private var splicedByteCount = 0
    private var message: StaticString = ""
    /// The version of the message that is being written.
    public private(set) var version: Int16 = 0
    /// Whether that version has compact lengths and tagged fields.
    public private(set) var isFlexible = false

    /// - Parameter capacity: bytes to make room for at once.
    public init(capacity: Int = 0) { storage = [UInt8](repeating: 0, count: capacity) }

    /// The writer's own bytes, without the spliced ones.
    public var span: RawSpan {
        @_lifetime(borrow self)
        get { storage.span.bytes.extracting(0..<end) }
    }

    /// As `span`, as an array.
    public var bytes: [UInt8] { Array(storage[..<end]) }

    /// How many bytes there are with the spliced ones.
    public var totalByteCount: Int { end + splicedByteCount }

    /// Forgets what was written and keeps the room.
    public mutating func removeAll() {
        end = 0
        splices.removeAll(keepingCapacity: true)
        splicedByteCount = 0
    }

    /// Writes a message, without a header or a length. After an error nothing of it is left.
    ///
    /// - Throws: when the version is unknown or cannot carry a field.
    public mutating func write<Body: Message>(_ body: Body, version: Int16) throws(ProtocolError) {
        message = Body.name
        self.version = version
        isFlexible = Body.isFlexible(version)
        guard Body.versions.contains(version) else {
            throw failure("", .unsupportedVersion(known: Body.versions))
        }
        let (start, spliceCount, spliced) = (end, splices.count, splicedByteCount)
        do {
            try body.encode(to: &self)
        } catch {
            end = start
            splices.removeLast(splices.count - spliceCount)
            splicedByteCount = spliced
            throw error
        }
    }

    @inline(never)
    private func failure(_ field: StaticString, _ reason: ProtocolError.Reason) -> ProtocolError {
        ProtocolError(
            message: message, version: version, field: field, position: end, reason: reason)
    }

    /// The error for a value that the version has no place for.
    func cannotCarry(_ field: StaticString) -> ProtocolError { failure(field, .notInVersion) }

    // MARK: - Frames

    /// Strings in headers have lengths of two bytes in all versions.
    mutating func beginHeader(_ name: StaticString, version: Int16) {
        message = name
        self.version = version
        isFlexible = false
    }

    /// That no tagged field follows, whatever is being written.
    mutating func noTaggedFields() { append(0 as UInt8) }

    /// Leaves room for the length of a frame, and remembers where.
    public mutating func beginFrame() -> Frame {
        let frame = Frame(position: end, totalBefore: totalByteCount)
        append(Int32(0))
        return frame
    }

    /// Writes the length of everything since `beginFrame`, spliced bytes included.
    ///
    /// - Throws: when that is more than a length can say; then nothing of the frame is left.
    public mutating func endFrame(_ frame: Frame) throws(ProtocolError) {
        let byteCount = totalByteCount - frame.totalBefore - Self.lengthPrefixByteCount
        guard let length = Int32(exactly: byteCount) else {
            let error = failure("", .tooLarge(byteCount))
            cancelFrame(frame)
            throw error
        }
        store(length, at: frame.position)
    }

    /// Forgets everything since `beginFrame`.
    public mutating func cancelFrame(_ frame: Frame) {
        end = frame.position
        while let last = splices.last, last.position > frame.position {
            splices.removeLast()
            splicedByteCount -= last.byteCount
        }
    }

    /// A frame whose length is not written yet.
    public struct Frame: Sendable {
        fileprivate let position: Int
        fileprivate let totalBefore: Int
    }

    // MARK: - Storage

    private mutating func reserve(_ count: Int) {
        if storage.count - end < count { grow(count) }
    }

    /// At least doubles the room, so that what was written is copied seldom.
    @inline(never)
    private mutating func grow(_ count: Int) {
        let wanted = max(end + count, 2 * storage.count, Self.smallestCapacity)
        storage.append(contentsOf: repeatElement(0, count: wanted - storage.count))
    }

    private static let smallestCapacity = 256

    @inline(__always)
    private mutating func store<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value, at position: Int)
    {
        var span = storage.mutableSpan
        var bytes = span.mutableBytes
        bytes.storeBytes(of: value.bigEndian, toByteOffset: position, as: Value.self)
    }

    @inline(__always)
    private mutating func append<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) {
        let position = end
        reserve(MemoryLayout<Value>.size)
        end = position + MemoryLayout<Value>.size
        store(value, at: position)
    }

    private mutating func append(_ bytes: [UInt8]) {
        let position = end
        reserve(bytes.count)
        end = position + bytes.count
        storage.replaceSubrange(position..<end, with: bytes)
    }

    private mutating func append(_ bytes: Span<UInt8>) {
        let position = end
        reserve(bytes.count)
        end = position + bytes.count
        var span = storage.mutableSpan
        for index in bytes.indices { span[position + index] = bytes[index] }
    }

    // MARK: - Numbers

    mutating func int8(_ value: Int8) { append(value) }
    mutating func int16(_ value: Int16) { append(value) }
    mutating func int32(_ value: Int32) { append(value) }
    mutating func int64(_ value: Int64) { append(value) }
    mutating func uint16(_ value: UInt16) { append(value) }
    mutating func bool(_ value: Bool) { append(value ? 1 : 0 as UInt8) }
    mutating func float64(_ value: Double) { append(value.bitPattern) }

    mutating func uuid(_ value: UniqueID) {
        append(value.high)
        append(value.low)
    }

    /// Seven bits a byte, the lowest first.
    mutating func unsignedVarint(_ value: Int) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }

    // MARK: - Strings and bytes

    private mutating func null(_ field: StaticString, isShort: Bool, mayBeNull: Bool) throws(ProtocolError) {
        if !mayBeNull { throw failure(field, .unexpectedNull) }
        if isFlexible {
            append(0 as UInt8)
        } else if isShort {
            append(-1 as Int16)
        } else {
            append(-1 as Int32)
        }
    }

    private mutating func length(_ count: Int, _ field: StaticString) throws(ProtocolError) {
        guard let length = Int32(exactly: count) else { throw failure(field, .tooLarge(count)) }
        if isFlexible { unsignedVarint(count + 1) } else { append(length) }
    }

    mutating func string(_ value: String, _ field: StaticString) throws(ProtocolError) {
        let count = value.utf8.count
        if count > MessageReader.maximumStringByteCount { throw failure(field, .tooLarge(count)) }
        if isFlexible { unsignedVarint(count + 1) } else { append(Int16(truncatingIfNeeded: count)) }
        append(value.utf8Span.span)
    }

    mutating func optionalString(
        _ value: String?, _ field: StaticString, mayBeNull: Bool
    ) throws(ProtocolError) {
        guard let value else { return try null(field, isShort: true, mayBeNull: mayBeNull) }
        try string(value, field)
    }

    mutating func bytes(_ value: [UInt8], _ field: StaticString) throws(ProtocolError) {
        try length(value.count, field)
        append(value)
    }

    mutating func optionalBytes(
        _ value: [UInt8]?, _ field: StaticString, mayBeNull: Bool
    ) throws(ProtocolError) {
        guard let value else { return try null(field, isShort: false, mayBeNull: mayBeNull) }
        try bytes(value, field)
    }

    mutating func records(_ value: RecordBytes, _ field: StaticString) throws(ProtocolError) {
        try length(value.byteCount, field)
        switch value {
        case .inline(let bytes): append(bytes)
        case .external(let token, let byteCount):
            splices.append(Splice(position: end, byteCount: byteCount, token: token))
            splicedByteCount += byteCount
        }
    }

    mutating func optionalRecords(
        _ value: RecordBytes?, _ field: StaticString, mayBeNull: Bool
    ) throws(ProtocolError) {
        guard let value else { return try null(field, isShort: false, mayBeNull: mayBeNull) }
        try records(value, field)
    }

    // MARK: - Structures and lists

    mutating func optionalStructure<Structure: WireStructure>(
        _ value: Structure?, _ field: StaticString, mayBeNull: Bool
    ) throws(ProtocolError) {
        guard let value else {
            if !mayBeNull { throw failure(field, .unexpectedNull) }
            append(-1 as Int8)
            return
        }
        if mayBeNull { append(1 as Int8) }
        try value.encode(to: &self)
    }

    mutating func structures<Element: WireStructure>(
        _ value: [Element], _ field: StaticString
    ) throws(ProtocolError) {
        try length(value.count, field)
        // Through a span: taking elements out of the array would copy each, with all that it refers to.
        let elements = value.span
        for index in elements.indices { try elements[index].encode(to: &self) }
    }

    mutating func optionalStructures<Element: WireStructure>(
        _ value: [Element]?, _ field: StaticString, mayBeNull: Bool
    ) throws(ProtocolError) {
        guard let value else { return try null(field, isShort: false, mayBeNull: mayBeNull) }
        try structures(value, field)
    }

    mutating func scalars<Element: WireScalar>(
        _ value: [Element], _ field: StaticString
    ) throws(ProtocolError) {
        try length(value.count, field)
        for element in value { try element.encode(to: &self, field) }
    }

    mutating func optionalScalars<Element: WireScalar>(
        _ value: [Element]?, _ field: StaticString, mayBeNull: Bool
    ) throws(ProtocolError) {
        guard let value else { return try null(field, isShort: false, mayBeNull: mayBeNull) }
        try scalars(value, field)
    }

    // MARK: - Tagged fields

    /// Where a writer is among the tagged fields of a structure. Their number and the length of each are
    /// known when they are written, so a byte is left for each and more are inserted where one is too few.
    struct Tags {
        fileprivate let position: Int
        fileprivate let unknown: [UnknownTaggedField]
        fileprivate var nextUnknown = 0
        fileprivate var count = 0
        fileprivate var lastTag: UInt32 = 0
        fileprivate var valuePosition = 0
    }

    mutating func beginTaggedFields(_ unknown: [UnknownTaggedField]) -> Tags {
        let tags = Tags(position: end, unknown: unknown)
        append(0 as UInt8)
        return tags
    }

    mutating func beginTag(_ tag: UInt32, _ tags: inout Tags) throws(ProtocolError) {
        try unknownTaggedFields(before: tag, &tags)
        try advance(to: tag, &tags)
        append(0 as UInt8)
        tags.valuePosition = end
    }

    mutating func endTag(_ tags: inout Tags) {
        fillIn(end - tags.valuePosition, at: tags.valuePosition - 1)
    }

    mutating func endTaggedFields(_ tags: inout Tags) throws(ProtocolError) {
        try unknownTaggedFields(before: nil, &tags)
        fillIn(tags.count, at: tags.position)
    }

    /// All tagged fields of a structure that has none of its own.
    mutating func taggedFields(_ unknown: [UnknownTaggedField]) throws(ProtocolError) {
        if unknown.isEmpty {
            append(0 as UInt8)
            return
        }
        var tags = beginTaggedFields(unknown)
        try endTaggedFields(&tags)
    }

    /// In versions that are not flexible there may be none.
    func refuseTaggedFields(_ unknown: [UnknownTaggedField]) throws(ProtocolError) {
        if !unknown.isEmpty { throw cannotCarry("unknownTaggedFields") }
    }

    private mutating func unknownTaggedFields(before tag: UInt32?, _ tags: inout Tags) throws(ProtocolError) {
        while tags.nextUnknown < tags.unknown.count {
            let field = tags.unknown[tags.nextUnknown]
            if let tag, field.tag > tag { return }
            tags.nextUnknown += 1
            try advance(to: field.tag, &tags)
            unsignedVarint(field.bytes.count)
            append(field.bytes)
        }
    }

    private mutating func advance(to tag: UInt32, _ tags: inout Tags) throws(ProtocolError) {
        if tags.count > 0 && tag <= tags.lastTag { throw failure("taggedFields", .unorderedTag(tag)) }
        tags.count += 1
        tags.lastTag = tag
        unsignedVarint(Int(tag))
    }

    /// Writes a number where one byte was left for it.
    private mutating func fillIn(_ value: Int, at position: Int) {
        var (rest, place) = (value, position)
        if value >= 0x80 {
            invariant(
                splices.last.map { $0.position <= position } ?? true, "records in a tagged field cannot move")
            let count = (Int.bitWidth - value.leadingZeroBitCount + 6) / 7 - 1
            storage.insert(contentsOf: repeatElement(0, count: count), at: position)
            end += count
        }
        while rest >= 0x80 {
            store(UInt8(truncatingIfNeeded: rest) | 0x80, at: place)
            rest >>= 7
            place += 1
        }
        store(UInt8(truncatingIfNeeded: rest), at: place)
    }
}
