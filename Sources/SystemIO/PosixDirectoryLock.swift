internal import Base
internal import Glibc

/// A lock file held with flock(2): the kernel lets go of it when the process ends, however it ends.
///
/// The file holds the holder's process ID as text, only so that the error of whoever comes second can name
/// it.
final class PosixDirectoryLock: DirectoryLock {
    private let descriptor: OwnedDescriptor

    init(_ path: String) throws(IOError) {
        let opened = try PosixFileSystem.openDescriptor(.lock, path, O_RDWR | O_CREAT)
        let number = opened.rawValue
        do {
            _ = try SystemCall.run(.lock, path) { flock(number, LOCK_EX | LOCK_NB) }
        } catch  where error.errno == .wouldBlock {
            throw IOError(.lock, "\(path) (held by process \(Self.holder(number)))", .busy)
        }
        var text = Array("\(getpid())\n".utf8)
        let byteCount = text.count
        _ = try SystemCall.run(.lock, path) { ftruncate(number, 0) }
        _ = try SystemCall.run(.lock, path) { pwrite(number, &text, byteCount, 0) }
        descriptor = opened
    }

    /// What the holder wrote; `unknown` when it has not written it yet.
    private static func holder(_ descriptor: Int32) -> String {
        withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { room in
            let answer = try? SystemCall.run(.read, "lock file") {
                pread(descriptor, room.baseAddress, room.count, 0)
            }
            let count = answer ?? 0
            let digits = room[..<count].prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
            return digits.isEmpty ? "unknown" : String(decoding: digits, as: UTF8.self)
        }
    }
}
