// One fuzzer under libFuzzer; built only by tools/fuzz. The first argument names it, the rest is libFuzzer's.
//
//   dmq-fuzz list                    the names
//   dmq-fuzz NAME seeds DIRECTORY    writes its seeds as files
//   dmq-fuzz NAME ARGUMENTS...       runs it

import Foundation

@_silgen_name("LLVMFuzzerRunDriver")
private func runLibFuzzer(
    _ argumentCount: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ callback: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

/// Set once before libFuzzer starts, which calls back on the same thread.
nonisolated(unsafe) private var chosen: Fuzzer?

private func runChosen(_ bytes: UnsafePointer<UInt8>?, _ byteCount: Int) -> Int32 {
    guard let chosen else { fatalError("no fuzzer is chosen") }
    do {
        try chosen.run(Array(UnsafeBufferPointer(start: bytes, count: byteCount)))
    } catch let failure as FuzzFailure {
        fatalError(failure.description)
    } catch {
        // A refusal: what a decoder is for.
    }
    return 0
}

private func writeSeeds(of fuzzer: Fuzzer, to directory: String) throws {
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    for (number, seed) in fuzzer.seeds().enumerated() {
        try Data(seed).write(to: URL(fileURLWithPath: "\(directory)/seed-\(number)"))
    }
}

let words = CommandLine.arguments
if words.dropFirst().first == "list" {
    for fuzzer in allFuzzers { print(fuzzer.name) }
    exit(0)
}
guard words.count >= 2, let fuzzer = (allFuzzers + canaryFuzzers).first(where: { $0.name == words[1] }) else {
    FileHandle.standardError.write(Data("there are: \(allFuzzers.map(\.name).joined(separator: " "))\n".utf8))
    exit(2)
}
if words.count == 4 && words[2] == "seeds" {
    try writeSeeds(of: fuzzer, to: words[3])
    exit(0)
}
chosen = fuzzer
// More than the harness allows, because libFuzzer keeps its own books in the same memory.
limitMemoryGrowth(to: 2 * FuzzHarness.memoryGrowthByteCount)
var arguments = ([words[0]] + words.dropFirst(2)).map { strdup($0) } + [nil]
var argumentCount = Int32(arguments.count - 1)
exit(
    arguments.withUnsafeMutableBufferPointer { buffer in
        guard var start = buffer.baseAddress else { return 1 }
        return withUnsafeMutablePointer(to: &start) { runLibFuzzer(&argumentCount, $0, runChosen) }
    })
