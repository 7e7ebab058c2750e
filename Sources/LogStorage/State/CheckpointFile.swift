// Kafka's checkpoint files: ASCII text, every line ended by a line feed:
//
//   line      content
//   1         version, 0
//   2         number of entries
//   3, ...    an entry: fields separated by one space
//
// A file is replaced as a whole (see AtomicFile.swift), so that it is either the old one or the new one. It
// has no checksum; whatever deviates from the format is refused. What may be done when a file is lost stands
// with each kind.

internal import Base

/// Reads a checkpoint line by line, field by field.
struct CheckpointReader {
    static let version: Int64 = 0

    private let bytes: [UInt8]
    private let path: String
    /// Ends every complaint: what to do.
    private let remedy: String
    private var position = 0
    /// Counted from 1; 0 before the first line.
    private(set) var line = 0
    private var lineEnd = 0

    init(_ bytes: [UInt8], path: String, remedy: String) {
        self.bytes = bytes
        self.path = path
        self.remedy = remedy
    }

    func malformed(_ reason: String) -> StateFileError {
        .malformed(path: path, line: line == 0 ? nil : line, reason: "\(reason); \(remedy)")
    }

    /// Reads version and number of entries, then has `entry` read each of them, and sees to it that nothing
    /// follows.
    mutating func readEntries(
        _ entry: (inout CheckpointReader) throws(StateFileError) -> Void
    ) throws(StateFileError) {
        try beginLine("the version")
        let version = try integer("version", atMost: Int64(Int32.max))
        guard version == Self.version else { throw malformed("version \(version) is not known, only 0 is") }
        try endLine()
        try beginLine("the number of entries")
        let count = try integer("number of entries", atMost: Int64(Int32.max))
        try endLine()
        for index in 0..<count {
            try beginLine("entry \(index + 1) of \(count)")
            try entry(&self)
            try endLine()
        }
        guard position == bytes.count else {
            line += 1
            throw malformed("there is more after the \(count) entries that line 2 announces")
        }
    }

    private mutating func beginLine(_ expected: @autoclosure () -> String) throws(StateFileError) {
        line += 1
        guard position < bytes.count else { throw malformed("the file ends before \(expected())") }
        var end = position
        while end < bytes.count && bytes[end] != UInt8(ascii: "\n") { end += 1 }
        // A cut number would otherwise pass for a whole one.
        guard end < bytes.count else { throw malformed("the line is not ended, so the file was cut off") }
        lineEnd = end
    }

    private mutating func endLine() throws(StateFileError) {
        guard position == lineEnd else {
            throw malformed("\(quoted(position..<lineEnd)) is left over at the end of the line")
        }
        position = lineEnd + 1
    }

    /// The next field of the line, up to a space or its end.
    mutating func field(_ name: String) throws(StateFileError) -> Range<Int> {
        let start = position
        while position < lineEnd && bytes[position] != UInt8(ascii: " ") { position += 1 }
        let range = start..<position
        guard !range.isEmpty else { throw malformed("the \(name) is missing") }
        if position < lineEnd {
            position += 1
            guard position < lineEnd else { throw malformed("the line ends in a space") }
        }
        return range
    }

    /// The next field as a decimal number of 0 ... `maximum`.
    mutating func integer(_ name: String, atMost maximum: Int64) throws(StateFileError) -> Int64 {
        let range = try field(name)
        guard let value = decimal(bytes[range]) else {
            throw malformed("the \(name) \(quoted(range)) is not a number of 0 or more")
        }
        guard value <= maximum else { throw malformed("the \(name) \(value) is above \(maximum)") }
        return value
    }

    /// The next field as a topic's name.
    mutating func topic() throws(StateFileError) -> String {
        let range = try field("topic")
        let text = String(decoding: bytes[range], as: UTF8.self)
        guard LogLayout.isValidTopic(text) else { throw malformed("\(quoted(range)) is not a topic's name") }
        return text
    }

    /// The bytes as they may stand in a message: short, and without control characters.
    private func quoted(_ range: Range<Int>) -> String { quotedText(bytes[range]) }
}

/// Decimal digits without a sign; nil for anything else and above Int64.max.
func decimal(_ digits: ArraySlice<UInt8>) -> Int64? {
    guard !digits.isEmpty else { return nil }
    var value: Int64 = 0
    for digit in digits {
        guard LogLayout.isDigit(digit) else { return nil }
        let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)
        let (sum, carry) = shifted.addingReportingOverflow(Int64(digit - UInt8(ascii: "0")))
        if overflow || carry { return nil }
        value = sum
    }
    return value
}
