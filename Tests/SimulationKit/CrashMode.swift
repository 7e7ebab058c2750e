public import Base

/// How much of what was not synced survives a loss of power. The two halves are independent of each other, as
/// the data and the metadata of a file system are.
public struct CrashMode: Hashable, Sendable, CustomStringConvertible {
    /// What becomes of the unsynced sectors of a file.
    public enum Data: String, CaseIterable, Sendable {
        case loseAll
        case keepAll
        /// Those before some position survive: written back in the order of positions.
        case prefix
        /// Each survives or not, on its own: written back in any order.
        case subset
        /// All survive but the end of one run of neighbouring sectors: a write torn in its middle.
        case torn
    }

    /// What becomes of the unsynced creations, renames and removals.
    public enum Directories: String, CaseIterable, Sendable {
        case loseAll
        case keepAll
        /// Those before some moment survive, over the whole volume: a journal.
        case journalPrefix
        /// Those before some moment survive, another moment for each directory.
        case directoryPrefix
        /// Each survives or not, on its own, but in order for each name.
        case subset
    }

    /// Nil: each file draws its own.
    public var data: Data?
    public var directories: Directories

    public init(data: Data?, directories: Directories) {
        self.data = data
        self.directories = directories
    }

    public static let loseAll = CrashMode(data: .loseAll, directories: .loseAll)
    public static let keepAll = CrashMode(data: .keepAll, directories: .keepAll)

    /// Draws a mode.
    public static func random(_ generator: inout SeededGenerator) -> CrashMode {
        let data = generator.chance(1, in: 6) ? nil : Data.allCases.randomElement(using: &generator)
        let directories = Directories.allCases.randomElement(using: &generator) ?? .loseAll
        return CrashMode(data: data, directories: directories)
    }

    public var description: String {
        "data=\(data?.rawValue ?? "perFile") directories=\(directories.rawValue)"
    }
}

/// What a crash did.
public struct CrashReport: Hashable, Sendable, CustomStringConvertible {
    public let mode: CrashMode
    /// Unsynced sectors that survived and that did not, over all files that are still there.
    public internal(set) var keptSectors = 0
    public internal(set) var lostSectors = 0
    /// Unsynced creations, renames and removals that survived and that did not.
    public internal(set) var keptDirectoryChanges = 0
    public internal(set) var lostDirectoryChanges = 0

    init(mode: CrashMode) { self.mode = mode }

    public var description: String {
        "\(mode) sectors kept=\(keptSectors) lost=\(lostSectors)"
            + " directory changes kept=\(keptDirectoryChanges) lost=\(lostDirectoryChanges)"
    }
}
