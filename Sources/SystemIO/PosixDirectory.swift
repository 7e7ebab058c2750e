internal import Base
internal import Glibc

/// A directory of the kernel's, for its syncs.
final class PosixDirectory: OpenDirectory {
    let path: String
    private let owned: OwnedDescriptor

    init(path: String, _ descriptor: consuming OwnedDescriptor) {
        self.path = path
        owned = descriptor
    }

    func sync() throws(IOError) {
        _ = try SystemCall.run(.syncDirectory, path) { fsync(owned.rawValue) }
    }
}
