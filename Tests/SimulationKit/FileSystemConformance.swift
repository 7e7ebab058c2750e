public import SystemIO

/// What every `FileSystem` must do, as checks that throw: run through the kernel's files and through the
/// simulated disk, so that a test on the one says something about the other.
///
/// Each check gets an existing empty directory and leaves there what it likes.
public struct FileSystemConformance: Sendable, CustomStringConvertible {
    /// A sentence that says what is checked.
    public let name: String
    private let body: @Sendable (any FileSystem, String) throws -> Void

    public var description: String { name }

    /// - Parameter root: an existing, empty directory, without a slash at its end.
    public func run(on files: any FileSystem, root: String) throws { try body(files, root) }

    /// What went wrong.
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    static func expect(_ condition: Bool, _ message: @autoclosure () -> String) throws {
        if !condition { throw Failure(description: message()) }
    }

    static func expectError(
        _ allowed: Errno..., doing what: String, _ body: () throws(IOError) -> Void
    ) throws {
        do throws(IOError) {
            try body()
        } catch {
            try expect(allowed.isEmpty || allowed.contains(error.errno), "\(what): unexpected error \(error)")
            return
        }
        throw Failure(description: "\(what): no error")
    }

    /// The whole content of `file`.
    static func content(_ file: any File) throws -> [UInt8] {
        let byteCount = Int(try file.byteCount())
        let buffer = IOBuffer(byteCount: byteCount + 1)
        // One byte more than there is: a read at the end must come back short.
        let count = try file.read(into: buffer, 0..<byteCount + 1, at: 0)
        try expect(count == byteCount, "read \(count) bytes of a file of \(byteCount)")
        return (0..<count).map { buffer.bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
    }

    static func write(_ bytes: [UInt8], to file: any File, at position: Int64) throws {
        try file.write([BufferSlice(IOBuffer(copying: bytes))], at: position)
    }

    public static let all: [FileSystemConformance] =
        [
            .init(name: "a file that is not there is not opened") { files, root in
                try expectError(.noSuchFile, doing: "open for reading") { () throws(IOError) in
                    _ = try files.open(root + "/none", .read)
                }
                try expectError(.noSuchFile, doing: "open for writing") { () throws(IOError) in
                    _ = try files.open(root + "/none", .readWrite)
                }
                try expect(try files.attributes(of: root + "/none") == nil, "attributes of nothing")
            },
            .init(name: "createNew refuses what exists, createOrOpen keeps its content") { files, root in
                let path = root + "/file"
                try write([1, 2, 3], to: try files.open(path, .createNew), at: 0)
                try expectError(.alreadyExists, doing: "createNew") { () throws(IOError) in
                    _ = try files.open(path, .createNew)
                }
                try expect(
                    try content(try files.open(path, .createOrOpen)) == [1, 2, 3],
                    "content after createOrOpen")
                let made = try files.open(root + "/other", .createOrOpen)
                try expect(
                    try made.byteCount() == 0 && made.path == root + "/other", "a created file is empty")
            },
            .init(name: "a file opened for reading refuses writes") { files, root in
                _ = try files.open(root + "/file", .createNew)
                let file = try files.open(root + "/file", .read)
                let slices = [BufferSlice(IOBuffer(byteCount: 1))]
                try expectError(doing: "write") { () throws(IOError) in try file.write(slices, at: 0) }
                try expectError(doing: "allocate") { () throws(IOError) in try file.allocate(0..<4096) }
                try expect(try file.byteCount() == 0, "the file stayed empty")
            },
            .init(name: "slices are written one after the other, gaps read as zeros") { files, root in
                let file = try files.open(root + "/file", .createNew)
                let buffer = IOBuffer(copying: [9, 1, 2, 3, 9])
                let empty = BufferSlice(buffer, 2..<2)
                try file.write([empty, BufferSlice(buffer, 1..<3), empty, BufferSlice(buffer, 3..<4)], at: 2)
                try expect(try content(file) == [0, 0, 1, 2, 3], "content")
                try file.write([], at: 100)
                try expect(try file.byteCount() == 5, "a write of nothing extends nothing")
            },
            .init(name: "a write of many slices arrives whole") { files, root in
                let file = try files.open(root + "/file", .createNew)
                let bytes = (0..<3000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 7) }
                let buffer = IOBuffer(copying: bytes)
                try file.write((0..<3000).map { BufferSlice(buffer, $0..<$0 + 1) }, at: 0)
                try expect(try content(file) == bytes, "3000 slices of one byte")
            },
            .init(name: "reads stop at the end of the file") { files, root in
                let file = try files.open(root + "/file", .createNew)
                try write([1, 2, 3, 4], to: file, at: 0)
                let buffer = IOBuffer(byteCount: 8)
                try expect(
                    try file.read(into: buffer, 2..<8, at: 1) == 3, "three bytes are left at position 1")
                try expect(
                    buffer.bytes.unsafeLoad(fromByteOffset: 2, as: UInt8.self) == 2,
                    "they go to the range's start")
                try expect(try file.read(into: buffer, 0..<8, at: 4) == 0, "nothing at the end")
                try expect(try file.read(into: buffer, 0..<8, at: 1000) == 0, "nothing past the end")
                try expect(try file.read(into: buffer, 3..<3, at: 0) == 0, "nothing into an empty range")
            },
            .init(name: "truncate cuts, and extends with zeros") { files, root in
                let file = try files.open(root + "/file", .createNew)
                try write([1, 2, 3, 4], to: file, at: 0)
                try file.truncate(to: 2)
                try file.truncate(to: 4)
                try expect(try content(file) == [1, 2, 0, 0], "what was cut does not come back")
            },
            .init(name: "allocate extends with zeros and keeps what is there") { files, root in
                let file = try files.open(root + "/file", .createNew)
                try write([1, 2, 3], to: file, at: 0)
                try file.allocate(0..<8192)
                let bytes = try content(file)
                try expect(bytes.count == 8192 && Array(bytes[..<4]) == [1, 2, 3, 0], "content")
                try expect(bytes[3...].allSatisfy { $0 == 0 }, "zeros")
                try file.allocate(0..<100)
                try file.allocate(50..<50)
                try expect(try file.byteCount() == 8192, "allocate never cuts")
            },
            .init(name: "syncs of files and directories work") { files, root in
                let file = try files.open(root + "/file", .createNew)
                try write([1], to: file, at: 0)
                try file.sync(.data)
                try file.sync(.full)
                try files.syncDirectory(root)
                file.advise(.sequential, 0..<1)
                file.advise(.dontNeed, 0..<1)
                try expectError(.noSuchFile, doing: "sync of no directory") { () throws(IOError) in
                    try files.syncDirectory(root + "/none")
                }
            },
            .init(name: "a mapping shows the file, and its stores reach the file") { files, root in
                let file = try files.open(root + "/file", .createNew)
                try write([1, 2, 3], to: file, at: 0)
                try file.allocate(0..<8192)
                let region = try file.map(byteCount: 8192, .readWrite)
                try expect(region.byteCount == 8192, "size")
                try expect(region.bytes.unsafeLoad(fromByteOffset: 1, as: UInt8.self) == 2, "content")
                var bytes = region.mutableBytes
                bytes.storeBytes(of: 77, toByteOffset: 5000, as: UInt8.self)
                try region.sync(5000..<5001)
                try region.sync(0..<0)
                try expect(try content(file)[5000] == 77, "the store is in the file")
                let view = try files.open(root + "/file", .read).map(byteCount: 5001, .read)
                try expect(view.bytes.unsafeLoad(fromByteOffset: 5000, as: UInt8.self) == 77, "read mapping")
            },
            .init(name: "a mapping does not pass the end of the file, and may be empty") { files, root in
                let file = try files.open(root + "/file", .createNew)
                try expect(try file.map(byteCount: 0, .readWrite).byteCount == 0, "an empty mapping")
                try expectError(.invalidArgument, doing: "map past the end") { () throws(IOError) in
                    _ = try file.map(byteCount: 1, .read)
                }
            },
        ] + names

    private static let names: [FileSystemConformance] = [
        .init(name: "directories are made with those above, and listed") { files, root in
            try files.createDirectory(root + "/a/b/c")
            try files.createDirectory(root + "/a/b/c")
            _ = try files.open(root + "/a/file", .createNew)
            let entries = try files.contents(ofDirectory: root + "/a").sorted { $0.name < $1.name }
            try expect(entries.map(\.name) == ["b", "file"], "names \(entries.map(\.name))")
            try expect(entries.map(\.kind) == [.directory, .regular], "kinds \(entries.map(\.kind))")
            try expect(try files.contents(ofDirectory: root + "/a/b/c").isEmpty, "an empty directory")
            try expect(try files.attributes(of: root + "/a")?.kind == .directory, "attributes of a directory")
            try expectError(.noSuchFile, doing: "list nothing") { () throws(IOError) in
                _ = try files.contents(ofDirectory: root + "/none")
            }
        },
        .init(name: "a directory is not made where a file is") { files, root in
            _ = try files.open(root + "/file", .createNew)
            try expectError(.notADirectory, doing: "create over a file") { () throws(IOError) in
                try files.createDirectory(root + "/file")
            }
        },
        .init(name: "attributes tell kind and size") { files, root in
            try write([1, 2, 3], to: try files.open(root + "/file", .createNew), at: 0)
            let attributes = try files.attributes(of: root + "/file")
            try expect(attributes?.kind == .regular && attributes?.byteCount == 3, "attributes")
        },
        .init(name: "rename replaces its target, and open files go with their names") { files, root in
            let old = try files.open(root + "/old", .createNew)
            try write([1], to: try files.open(root + "/target", .createNew), at: 0)
            let target = try files.open(root + "/target", .read)
            try write([2], to: old, at: 0)
            try files.rename(root + "/old", to: root + "/target")
            try expect(try files.attributes(of: root + "/old") == nil, "the old name is gone")
            try expect(try content(try files.open(root + "/target", .read)) == [2], "the new content")
            try expect(try content(target) == [1], "who had it open still reads the replaced file")
            try write([3], to: old, at: 0)
            try expect(
                try content(try files.open(root + "/target", .read)) == [3], "the open file was renamed")
            try expect(old.path == root + "/old", "the path stays the one it was opened under")
            try expectError(.noSuchFile, doing: "rename nothing") { () throws(IOError) in
                try files.rename(root + "/none", to: root + "/other")
            }
        },
        .init(name: "a removed file stays readable for who has it open") { files, root in
            let file = try files.open(root + "/file", .createNew)
            try write([1, 2], to: file, at: 0)
            try files.remove(root + "/file")
            try expect(try files.attributes(of: root + "/file") == nil, "the name is gone")
            try expect(try content(file) == [1, 2], "the content is not")
            _ = try files.open(root + "/file", .createNew)
            try files.remove(root + "/file")
            try expectError(.noSuchFile, doing: "remove twice") { () throws(IOError) in
                try files.remove(root + "/file")
            }
        },
        .init(name: "only empty directories are removed") { files, root in
            try files.createDirectory(root + "/a")
            _ = try files.open(root + "/a/file", .createNew)
            try expectError(.notEmpty, doing: "remove a full directory") { () throws(IOError) in
                try files.removeDirectory(root + "/a")
            }
            try files.remove(root + "/a/file")
            try files.removeDirectory(root + "/a")
            try expect(try files.attributes(of: root + "/a") == nil, "it is gone")
        },
        .init(name: "the volume says how much room there is") { files, root in
            let space = try files.space(at: root)
            try expect(space.total > 0 && space.available >= 0 && space.available <= space.total, "\(space)")
        },
        .init(name: "a lock keeps others out until it is let go") { files, root in
            let path = root + "/.lock"
            var held: (any DirectoryLock)? = try files.lock(path)
            try expect(held != nil, "held")
            try expectError(.busy, doing: "lock twice") { () throws(IOError) in _ = try files.lock(path) }
            held = nil
            held = try files.lock(path)
        },
    ]
}
