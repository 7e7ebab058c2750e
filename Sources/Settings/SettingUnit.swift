internal import Base

/// What a number counts.
public enum SettingUnit: String, Sendable, CaseIterable {
    case none = ""
    case bytes
    case bytesPerSecond = "bytes/s"
    case milliseconds = "ms"
    case seconds = "s"
    case minutes = "min"
    case hours = "h"
    case percent = "%"
    /// A part of a whole, 0 ... 1.
    case share

    /// The unit in a sentence: "a whole number of bytes".
    var words: String {
        switch self {
        case .none: ""
        case .bytes: "bytes"
        case .bytesPerSecond: "bytes per second"
        case .milliseconds: "milliseconds"
        case .seconds: "seconds"
        case .minutes: "minutes"
        case .hours: "hours"
        case .percent: "percent"
        case .share: ""
        }
    }

    private var nanoseconds: Int64? {
        switch self {
        case .milliseconds: 1_000_000
        case .seconds: 1_000_000_000
        case .minutes: 60_000_000_000
        case .hours: 3_600_000_000_000
        case .none, .bytes, .bytesPerSecond, .percent, .share: nil
        }
    }

    /// The plain number that a quantity with a unit of its own stands for, as people write it on a command
    /// line: `1GiB` is 1073741824 bytes, `14d` 1209600000 ms. Nil for text that has no unit, or not one of
    /// this kind, or that does not come out as a whole number.
    public func number(from quantity: String) -> Int64? {
        // A plain number is in the setting's own unit already.
        guard let last = quantity.utf8.last, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(last) else {
            return nil
        }
        if self == .bytes || self == .bytesPerSecond {
            let count = quantity.lowercased().hasSuffix("/s") ? String(quantity.dropLast(2)) : quantity
            return ByteCountText.parse(count)
        }
        guard let nanoseconds, let duration = DurationText.parse(quantity) else { return nil }
        let parts = duration.components
        // DurationText reads at most 292 years, so its nanoseconds fit.
        let total = parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000
        return total % nanoseconds == 0 ? total / nanoseconds : nil
    }

    /// A number as people read it, where that is shorter and exact: `1 GiB`, `7 days`; nil where it is not.
    public func readable(_ number: Int64) -> String? {
        guard number > 0 else { return nil }
        let steps: [(size: Int64, name: String)] =
            switch self {
            case .bytes, .bytesPerSecond: [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
            case .milliseconds: [(86_400_000, "days"), (3_600_000, "hours"), (60_000, "min"), (1000, "s")]
            case .seconds: [(86_400, "days"), (3600, "hours"), (60, "min")]
            case .minutes: [(1440, "days"), (60, "hours")]
            case .hours: [(24, "days")]
            case .none, .percent, .share: []
            }
        guard let step = steps.first(where: { number % $0.size == 0 }) else { return nil }
        let count = number / step.size
        // "1 days" would be wrong, and the other names have no plural.
        let name =
            count == 1 && step.name.hasSuffix("s") && step.name.count > 1
            ? String(step.name.dropLast()) : step.name
        return "\(count) \(name)\(self == .bytesPerSecond ? "/s" : "")"
    }
}
