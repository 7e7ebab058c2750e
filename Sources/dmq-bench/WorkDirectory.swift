import Base
import SystemIO

/// A directory of its own for the files of one run of the program, removed at the end.
final class WorkDirectory {
    let path: String
    let fileSystem = PosixFileSystem()

    /// - Parameter parent: made when it is not there.
    init(in parent: String) throws(IOError) {
        path = "\(parent)/dmq-bench-\(String(SystemRandom.seed(), radix: 16))"
        try fileSystem.createDirectory(path)
    }

    deinit { try? remove(path) }

    /// Removes a directory with all that is in it; nothing happens when it is not there.
    func remove(_ directory: String) throws(IOError) {
        guard try fileSystem.attributes(of: directory) != nil else { return }
        for entry in try fileSystem.contents(ofDirectory: directory) {
            let path = "\(directory)/\(entry.name)"
            if entry.kind == .directory { try remove(path) } else { try fileSystem.remove(path) }
        }
        try fileSystem.removeDirectory(directory)
    }

    /// Makes a new, empty directory under a name.
    func makeDirectory(_ name: String) throws(IOError) -> String {
        let directory = "\(path)/\(name)"
        try remove(directory)
        try fileSystem.createDirectory(directory)
        return directory
    }
}
