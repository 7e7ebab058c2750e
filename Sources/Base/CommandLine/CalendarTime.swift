/// Dates and times of the proleptic Gregorian calendar, as ISO 8601 writes them.
public enum CalendarTime {
    private static let millisecondsPerDay: Int64 = 86_400_000

    /// Milliseconds since the Unix epoch from `1700000000000`, `2026-01-31`, `2026-01-31T23:59`,
    /// `2026-01-31T23:59:59.123Z` or with `+01:00` at the end; without a zone UTC. Nil for anything else.
    public static func milliseconds(_ text: String) -> Int64? {
        if let number = Int64(text) { return number }
        var rest = Array(text.utf8)[...]
        guard let year = number(&rest, digits: 4), take("-", &rest), let month = number(&rest, digits: 2),
            take("-", &rest), let day = number(&rest, digits: 2), (1...12).contains(month),
            (1...daysInMonth(month, year)).contains(day)
        else { return nil }
        var result = days(year, month, day) * millisecondsPerDay
        if rest.isEmpty { return result }
        guard take("T", &rest) || take(" ", &rest), let hour = number(&rest, digits: 2), take(":", &rest),
            let minute = number(&rest, digits: 2), hour < 24, minute < 60
        else { return nil }
        result += (hour * 60 + minute) * 60_000
        if take(":", &rest) {
            guard let second = number(&rest, digits: 2), second < 60 else { return nil }
            result += second * 1000
            if take(".", &rest) {
                guard let fraction = fraction(&rest) else { return nil }
                result += fraction
            }
        }
        guard let zone = zoneMilliseconds(&rest), rest.isEmpty else { return nil }
        return result - zone
    }

    /// `2026-01-31T23:59:59.123Z`; nil outside the years 0 to 9999.
    public static func text(ofMilliseconds milliseconds: Int64) -> String? {
        guard milliseconds >= days(0, 1, 1) * millisecondsPerDay,
            milliseconds < days(10_000, 1, 1) * millisecondsPerDay
        else { return nil }
        var day = milliseconds / millisecondsPerDay
        var rest = milliseconds % millisecondsPerDay
        if rest < 0 {
            day -= 1
            rest += millisecondsPerDay
        }
        let (year, month, dayOfMonth) = date(ofDay: day)
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(dayOfMonth, 2))T"
            + "\(padded(rest / 3_600_000, 2)):\(padded(rest / 60_000 % 60, 2)):\(padded(rest / 1000 % 60, 2))"
            + ".\(padded(rest % 1000, 3))Z"
    }

    // MARK: The calendar, counted in years that begin in March, so that a leap day is a year's last.

    /// Days from 1970-01-01 to a date.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let marchYear = month <= 2 ? year - 1 : year
        let era = (marchYear >= 0 ? marchYear : marchYear - 399) / 400
        let yearOfEra = marchYear - era * 400
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    private static func date(ofDay day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }

    private static func daysInMonth(_ month: Int64, _ year: Int64) -> Int64 {
        if month == 2 { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28 }
        return [4, 6, 9, 11].contains(month) ? 30 : 31
    }

    // MARK: Characters

    private static func take(_ character: Unicode.Scalar, _ rest: inout ArraySlice<UInt8>) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest.removeFirst()
        return true
    }

    private static func digit(_ byte: UInt8) -> Int64? {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") ? Int64(byte - UInt8(ascii: "0")) : nil
    }

    private static func number(_ rest: inout ArraySlice<UInt8>, digits: Int) -> Int64? {
        guard rest.count >= digits else { return nil }
        var value: Int64 = 0
        for byte in rest.prefix(digits) {
            guard let digit = digit(byte) else { return nil }
            value = value * 10 + digit
        }
        rest.removeFirst(digits)
        return value
    }

    /// One to nine digits of a second, cut to milliseconds.
    private static func fraction(_ rest: inout ArraySlice<UInt8>) -> Int64? {
        var value: Int64 = 0
        var digits = 0
        while let byte = rest.first, let digit = digit(byte) {
            if digits < 3 { value = value * 10 + digit }
            digits += 1
            rest.removeFirst()
        }
        guard (1...9).contains(digits) else { return nil }
        for _ in digits..<max(3, digits) { value *= 10 }
        return value
    }

    private static func zoneMilliseconds(_ rest: inout ArraySlice<UInt8>) -> Int64? {
        if rest.isEmpty || take("Z", &rest) { return 0 }
        let sign: Int64
        if take("+", &rest) { sign = 1 } else if take("-", &rest) { sign = -1 } else { return nil }
        guard let hour = number(&rest, digits: 2), take(":", &rest), let minute = number(&rest, digits: 2),
            hour < 24, minute < 60
        else { return nil }
        return sign * (hour * 60 + minute) * 60_000
    }

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}
