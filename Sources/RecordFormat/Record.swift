/// A record with its bytes, for tests, tools and compaction. Reading without copying is `RecordCursor`'s.
public struct Record: Hashable, Sendable {
    public var offset: Offset
    public var timestamp: Timestamp
    public var key: [UInt8]?
    /// Nil: a tombstone in compacted topics.
    public var value: [UInt8]?
    public var headers: [RecordHeader]

    public init(
        offset: Offset, timestamp: Timestamp, key: [UInt8]? = nil, value: [UInt8]? = nil,
        headers: [RecordHeader] = []
    ) {
        self.offset = offset
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.headers = headers
    }

    /// A copy of a record in place.
    public init(_ view: borrowing RecordView) {
        offset = view.offset
        timestamp = view.timestamp
        key = Array(copyingIfPresent: view.key)
        value = Array(copyingIfPresent: view.value)
        headers = []
        headers.reserveCapacity(view.headerCount)
        var cursor = view.headers
        while let header = cursor.next() {
            headers.append(
                RecordHeader(key: Array(copying: header.key), value: Array(copyingIfPresent: header.value)))
        }
    }
}

/// A header of a record: a key, by convention UTF-8, that may occur several times, and a value or null.
public struct RecordHeader: Hashable, Sendable {
    public var key: [UInt8]
    public var value: [UInt8]?

    public init(key: [UInt8], value: [UInt8]?) {
        self.key = key
        self.value = value
    }

    public init(_ name: String, _ value: [UInt8]?) { self.init(key: Array(name.utf8), value: value) }

    /// The key as text; bytes that are not UTF-8 are replaced.
    public var name: String { String(decoding: key, as: UTF8.self) }
}

extension RecordBatch {
    /// Copies all records of a batch, control records included.
    public static func records(
        of batch: RawSpan, header: RecordBatchHeader, decompressor: Decompressor
    ) throws(RecordBatchError) -> [Record] {
        var cursor = try RecordCursor(batch, header: header, decompressor: decompressor)
        var result: [Record] = []
        while let view = try cursor.next() { result.append(Record(view)) }
        return result
    }
}

extension Array where Element == UInt8 {
    /// A copy of the bytes of `span`.
    public init(copying span: RawSpan) {
        self = span.withUnsafeBytes { Array($0) }
    }

    /// A copy of the bytes of `span`, nil for nil.
    init?(copyingIfPresent span: RawSpan?) {
        guard let span else { return nil }
        self.init(copying: span)
    }
}
