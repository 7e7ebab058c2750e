internal import Base
internal import Glibc

/// The standard output or the standard error of the process.
public enum StandardStream: Int32, Sendable {
    case output = 1
    case error = 2

    private var name: String { self == .output ? "standard output" : "standard error" }

    /// Writes all of `text`; not buffered, so hand over whole lines or more.
    public func write(_ text: String) throws(IOError) {
        var text = text
        let written = text.withUTF8 { bytes -> Result<Void, IOError> in
            do throws(IOError) {
                return .success(try write(UnsafeRawBufferPointer(bytes)))
            } catch {
                return .failure(error)
            }
        }
        try written.get()
    }

    /// Writes the first `byteCount` bytes of `buffer`.
    public func write(_ buffer: IOBuffer, byteCount: Int) throws(IOError) {
        invariant(byteCount <= buffer.byteCount, "\(byteCount) bytes of a buffer of \(buffer.byteCount)")
        try write(UnsafeRawBufferPointer(start: buffer.base, count: byteCount))
    }

    private func write(_ bytes: UnsafeRawBufferPointer) throws(IOError) {
        var done = 0
        while done < bytes.count, let start = bytes.baseAddress {
            done += try SystemCall.run(.write, name) {
                Glibc.write(rawValue, start + done, bytes.count - done)
            }
        }
    }

    /// Whether a person looks at it: a progress bar makes sense.
    public var isTerminal: Bool { isatty(rawValue) == 1 }
}
