import Foundation

/// A process that a test starts and kills.
struct ChildProcess: ~Copyable {
    private let identifier: pid_t
    private let output: FileHandle

    /// Starts `arguments` (the first is the program's path) with its standard output in a pipe of ours.
    init(_ arguments: [String]) throws {
        let pipe = Pipe()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, pipe.fileHandleForWriting.fileDescriptor, 1)
        var words = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var started: pid_t = 0
        let status = posix_spawn(&started, arguments[0], &actions, nil, &words, environ)
        guard status == 0 else { throw POSIXError(POSIXErrorCode(rawValue: status) ?? .EINVAL) }
        try pipe.fileHandleForWriting.close()
        identifier = started
        output = pipe.fileHandleForReading
    }

    /// Waits until the process has written something.
    func waitForOutput() { _ = output.availableData }

    /// Ends the process as a power cut would, and waits until it is gone.
    consuming func kill() {
        Foundation.kill(identifier, SIGKILL)
        var status: Int32 = 0
        waitpid(identifier, &status, 0)
    }
}
