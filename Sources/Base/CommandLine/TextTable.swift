/// Rows of text with their columns below each other, for commands that people read.
public struct TextTable: Sendable {
    /// Where a column's texts stand.
    public enum Alignment: Sendable { case left, right }

    private let alignments: [Alignment]
    private var rows: [[String]]

    /// - Parameter columns: the titles, and where the texts below them stand; numbers want the right.
    public init(columns: [(title: String, alignment: Alignment)]) {
        alignments = columns.map(\.alignment)
        rows = [columns.map(\.title)]
    }

    /// Adds a row with as many cells as there are columns.
    public mutating func append(_ cells: [String]) {
        invariant(
            cells.count == alignments.count, "\(cells.count) cells in a table of \(alignments.count) columns")
        rows.append(cells)
    }

    /// Titles and rows, one a line, two spaces between columns, no spaces at a line's end.
    public var lines: [String] {
        let widths = alignments.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                line += alignments[column] == .left ? cell + padding : padding + cell
                line += "  "
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }

    public var text: String { lines.joined(separator: "\n") + "\n" }
}

/// One line that says how far a long piece of work is, to be written over the line before it on a terminal.
public enum ProgressLine {
    /// - Parameters:
    ///   - done: bytes done; more than `total` counts as all of it.
    ///   - total: bytes there are.
    ///   - elapsedNanoseconds: time since the start; the rest is estimated from it.
    /// - Returns: for example `[#####---------------]  25 %  256 MiB of 1.00 GiB, 512 MiB/s, 1.50 s left`.
    public static func text(done: Int64, total: Int64, elapsedNanoseconds: UInt64) -> String {
        let share = total <= 0 ? 1 : min(1, max(0, Double(done) / Double(total)))
        let filled = Int(share * 20)
        let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: 20 - filled)
        let percent = String(Int(share * 100))
        let padding = String(repeating: " ", count: 3 - percent.count)
        var line =
            "[\(bar)] \(padding)\(percent) %  \(ByteCountText.format(done)) of \(ByteCountText.format(total))"
        guard elapsedNanoseconds > 0, done > 0 else { return line }
        let bytesPerSecond = Double(done) / (Double(elapsedNanoseconds) / 1e9)
        line += ", \(ByteCountText.format(Int64(min(bytesPerSecond, 1e18))))/s"
        if share < 1 {
            let left = Double(elapsedNanoseconds) * (1 - share) / share
            line += ", \(DurationText.format(nanoseconds: UInt64(min(left, 1e18)))) left"
        }
        return line
    }
}
