internal import Base
internal import Glibc

/// Who listens on a port, for messages to people. Looked up in /proc, as far as the process may.
public enum PortHolder {
    /// - Returns: such as `process 1234 (java)`; nil when it cannot be found out.
    public static func describe(port: UInt16) -> String? {
        let inodes = listeningInodes(port)
        if inodes.isEmpty { return nil }
        let links = Set(inodes.map { "socket:[\($0)]" })
        for process in names(in: "/proc") where process.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) {
            for descriptor in names(in: "/proc/\(process)/fd")
            where links.contains(target(of: "/proc/\(process)/fd/\(descriptor)") ?? "") {
                let name = content(of: "/proc/\(process)/comm").split(separator: "\n").first ?? "?"
                return "process \(process) (\(name))"
            }
        }
        return nil
    }

    /// Inodes of the sockets that listen on `port`, from lines such as
    /// `0: 0100007F:2384 00000000:0000 0A ... inode`.
    private static func listeningInodes(_ port: UInt16) -> [Substring] {
        let digits = String(port, radix: 16, uppercase: true)
        let suffix = ":" + String(repeating: "0", count: 4 - digits.count) + digits
        return ["/proc/net/tcp", "/proc/net/tcp6"].flatMap { path in
            content(of: path).split(separator: "\n").compactMap { line -> Substring? in
                let fields = line.split(separator: " ")
                guard fields.count > 9, fields[1].hasSuffix(suffix), fields[3] == "0A" else { return nil }
                return fields[9]
            }
        }
    }

    /// Enough for some thousand sockets; beyond that it cannot be found out.
    private static let maximumByteCount = 4 << 20

    private static func content(of path: String) -> String {
        let number = open(path, O_RDONLY | O_CLOEXEC)
        if number < 0 { return "" }
        defer { close(number) }
        var bytes: [UInt8] = []
        while bytes.count < maximumByteCount {
            let count = withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 1) { room in
                let count = read(number, room.baseAddress, room.count)
                if count > 0 { bytes.append(contentsOf: room[0..<count]) }
                return count
            }
            if count <= 0 { break }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func names(in path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var result: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { result.append(name) }
        }
        return result
    }

    private static func target(of path: String) -> String? {
        withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { room in
            guard let target = room.assumingMemoryBound(to: CChar.self).baseAddress else { return nil }
            let count = readlink(path, target, room.count)
            return count > 0 ? String(decoding: room[0..<count], as: UTF8.self) : nil
        }
    }
}
