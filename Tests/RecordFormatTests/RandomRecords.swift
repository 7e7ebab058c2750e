import Base
import RecordFormat

/// Records at random, with all that makes them differ in shape: nulls, empty and long fields, headers, gaps
/// in the offsets, times that go back.
struct RandomRecords {
    var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    mutating func int(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }

    /// Bytes that compress well, badly or not at all.
    mutating func bytes(_ count: Int) -> [UInt8] {
        switch int(0...2) {
        case 0: return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
        case 1: return (0..<count).map { _ in UInt8.random(in: 97...103, using: &generator) }
        default: return [UInt8](repeating: UInt8.random(in: 0...255, using: &generator), count: count)
        }
    }

    mutating func field() -> [UInt8]? {
        switch int(0...9) {
        case 0: nil
        case 1: []
        case 2: bytes(int(60...70)) // where the length takes a second byte
        case 3: bytes(int(0...9000))
        default: bytes(int(1...100))
        }
    }

    mutating func records(from baseOffset: Int64, hasGaps: Bool) -> [Record] {
        var offset = baseOffset
        var result: [Record] = []
        let start = Int64(int(0...2_000_000_000_000))
        for _ in 0..<int(1...60) {
            if hasGaps { offset += Int64(int(0...200)) }
            let headers = (0..<(int(0...3) == 0 ? int(1...5) : 0)).map { _ in
                RecordHeader("header-\(int(0...9))", field())
            }
            let timestamp = max(0, start + Int64(int(-100_000...100_000)))
            result.append(
                Record(
                    offset: Offset(offset), timestamp: Timestamp(timestamp), key: field(), value: field(),
                    headers: headers))
            offset += 1
        }
        return result
    }
}
