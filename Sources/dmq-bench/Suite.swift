import Base
import CBaseline
import SystemIO

/// The options that all suites share.
struct SuiteOptions: Equatable {
    var directory = "/var/tmp"
    var runCount = 5
    var touchByteCount = 8 << 30
    var writesJSON = false
    /// Small sizes, one run.
    var isSmoke = false

    init() {}

    /// Reads what the parser has checked.
    init(_ command: ParsedCommand) {
        isSmoke = command.flag("smoke")
        if isSmoke {
            runCount = 1
            touchByteCount = 0
        }
        let reader = SizeReader(command)
        reader.integer("repeat", &runCount)
        reader.byteCount("touch-bytes", &touchByteCount)
        directory = command.text("directory")
        writesJSON = command.flag("json")
    }

    static let commandOptions = [
        CommandOption(
            "directory", .text, placeholder: "PATH", default: "/var/tmp",
            summary: "where the files go, in a directory of their own that is removed at the end"),
        CommandOption("repeat", .integer(1...1000), default: "5", summary: "runs of each side"),
        CommandOption(
            "touch-bytes", .byteCount, default: "8GiB",
            summary: "memory to touch first, half of what is free at most: fresh pages are slow"),
        CommandOption("json", .flag, summary: "print JSON, one benchmark a line"),
        CommandOption("smoke", .flag, summary: "small sizes, one run: shows that it works, measures nothing"),
    ]
}

/// Reads sizes: what was given holds always, what is left at its default gives way to a smoke run's.
struct SizeReader {
    private let command: ParsedCommand
    private let isSmoke: Bool

    init(_ command: ParsedCommand) {
        self.command = command
        isSmoke = command.flag("smoke")
    }

    func byteCount(_ name: String, _ value: inout Int) {
        if command.has(name) || !isSmoke { value = Int(command.byteCount(name)) }
    }

    func integer(_ name: String, _ value: inout Int) {
        if command.has(name) || !isSmoke { value = command.integer(name) }
    }

    func duration(_ name: String, _ value: inout Duration) {
        if command.has(name) || !isSmoke { value = command.duration(name) }
    }
}

/// Runs benchmarks one after the other and prints what they found.
enum Suite {
    typealias Maker = (WorkDirectory) throws -> any Benchmark

    /// - Parameter makers: in the order in which they run; each is made when the one before it is done.
    /// - Throws: when all have run, and some of them failed.
    static func run(_ makers: [Maker], _ options: SuiteOptions) throws {
        let progress = Progress()
        let directory = try WorkDirectory(in: options.directory)
        dmq_raise_file_limit()
        progress.begin("touching memory", steps: 1)
        let touched = min(UInt64(options.touchByteCount), dmq_available_memory() / 2)
        guard dmq_touch_memory(Int(touched)) == 0 else {
            throw BenchmarkError.baselineFailed("no memory to touch")
        }
        progress.end()
        var failureCount = 0
        for make in makers {
            let benchmark = try make(directory)
            do {
                let comparison = try Comparison.run(
                    benchmark, count: options.runCount, showsTargets: !options.isSmoke, progress: progress)
                print(options.writesJSON ? Report.json(comparison) : Report.text(comparison))
                // Each figure is to be seen when it is there, by those who read a pipe too.
                dmq_flush_output()
            } catch {
                dmq_show("dmq-bench: \(benchmark.title): \(error)\n")
                failureCount += 1
            }
        }
        if failureCount > 0 { throw BenchmarkError.unfinished(failureCount, of: makers.count) }
    }
}
