/// What was asked of the kernel when it refused; the names are those of the calls' manual pages.
public enum IOOperation: String, Sendable {
    case open, close, read, write, sync, truncate, allocate, map, unmap, stat, list, rename, remove,
        createDirectory
    case removeDirectory, syncDirectory, lock, space, sendfile, advise, ring, socket, bind, listen, accept,
        connect
    case receive, send, socketOption, epoll, eventDescriptor, thread, limit, usage, resolve, signal
}

/// A failed operation: what, on what, and why.
public struct IOError: Error, Hashable, Sendable, CustomStringConvertible {
    public let operation: IOOperation
    /// The file, directory or address, as the caller named it.
    public let subject: String
    public let errno: Errno

    public init(_ operation: IOOperation, _ subject: String, _ errno: Errno) {
        self.operation = operation
        self.subject = subject
        self.errno = errno
    }

    public var description: String { "\(operation.rawValue) \(subject): \(errno)" }
}
