// Numbers with units as people write and read them.

/// Byte counts in words.
public enum ByteCountText {
    /// Units by their names in lower case. As everywhere in dmq KiB is 1024 bytes and KB 1000; a lone K is
    /// 1024.
    private static let units: [(name: String, byteCount: Int64)] = [
        ("", 1), ("b", 1),
        ("k", 1 << 10), ("kib", 1 << 10), ("kb", 1000),
        ("m", 1 << 20), ("mib", 1 << 20), ("mb", 1_000_000),
        ("g", 1 << 30), ("gib", 1 << 30), ("gb", 1_000_000_000),
        ("t", 1 << 40), ("tib", 1 << 40), ("tb", 1_000_000_000_000),
    ]

    /// Reads `4096`, `64KiB`, `64 KiB`, `1mb`. Nil for anything else, and for more than Int64 holds.
    public static func parse(_ text: String) -> Int64? {
        guard let (number, unit) = splitQuantity(text),
            let factor = units.first(where: { $0.name == unit })?.byteCount
        else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : product
    }

    /// The count with three digits and the largest binary unit that keeps it at 1 or above: `512 B`, `1.50
    /// KiB`.
    public static func format(_ byteCount: Int64) -> String {
        let names = ["B", "KiB", "MiB", "GiB", "TiB"]
        var value = Double(byteCount)
        var place = 0
        while value.magnitude >= 1024 && place < names.count - 1 {
            value /= 1024
            place += 1
        }
        if place == 0 { return "\(byteCount) B" }
        return "\(DecimalText.format(value, significantDigits: 3)) \(names[place])"
    }
}

/// Lengths of time in words.
public enum DurationText {
    private static let units: [(name: String, nanoseconds: Int64)] = [
        ("ns", 1), ("us", 1000), ("µs", 1000), ("ms", 1_000_000), ("s", 1_000_000_000),
        ("m", 60_000_000_000), ("min", 60_000_000_000), ("h", 3_600_000_000_000), ("d", 86_400_000_000_000),
    ]

    /// Reads `250us`, `10s`, `5m`, `2h`, `14d`, and `0` without a unit. Nil for anything else, and for more
    /// than 292 years.
    public static func parse(_ text: String) -> Duration? {
        guard let (number, unit) = splitQuantity(text) else { return nil }
        if number == 0 && unit.isEmpty { return .zero }
        guard let factor = units.first(where: { $0.name == unit })?.nanoseconds else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : .nanoseconds(product)
    }

    /// Nanoseconds with three digits and the unit that keeps them between 1 and 1000: `1.25 ms`. From a
    /// minute on minutes and seconds, `3m 05s`, then hours and minutes, `2h 15m`.
    public static func format(nanoseconds: UInt64) -> String {
        switch nanoseconds {
        case 0..<1000: return "\(nanoseconds) ns"
        case 1000..<999_500: return scaled(nanoseconds, 1000, "us")
        case 999_500..<999_500_000: return scaled(nanoseconds, 1_000_000, "ms")
        case 999_500_000..<59_950_000_000: return scaled(nanoseconds, 1_000_000_000, "s")
        default: break
        }
        let seconds = (nanoseconds + 500_000_000) / 1_000_000_000
        let hours = seconds / 3600
        if hours > 0 { return "\(hours)h \(twoDigits(seconds / 60 % 60))m" }
        return "\(seconds / 60)m \(twoDigits(seconds % 60))s"
    }

    private static func scaled(_ nanoseconds: UInt64, _ unit: Double, _ name: String) -> String {
        "\(DecimalText.format(Double(nanoseconds) / unit, significantDigits: 3)) \(name)"
    }

    private static func twoDigits(_ value: UInt64) -> String { value < 10 ? "0\(value)" : "\(value)" }
}

/// Decimal fractions in words.
public enum DecimalText {
    /// The value rounded to `fractionDigits` (0 ... 9) places after the point. Beyond 10^15 in scientific
    /// notation.
    public static func format(_ value: Double, fractionDigits: Int) -> String {
        invariant((0...9).contains(fractionDigits), "\(fractionDigits) digits after the point")
        guard value.isFinite, value.magnitude < 1e15 else { return value.description }
        var scale: UInt64 = 1
        for _ in 0..<fractionDigits { scale *= 10 }
        let whole = UInt64(value.magnitude)
        var units = whole
        var fraction = UInt64(((value.magnitude - Double(whole)) * Double(scale)).rounded())
        if fraction == scale {
            units += 1
            fraction = 0
        }
        let sign = value < 0 && (units > 0 || fraction > 0) ? "-" : ""
        if fractionDigits == 0 { return "\(sign)\(units)" }
        let digits = String(fraction)
        return "\(sign)\(units)." + String(repeating: "0", count: fractionDigits - digits.count) + digits
    }

    /// The value with so many digits in all, but never fewer than stand before the point: 3 gives 0.123,
    /// 1.25, 12.5, 1250.
    public static func format(_ value: Double, significantDigits: Int) -> String {
        // Places before the point, counted on the rounded value so that 9.999 becomes 10.0 and not 10.00.
        var before = 1
        var bound = 10.0
        while before < significantDigits && value.magnitude >= bound - 0.5 * bound / power(significantDigits)
        {
            before += 1
            bound *= 10
        }
        return format(value, fractionDigits: max(0, significantDigits - before))
    }

    /// A whole number with a thin separator every three digits: `1,234,567`.
    public static func grouped(_ value: Int64) -> String {
        let digits = Array(String(value.magnitude))
        var result = value < 0 ? "-" : ""
        for (place, digit) in digits.enumerated() {
            if place > 0 && (digits.count - place) % 3 == 0 { result.append(",") }
            result.append(digit)
        }
        return result
    }

    private static func power(_ exponent: Int) -> Double {
        var result = 1.0
        for _ in 0..<exponent { result *= 10 }
        return result
    }
}

/// A whole number and what follows it, in lower case, spaces between them dropped. Nil without digits.
private func splitQuantity(_ text: String) -> (number: Int64, unit: String)? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard !digits.isEmpty, let number = Int64(digits) else { return nil }
    return (number, String(text.dropFirst(digits.count).drop { $0 == " " }).lowercased())
}
