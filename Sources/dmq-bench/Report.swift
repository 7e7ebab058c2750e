import Base

/// Turns comparisons into what is printed.
enum Report {
    /// A table for people.
    static func text(_ comparison: Comparison) -> String {
        var text = "\(comparison.title)\n"
        let settings = comparison.settings.map { "\($0.name) \($0.value)" }.joined(separator: ", ")
        if !settings.isEmpty { text += "  \(settings)\n" }
        var table = TextTable(columns: [
            ("", .left), ("unit", .left), ("dmq", .right), ("best", .right),
            (comparison.baselineName, .right), ("best", .right), ("dmq/\(comparison.baselineName)", .right),
            ("target", .left),
        ])
        for figure in comparison.figures {
            let target = comparison.target(of: figure)
            var verdict = ""
            if let target {
                let text = target.text(baseline: comparison.baselineName)
                verdict = "\(text) \(target.isMet(by: figure) == true ? "met" : "MISSED")"
            }
            table.append([
                figure.metric.name, figure.metric.unit, number(figure.median), number(figure.best),
                figure.baselineMedian.map(number) ?? "", figure.baselineBest.map(number) ?? "",
                figure.ratio.map { DecimalText.format($0, fractionDigits: 2) } ?? "", verdict,
            ])
        }
        text += table.lines.map { "  \($0)\n" }.joined()
        let hash = comparison.hash == 0 ? "" : ", hash \(String(comparison.hash, radix: 16))"
        let load = DecimalText.format(comparison.loadAverage, fractionDigits: 1)
        return text + "  medians of \(comparison.runCount) runs in turn, load average \(load)\(hash)\n"
    }

    private static func number(_ value: Double) -> String {
        if value == value.rounded(), value.magnitude < 1e4 { return "\(Int(value))" }
        if value.magnitude < 0.01 { return DecimalText.format(value, fractionDigits: 4) }
        if value.magnitude >= 1000 { return DecimalText.grouped(Int64(value.rounded())) }
        return DecimalText.format(value, significantDigits: 3)
    }

    /// One JSON object, without a line end.
    static func json(_ comparison: Comparison) -> String {
        var json = JSONText()
        json.object { json in
            json.field("benchmark", comparison.title)
            json.object("settings") { json in
                for setting in comparison.settings { json.field(setting.name, setting.value) }
            }
            json.field("baseline", comparison.baselineName)
            json.field("runs", comparison.runCount)
            json.field("loadAverage", comparison.loadAverage)
            json.field("hash", String(comparison.hash, radix: 16))
            json.array("figures") { json in
                for figure in comparison.figures { write(figure, of: comparison, to: &json) }
            }
        }
        return json.text
    }

    private static func write(_ figure: Figure, of comparison: Comparison, to json: inout JSONText) {
        json.object { json in
            json.field("name", figure.metric.name)
            json.field("unit", figure.metric.unit)
            json.field("median", figure.median)
            json.field("best", figure.best)
            json.field("baselineMedian", figure.baselineMedian)
            json.field("baselineBest", figure.baselineBest)
            json.field("ratio", figure.ratio)
            if let target = comparison.target(of: figure) {
                json.field("target", target.text(baseline: comparison.baselineName))
                json.field("isMet", target.isMet(by: figure))
            }
        }
    }
}
