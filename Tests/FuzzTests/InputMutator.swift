import Base

/// Makes bad inputs from good ones, the same from the same seed.
struct InputMutator {
    /// Every way in which an input is changed.
    enum Change: CaseIterable {
        case flipBit, setByte, setInteger, lieAboutLength, truncate, extend, removeRange, repeatRange, splice
    }

    /// Inputs grow at most to this many bytes, so that repeated ranges do not add up.
    static let maximumByteCount = 1 << 17

    private var generator: SeededGenerator
    private let seeds: [[UInt8]]

    /// - Parameter seeds: where inputs start from; without any they start from nothing.
    init(seed: UInt64, seeds: [[UInt8]]) {
        generator = SeededGenerator(seed: seed)
        self.seeds = seeds.isEmpty ? [[]] : seeds
    }

    /// One of the seeds after one to eight changes, fewer being likelier.
    mutating func next() -> [UInt8] {
        var input = seeds[below(seeds.count)]
        repeat {
            apply(Change.allCases[below(Change.allCases.count)], to: &input)
        } while generator.chance(1, in: 2)
        return input
    }

    mutating func apply(_ change: Change, to input: inout [UInt8]) {
        if input.isEmpty { input = [UInt8(truncatingIfNeeded: generator.next())] }
        switch change {
        case .flipBit: input[below(input.count)] ^= 1 << UInt8(below(8))
        case .setByte: input[below(input.count)] = interestingByte()
        case .setInteger: overwrite(&input, at: below(input.count), with: interestingInteger())
        case .lieAboutLength: lieAboutLength(&input)
        case .truncate: input.removeLast(1 + below(input.count))
        case .extend: for _ in 0...below(16) { input.append(interestingByte()) }
        case .removeRange: input.removeSubrange(range(in: input))
        case .repeatRange: input.insert(contentsOf: input[range(in: input)], at: below(input.count))
        case .splice:
            let other = seeds[below(seeds.count)]
            if !other.isEmpty {
                input.replaceSubrange(below(input.count)..., with: other[below(other.count)...])
            }
        }
        if input.count > Self.maximumByteCount {
            input.removeLast(input.count - Self.maximumByteCount)
        }
    }

    /// Finds a four-byte number that could count the bytes behind it and makes it say something else; where
    /// there is none, writes one.
    private mutating func lieAboutLength(_ input: inout [UInt8]) {
        var candidates: [Int] = []
        for position in input.indices.dropLast(4) {
            let number = input[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
            if number > 0 && number <= input.count { candidates.append(position) }
        }
        let position = candidates.isEmpty ? below(input.count) : candidates[below(candidates.count)]
        let rest = UInt32(truncatingIfNeeded: input.count - position - 4)
        let lies: [UInt32] = [
            0, 1, rest, rest &+ 1, rest &- 1, rest &* 2, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x4000_0000,
        ]
        let lie = lies[below(lies.count)]
        overwrite(&input, at: position, with: (0..<4).map { UInt8(truncatingIfNeeded: lie >> (24 - 8 * $0)) })
    }

    private func overwrite(_ input: inout [UInt8], at position: Int, with bytes: [UInt8]) {
        for (step, byte) in bytes.enumerated() where position + step < input.count {
            input[position + step] = byte
        }
    }

    private mutating func interestingByte() -> UInt8 {
        let bytes: [UInt8] = [0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF]
        let place = below(bytes.count * 2)
        return place < bytes.count ? bytes[place] : UInt8(truncatingIfNeeded: generator.next())
    }

    /// One, two, four or eight bytes of a number at the edge of something, or the longest varint.
    private mutating func interestingInteger() -> [UInt8] {
        if generator.chance(1, in: 8) { return [UInt8](repeating: 0xFF, count: 1 + below(10)) + [0x0F] }
        let byteCount = 1 << below(4)
        let highest = UInt64.max >> UInt64(64 - 8 * byteCount)
        let values: [UInt64] = [0, 1, 2, highest, highest - 1, highest / 2, highest / 2 + 1, 61, 1 << 16]
        let value = values[below(values.count)]
        let bytes = (0..<byteCount).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
        return generator.chance(1, in: 4) ? bytes : bytes.reversed()
    }

    /// Not empty; short ones are likelier.
    private mutating func range(in input: [UInt8]) -> Range<Int> {
        let start = below(input.count)
        let longest = generator.chance(3, in: 4) ? min(16, input.count - start) : input.count - start
        return start..<start + 1 + below(longest)
    }

    private mutating func below(_ bound: Int) -> Int { Int(generator.next() % UInt64(bound)) }
}
