import Foundation
import SimulationKit
import Testing

@testable import SystemIO

@Suite("Files of the kernel")
struct PosixFileSystemTests {
    @Test("The kernel's files do what the file system promises", arguments: FileSystemConformance.all)
    func conforms(_ check: FileSystemConformance) throws {
        let directory = try TemporaryDirectory()
        try check.run(on: PosixFileSystem(), root: directory.path)
    }

    @Test("The error of who finds the lock taken names the holder")
    func lockNamesHolder() throws {
        let directory = try TemporaryDirectory()
        let files = PosixFileSystem()
        let lock = try files.lock(directory.file(".lock"))
        let error = #expect(throws: IOError.self) { try files.lock(directory.file(".lock")) }
        #expect(error?.subject.contains("process \(getpid())") == true)
        #expect(error?.errno == .busy)
        withExtendedLifetime(lock) {}
    }

    @Test("A lock taken by another process is refused, and free once that process is killed")
    func lockOfAnotherProcess() throws {
        let directory = try TemporaryDirectory()
        let files = PosixFileSystem()
        let path = directory.file(".lock")
        let holder = try ChildProcess(
            ["/usr/bin/flock", "--no-fork", path, "sh", "-c", "echo held; exec sleep 1000"])
        holder.waitForOutput()
        #expect(throws: IOError.self) { try files.lock(path) }
        holder.kill()
        #expect(throws: Never.self) { _ = try files.lock(path) }
    }

    @Test("Allocated blocks are there")
    func allocated() throws {
        let directory = try TemporaryDirectory()
        let file = try PosixFileSystem().open(directory.file("a"), .createNew)
        try file.allocate(0..<1_048_576)
        var status = stat()
        #expect(stat(directory.file("a"), &status) == 0)
        #expect(status.st_blocks * 512 >= 1_048_576)
    }

    @Test("A full device is told as no space")
    func fullDevice() throws {
        let file = try PosixFileSystem().open("/dev/full", .readWrite)
        let error = #expect(throws: IOError.self) {
            try file.write([BufferSlice(IOBuffer(byteCount: 10))], at: 0)
        }
        #expect(error?.errno.meansNoSpace == true)
        #expect(error?.subject == "/dev/full")
    }

    @Test("A mapping outlives its file")
    func mappingOutlivesFile() throws {
        let directory = try TemporaryDirectory()
        var file: (any File)? = try PosixFileSystem().open(directory.file("a"), .createNew)
        try file?.write([BufferSlice(IOBuffer(copying: [5, 6]))], at: 0)
        let region = try #require(try file?.map(byteCount: 2, .read))
        file = nil
        #expect(region.bytes.unsafeLoad(fromByteOffset: 1, as: UInt8.self) == 6)
    }

    @Test("Descriptors are closed with their files and on exec")
    func descriptors() throws {
        let directory = try TemporaryDirectory()
        var number: Int32 = -1
        do {
            let file = try #require(try PosixFileSystem().open(directory.file("a"), .createNew) as? PosixFile)
            number = file.descriptor
            #expect(fcntl(number, F_GETFD) & FD_CLOEXEC != 0)
        }
        // Another thread may have been given the number again, but then for another file.
        let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(number)")
        #expect(link != directory.file("a"))
    }
}
