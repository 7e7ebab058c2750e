internal import Base
internal import Glibc

/// The machine that the process runs on.
public enum Machine {
    /// Cores that are there for the process.
    public static var coreCount: Int { max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 1) }

    /// What the machine calls itself.
    public static var hostName: String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 257) { room in
            room.initialize(repeating: 0)
            guard let start = room.baseAddress, gethostname(start, 256) == 0, start.pointee != 0 else {
                return "localhost"
            }
            return String(cString: start)
        }
    }

    /// The directory that relative paths start from; nil when it is gone.
    public static var currentDirectory: String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { room in
            guard let start = room.baseAddress, getcwd(start, room.count) != nil else { return nil }
            return String(cString: start)
        }
    }
}
