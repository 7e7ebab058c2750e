public import SystemIO

/// Why a checkpoint, metadata or marker file could not be read or written.
public enum StateFileError: Error, Sendable, CustomStringConvertible {
    case io(IOError)
    /// The content is not what the format allows.
    /// - line: counted from 1; nil when it is about the file as a whole.
    /// - reason: what was found, and what to do.
    case malformed(path: String, line: Int?, reason: String)

    public var description: String {
        switch self {
        case .io(let error): error.description
        case .malformed(let path, let line?, let reason): "\(path), line \(line): \(reason)"
        case .malformed(let path, nil, let reason): "\(path): \(reason)"
        }
    }
}
