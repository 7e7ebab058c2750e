// `.kafka_cleanshutdown`: says that everything in the log directory was synced and sealed before the broker
// stopped. JSON, one object without spaces, no line end:
//
//   {"version":0,"brokerEpoch":-1}
//
//   key          meaning
//   version      0
//   brokerEpoch  the broker's epoch when it stopped (KIP-966); -1: not known
//
// Older brokers left the file empty. Its existence is what counts for recovery: it is written last at a clean
// stop and removed before anything else is changed. When it is lost, logs are recovered from their recovery
// points.

internal import Base
public import SystemIO

/// The marker of a clean stop in a log directory.
public struct CleanShutdownMarker: Hashable, Sendable {
    /// A good file has at most 48 bytes.
    public static let maximumByteCount = 4096
    static let prefix = "{\"version\":0,\"brokerEpoch\":"

    /// -1: not known.
    public let brokerEpoch: Int64

    public init(brokerEpoch: Int64 = -1) { self.brokerEpoch = brokerEpoch }

    /// Nil when there is no file. A file that cannot be made out is an error: then do not take the stop for
    /// clean.
    public static func read(
        _ path: String, _ fileSystem: any FileSystem
    ) throws(StateFileError) -> CleanShutdownMarker? {
        guard let bytes = try AtomicFile.read(path, maximumByteCount: maximumByteCount, fileSystem) else {
            return nil
        }
        return try CleanShutdownMarker(parsing: bytes, path: path)
    }

    /// Replaces the file, atomically. On return it is on stable storage.
    public func write(to path: String, _ fileSystem: any FileSystem) throws(StateFileError) {
        try AtomicFile.replace(path, with: encoded(), fileSystem)
    }

    /// Removes the file if there is one. On return it will not be there after a crash either.
    public static func remove(_ path: String, _ fileSystem: any FileSystem) throws(StateFileError) {
        do throws(IOError) {
            let names = try fileSystem.openDirectory(LogLayout.parent(of: path))
            do throws(IOError) {
                try fileSystem.remove(path)
            } catch {
                if error.errno == .noSuchFile { return }
                throw error
            }
            try names.sync()
        } catch {
            throw .io(error)
        }
    }

    /// Accepts nothing, and the object with white space between its parts and its keys in either order.
    /// - Parameter path: for messages.
    public init(parsing bytes: [UInt8], path: String) throws(StateFileError) {
        let compact = bytes.filter { $0 != 0x20 && $0 != 0x0A && $0 != 0x0D && $0 != 0x09 }
        if compact.isEmpty {
            self.init()
            return
        }
        var version: Int64?
        var epoch: Int64?
        var isGood =
            compact.first == UInt8(ascii: "{") && compact.last == UInt8(ascii: "}") && compact.count > 2
        if isGood {
            for member in compact[1..<(compact.count - 1)].split(
                separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
            {
                let parts = member.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
                guard parts.count == 2, let value = Self.number(parts[1]) else {
                    isGood = false
                    break
                }
                if parts[0].elementsEqual("\"version\"".utf8), version == nil {
                    version = value
                } else if parts[0].elementsEqual("\"brokerEpoch\"".utf8), epoch == nil {
                    epoch = value
                } else {
                    isGood = false
                }
            }
        }
        guard isGood, version == 0, let epoch, epoch >= -1 else {
            throw .malformed(
                path: path, line: nil,
                reason:
                    "\(quotedText(bytes[...])) is not the marker of a clean stop; remove the file, then the"
                    + " logs are recovered")
        }
        self.init(brokerEpoch: epoch)
    }

    private static func number(_ text: ArraySlice<UInt8>) -> Int64? {
        guard text.first == UInt8(ascii: "-") else { return decimal(text) }
        return decimal(text.dropFirst()).map { -$0 }
    }

    /// The content of the file.
    public func encoded() -> [UInt8] { Array("\(Self.prefix)\(brokerEpoch)}".utf8) }
}
