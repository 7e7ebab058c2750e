internal import Glibc

/// The standard input of the process.
public enum StandardInput {
    /// Reads what there is, waiting for at least a byte.
    /// - Returns: how many bytes were put at the beginning of `range`; 0 at the end.
    public static func read(into buffer: IOBuffer, _ range: Range<Int>) throws(IOError) -> Int {
        try SystemCall.run(.read, "standard input") {
            Glibc.read(0, buffer.base + range.lowerBound, range.count)
        }
    }

    /// Whether a person types it.
    public static var isTerminal: Bool { isatty(0) == 1 }
}
