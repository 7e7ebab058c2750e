import Base
import Foundation
import Testing

@Suite struct JSONTextTests {
    @Test("objects, arrays and every kind of value come out as written by hand")
    func layout() {
        var json = JSONText()
        json.object { json in
            json.field("offset", 12)
            json.field("text", "a\"b")
            json.nullField("key")
            json.field("rate", 0.5)
            json.field("last", true)
            json.field("absent", Int?.none)
            json.array("headers") { json in
                json.value("x")
                json.object { _ in }
                json.array { json in json.value(Int64.min) }
            }
            json.object("nested") { json in json.field("raw", rawJSON: "[1]") }
        }
        #expect(
            json.text == #"{"offset":12,"text":"a\"b","key":null,"rate":0.5,"last":true,"absent":null,"#
                + #""headers":["x",{},[-9223372036854775808]],"nested":{"raw":[1]}}"#)
    }

    @Test("top-level values stand on lines of their own, and clearing starts afresh")
    func lines() {
        var json = JSONText()
        json.value(1)
        json.array { _ in }
        json.value(false)
        #expect(json.text == "1\n[]\nfalse")
        json.removeAll()
        json.value("again")
        #expect(json.text == "\"again\"")
    }

    /// A value as it went in, to compare with what Foundation read.
    private enum Expected {
        case text(String)
        case integer(Int64)
        case double(Double)

        func equals(_ value: Any?) -> Bool {
            switch self {
            case .text(let text): (value as? String).map { Array($0.utf8) } == Array(text.utf8)
            case .integer(let number): (value as? NSNumber)?.int64Value == number
            case .double(let number):
                // Foundation reads numbers by way of decimals and may be off in the last digit.
                number.isFinite
                    ? (value as? NSNumber).map { abs($0.doubleValue - number) <= abs(number) * 1e-14 } == true
                    : value is NSNull
            }
        }
    }

    @Test("Foundation reads back any text and number", arguments: 1...40)
    func readsBack(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var json = JSONText()
        var expected: [String: Expected] = [:]
        json.object { json in
            for number in 0..<30 {
                let key = "\(number):" + randomText(&generator)
                if generator.chance(1, in: 3) {
                    let text = randomText(&generator)
                    json.field(key, text)
                    expected[key] = .text(text)
                } else if generator.chance(1, in: 2) {
                    let value = Int64(bitPattern: generator.next())
                    json.field(key, value)
                    expected[key] = .integer(value)
                } else {
                    let value = Double(bitPattern: generator.next())
                    json.field(key, value)
                    expected[key] = .double(value)
                }
            }
        }
        let parsed = try #require(try JSONSerialization.jsonObject(with: Data(json.bytes)) as? [String: Any])
        #expect(parsed.count == expected.count)
        for (key, value) in expected { #expect(value.equals(parsed[key]), "\(key)") }
    }

    @Test("doubles keep every bit and what is no number is null")
    func doubles() throws {
        for value in [0.1, 1e20, Double.leastNonzeroMagnitude, -0.0, 1.7976931348623157e308, 123456789.123] {
            var json = JSONText()
            json.value(value)
            #expect(Double(json.text)?.bitPattern == value.bitPattern)
            _ = try JSONSerialization.jsonObject(with: Data(json.bytes), options: .fragmentsAllowed)
        }
        for value in [Double.nan, .infinity, -.infinity] {
            var json = JSONText()
            json.value(value)
            #expect(json.text == "null")
        }
    }

    /// Text with control characters, quotes, and scalars of one to four bytes.
    private func randomText(_ generator: inout SeededGenerator) -> String {
        var text = ""
        for _ in 0..<(generator.next() % 20) {
            let limits: [UInt32] = [0x20, 0x80, 0x800, 0xD800, 0x10FFFF]
            let limit = limits[Int(generator.next() % 5)]
            if let scalar = Unicode.Scalar(UInt32(generator.next() % UInt64(limit))) {
                text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}
