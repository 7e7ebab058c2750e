import Base
import RecordFormat

/// How `dmq consume` prints a record: text with places for its parts, as kcat has them.
struct RecordFormatter {
    enum Part: Equatable {
        case bytes([UInt8])
        case key, value, keyByteCount, valueByteCount, offset, partition, topic, timestamp, time, headers
        /// Four bytes, the highest first.
        case valueByteCountBinary
    }

    static let help =
        "%k key, %v or %s value, %o offset, %p partition, %t topic, %T timestamp in milliseconds, "
        + "%D the same as a date, %h headers, %K and %S lengths of key and value (-1 for null), "
        + "%R length of the value as four bytes, %% a percent sign; \\n \\t \\r \\0 \\x41"

    let parts: [Part]

    init(_ text: String) throws(CommandLineError) {
        var parts: [Part] = []
        var literal: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\") {
                guard let escaped = EscapedText.escape(&rest) else {
                    throw .badValue(
                        option: "--format", value: text,
                        reason: "a backslash stands before n, t, r, 0, \\ or xHH")
                }
                literal.append(escaped)
            } else if byte == UInt8(ascii: "%") {
                guard let letter = rest.popFirst(), let part = Self.part(letter) else {
                    throw .badValue(option: "--format", value: text, reason: Self.help)
                }
                if part == .bytes([letter]) {
                    literal.append(letter)
                    continue
                }
                if !literal.isEmpty { parts.append(.bytes(literal)) }
                literal = []
                parts.append(part)
            } else {
                literal.append(byte)
            }
        }
        if !literal.isEmpty { parts.append(.bytes(literal)) }
        self.parts = parts
    }

    private static func part(_ letter: UInt8) -> Part? {
        switch letter {
        case UInt8(ascii: "k"): .key
        case UInt8(ascii: "v"), UInt8(ascii: "s"): .value
        case UInt8(ascii: "K"): .keyByteCount
        case UInt8(ascii: "S"): .valueByteCount
        case UInt8(ascii: "R"): .valueByteCountBinary
        case UInt8(ascii: "o"): .offset
        case UInt8(ascii: "p"): .partition
        case UInt8(ascii: "t"): .topic
        case UInt8(ascii: "T"): .timestamp
        case UInt8(ascii: "D"): .time
        case UInt8(ascii: "h"): .headers
        case UInt8(ascii: "%"): .bytes([letter])
        default: nil
        }
    }

    /// Appends a record as it is printed.
    func append(
        _ record: borrowing RecordView, _ partition: TopicPartition, to output: inout [UInt8]
    ) {
        for part in parts {
            switch part {
            case .bytes(let bytes): output += bytes
            case .key: if let key = record.key { output.append(copying: key) }
            case .value: if let value = record.value { output.append(copying: value) }
            case .keyByteCount: output += Array(String(record.key?.byteCount ?? -1).utf8)
            case .valueByteCount: output += Array(String(record.value?.byteCount ?? -1).utf8)
            case .valueByteCountBinary:
                let count = UInt32(bitPattern: Int32(record.value?.byteCount ?? -1))
                for shift: UInt32 in [24, 16, 8, 0] {
                    output.append(UInt8(truncatingIfNeeded: count >> shift))
                }
            case .offset: output += Array(String(record.offset.rawValue).utf8)
            case .partition: output += Array(String(partition.partition).utf8)
            case .topic: output += Array(partition.topic.utf8)
            case .timestamp: output += Array(String(record.timestamp.rawValue).utf8)
            case .time:
                let text = CalendarTime.text(ofMilliseconds: record.timestamp.rawValue)
                output += Array((text ?? String(record.timestamp.rawValue)).utf8)
            case .headers: appendHeaders(record, to: &output)
            }
        }
    }

    /// `name=value,name=value`, as kcat prints them; a null value is `NULL`.
    private func appendHeaders(_ record: borrowing RecordView, to output: inout [UInt8]) {
        var headers = record.headers
        var isFirst = true
        while let header = headers.next() {
            if !isFirst { output.append(UInt8(ascii: ",")) }
            isFirst = false
            output.append(copying: header.key)
            output.append(UInt8(ascii: "="))
            if let value = header.value {
                output.append(copying: value)
            } else {
                output += Array("NULL".utf8)
            }
        }
    }
}

extension Array where Element == UInt8 {
    mutating func append(copying span: RawSpan) { self += [UInt8](copying: span) }
}
