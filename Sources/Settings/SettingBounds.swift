/// Which values of its type a setting takes.
public enum SettingBounds: Sendable, Equatable {
    case any
    /// - or: a single value outside the range with a meaning of its own, such as -1.
    case integers(ClosedRange<Int64>, or: Int64? = nil)
    case numbers(ClosedRange<Double>)
    /// Text or a list with something in it.
    case notEmpty
    /// A list in which nothing stands twice.
    case different

    /// Whole numbers from `minimum` on, and `special` where one has a meaning of its own.
    public static func atLeast(_ minimum: Int64) -> SettingBounds { .integers(minimum...Int64.max) }
    public static func atLeast(_ minimum: Int64, or special: Int64) -> SettingBounds {
        .integers(minimum...Int64.max, or: special)
    }

    /// Takes text that is of the setting's type.
    func contains(_ text: String) -> Bool {
        switch self {
        case .any: true
        case .integers(let range, let special):
            Int64(trimmed(text)).map { range ~= $0 || $0 == special } ?? false
        case .numbers(let range): Double(trimmed(text)).map { range ~= $0 } ?? false
        case .notEmpty: !trimmed(text).isEmpty
        case .different: Set(listParts(text)).count == listParts(text).count
        }
    }

    /// Half a sentence, "at least 1"; nil where everything is taken.
    public var text: String? {
        switch self {
        case .any: nil
        case .integers(let range, let special):
            (special.map { "\($0) or " } ?? "")
                + (range.upperBound == Int64.max
                    ? "at least \(range.lowerBound)" : "\(range.lowerBound) ... \(range.upperBound)")
        case .numbers(let range):
            range.upperBound == .greatestFiniteMagnitude
                ? "at least \(range.lowerBound)" : "\(range.lowerBound) ... \(range.upperBound)"
        case .notEmpty: "not empty"
        case .different: "each of them once"
        }
    }
}
