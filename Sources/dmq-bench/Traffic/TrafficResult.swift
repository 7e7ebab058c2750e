import Base

/// What was measured.
struct TrafficResult: Sendable {
    let kind: TrafficKind
    let settings: [(name: String, value: String)]
    var written: Flow?
    var read: Flow?
    /// Until the broker has acknowledged a record, in nanoseconds.
    var acknowledgement = LatencyHistogram()
    /// From when a record was due until a consumer has it, in nanoseconds.
    var wholeWay = LatencyHistogram()
    var client: ProcessorTime
    var broker: ProcessorTime?
    var seconds: Double
    var failureCount: Int
    var firstError: String?

    /// Records that went one way.
    struct Flow: Sendable {
        let records: Int
        let bytes: Int
        let seconds: Double

        var recordsPerSecond: Double { seconds > 0 ? Double(records) / seconds : 0 }
        var megabytesPerSecond: Double { seconds > 0 ? Double(bytes) / 1e6 / seconds : 0 }
    }

    var isClean: Bool { failureCount == 0 }

    private static let percents: [(name: String, percent: Double)] = [
        ("p50", 50), ("p90", 90), ("p99", 99), ("p99.9", 99.9), ("p99.99", 99.99), ("max", 100),
    ]

    /// Bytes that went through the broker, once for each way.
    private var byteCount: Int { (written?.bytes ?? 0) + (read?.bytes ?? 0) }

    var text: String {
        var lines = [kind.rawValue]
        lines.append("  " + settings.map { "\($0.name) \($0.value)" }.joined(separator: ", "))
        for (name, flow) in [("written", written), ("read", read)] {
            guard let flow else { continue }
            lines.append(
                "  \(padded(name))\(DecimalText.grouped(Int64(flow.recordsPerSecond))) records/s, "
                    + "\(DecimalText.format(flow.megabytesPerSecond, significantDigits: 3)) MB/s: "
                    + "\(DecimalText.grouped(Int64(flow.records))) records, "
                    + "\(ByteCountText.format(Int64(flow.bytes))) in "
                    + "\(DecimalText.format(flow.seconds, fractionDigits: 2)) s")
        }
        for (name, latency) in [("ack", acknowledgement), ("end to end", wholeWay)] where latency.count > 0 {
            let values = Self.percents.map { entry in
                "\(entry.name) \(DurationText.format(nanoseconds: latency.percentile(entry.percent)))"
            }
            lines.append("  \(padded(name))" + values.joined(separator: ", "))
        }
        lines.append("  \(padded("client CPU"))" + text(client))
        if let broker { lines.append("  \(padded("broker CPU"))" + text(broker)) }
        if failureCount > 0 {
            lines.append("  \(padded("FAILED"))\(failureCount) times, first: \(firstError ?? "unknown")")
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private func padded(_ name: String) -> String {
        name + String(repeating: " ", count: max(1, 12 - name.count))
    }

    private func text(_ time: ProcessorTime) -> String {
        func number(_ value: Double) -> String { DecimalText.format(value, significantDigits: 3) }
        var text = "\(number(time.user)) s user, \(number(time.system)) s system"
        if let perGigabyte = perGigabyte(time) { text += ", \(number(perGigabyte)) s/GB" }
        if seconds > 0 { text += ", \(number(time.total / seconds)) cores" }
        return text
    }

    private func perGigabyte(_ time: ProcessorTime) -> Double? {
        byteCount == 0 ? nil : time.total / (Double(byteCount) / 1e9)
    }

    /// One object and a line end.
    var json: String {
        var json = JSONText()
        json.object { json in
            json.field("benchmark", kind.rawValue)
            json.object("settings") { json in for entry in settings { json.field(entry.name, entry.value) } }
            json.field("seconds", seconds)
            for (name, flow) in [("written", written), ("read", read)] {
                guard let flow else { continue }
                json.object(name) { json in
                    json.field("records", flow.records)
                    json.field("bytes", flow.bytes)
                    json.field("seconds", flow.seconds)
                    json.field("recordsPerSecond", flow.recordsPerSecond)
                    json.field("megabytesPerSecond", flow.megabytesPerSecond)
                }
            }
            for (name, latency) in [("acknowledgement", acknowledgement), ("endToEnd", wholeWay)]
            where latency.count > 0 {
                json.object(name + "Microseconds") { json in
                    json.field("count", latency.count)
                    json.field("mean", latency.mean / 1000)
                    for entry in Self.percents {
                        json.field(entry.name, Double(latency.percentile(entry.percent)) / 1000)
                    }
                }
            }
            for (name, time) in [("client", Optional(client)), ("broker", broker)] {
                guard let time else { continue }
                json.object(name + "CPU") { json in
                    json.field("userSeconds", time.user)
                    json.field("systemSeconds", time.system)
                    json.field("secondsPerGB", perGigabyte(time))
                }
            }
            json.field("failures", failureCount)
            if let firstError { json.field("firstError", firstError) }
        }
        return json.text + "\n"
    }
}
