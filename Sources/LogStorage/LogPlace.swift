internal import RecordFormat
internal import SystemIO

/// Where the files of one log are. Shared by its parts, so that a rename of the directory reaches them all.
final class LogPlace {
    let directory: LogDirectory
    private(set) var path: String

    init(directory: LogDirectory, path: String) {
        self.directory = directory
        self.path = path
    }

    var fileSystem: any FileSystem { directory.fileSystem }

    func filePath(_ kind: LogFileKind, _ baseOffset: Offset, suffix: LogFileSuffix? = nil) -> String {
        "\(path)/\(LogLayout.fileName(kind, baseOffset, suffix: suffix))"
    }

    /// Opened before names in the directory change, so that their sync does not want for a descriptor.
    func openDirectory() throws(IOError) -> any OpenDirectory { try fileSystem.openDirectory(path) }

    /// Renames the directory, durably.
    func move(to target: String) throws(LogError) {
        try directory.checkOnline()
        do {
            let names = try fileSystem.openDirectory(directory.path)
            try fileSystem.rename(path, to: target)
            path = target
            try names.sync()
        } catch {
            throw directory.writeFailed(error)
        }
    }
}
