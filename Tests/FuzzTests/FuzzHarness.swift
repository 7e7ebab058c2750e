import Base
import Foundation

/// Runs a fuzzer on many mutated inputs within bounds of time and memory. Meant for a process of its own: a
/// broken property, a trap or too much memory ends it.
struct FuzzHarness {
    /// What one process may allocate beyond what it has at its start. The largest honest use is a
    /// decompressor that fills its bound a few times over; a length that lies asks for 2 GiB.
    static let memoryGrowthByteCount = 256 << 20

    let fuzzer: Fuzzer
    /// Where the input that is being run is kept, to be found there after a crash.
    let inputPath: String

    /// Runs the seeds as they are, then so many mutations of them. Never returns when something is wrong.
    func run(seed: UInt64, iterations: Int) {
        limitMemoryGrowth(to: Self.memoryGrowthByteCount)
        guard FileManager.default.createFile(atPath: inputPath, contents: nil),
            let file = FileHandle(forWritingAtPath: inputPath)
        else { fatalError("cannot write \(inputPath)") }

        let seeds = fuzzer.seeds()
        for input in seeds { runOnce(input, keptIn: file) }
        var mutator = InputMutator(seed: seed, seeds: seeds)
        for _ in 0..<iterations { runOnce(mutator.next(), keptIn: file) }
    }

    private func runOnce(_ input: [UInt8], keptIn file: FileHandle) {
        do {
            try file.truncate(atOffset: 0)
            try file.write(contentsOf: input)
        } catch {
            fatalError("cannot write \(inputPath): \(error)")
        }
        do {
            try fuzzer.run(input)
        } catch let failure as FuzzFailure {
            fatalError("fuzzer \(fuzzer.name), input in \(inputPath): \(failure)")
        } catch {
            // A refusal: what a decoder is for.
        }
    }
}

/// Makes every allocation fail, and so the process, that passes what the process has now by so many bytes.
func limitMemoryGrowth(to byteCount: Int) {
    guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
        let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmData:") }),
        let kibibytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ UInt($0) })
    else { fatalError("/proc/self/status does not tell VmData") }
    let bytes = rlim_t(kibibytes * 1024) + rlim_t(byteCount)
    var limit = rlimit(rlim_cur: bytes, rlim_max: bytes)
    // The number of RLIMIT_DATA, which is an enumeration with C's name for it only in C.
    guard setrlimit(__rlimit_resource_t(2), &limit) == 0 else { fatalError("setrlimit failed: \(errno)") }
}
