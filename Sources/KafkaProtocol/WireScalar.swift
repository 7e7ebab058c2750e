internal import RecordFormat

/// What lists may have as elements beside structures.
protocol WireScalar: Sendable {
    /// The fewest bytes that it takes in any version.
    static var minimumByteCount: Int { get }

    init(from reader: inout MessageReader, _ field: StaticString) throws(ProtocolError)

    func encode(to writer: inout MessageWriter, _ field: StaticString) throws(ProtocolError)
}

extension Int8: WireScalar {
    static var minimumByteCount: Int { 1 }
    init(from reader: inout MessageReader, _ field: StaticString) throws(ProtocolError) {
        self = try reader.int8(field)
    }
    func encode(to writer: inout MessageWriter, _ field: StaticString) { writer.int8(self) }
}

extension Int16: WireScalar {
    static var minimumByteCount: Int { 2 }
    init(from reader: inout MessageReader, _ field: StaticString) throws(ProtocolError) {
        self = try reader.int16(field)
    }
    func encode(to writer: inout MessageWriter, _ field: StaticString) { writer.int16(self) }
}

extension Int32: WireScalar {
    static var minimumByteCount: Int { 4 }
    init(from reader: inout MessageReader, _ field: StaticString) throws(ProtocolError) {
        self = try reader.int32(field)
    }
    func encode(to writer: inout MessageWriter, _ field: StaticString) { writer.int32(self) }
}

extension Int64: WireScalar {
    static var minimumByteCount: Int { 8 }
    init(from reader: inout MessageReader, _ field: StaticString) throws(ProtocolError) {
        self = try reader.int64(field)
    }
    func encode(to writer: inout MessageWriter, _ field: StaticString) { writer.int64(self) }
}

extension String: WireScalar {
    static var minimumByteCount: Int { 1 }
    init(from reader: inout MessageReader, _ field: StaticString) throws(ProtocolError) {
        self = try reader.string(field)
    }
    func encode(to writer: inout MessageWriter, _ field: StaticString) throws(ProtocolError) {
        try writer.string(self, field)
    }
}

extension UniqueID: WireScalar {
    static var minimumByteCount: Int { byteCount }
    init(from reader: inout MessageReader, _ field: StaticString) throws(ProtocolError) {
        self = try reader.uuid(field)
    }
    func encode(to writer: inout MessageWriter, _ field: StaticString) { writer.uuid(self) }
}

extension TopicID: WireScalar {
    static var minimumByteCount: Int { UniqueID.byteCount }
    init(from reader: inout MessageReader, _ field: StaticString) throws(ProtocolError) {
        self.init(try reader.uuid(field))
    }
    func encode(to writer: inout MessageWriter, _ field: StaticString) { writer.uuid(rawValue) }
}

extension DirectoryID: WireScalar {
    static var minimumByteCount: Int { UniqueID.byteCount }
    init(from reader: inout MessageReader, _ field: StaticString) throws(ProtocolError) {
        self.init(try reader.uuid(field))
    }
    func encode(to writer: inout MessageWriter, _ field: StaticString) { writer.uuid(rawValue) }
}
