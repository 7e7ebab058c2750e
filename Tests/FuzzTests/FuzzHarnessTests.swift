import Base
import Foundation
import Testing

/// Inputs per fuzzer in one test run. `DMQ_FUZZ_ITERATIONS` asks for more.
private let iterations =
    ProcessInfo.processInfo.environment["DMQ_FUZZ_ITERATIONS"].flatMap { Int($0) } ?? 5000

/// A path of its own for the input that a child process works on; removed when the child did as expected.
private func withInputPath(_ body: (String) async -> Bool) async {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("dmq-fuzz-\(UUID().uuidString)")
        .path
    if await body(path) {
        try? FileManager.default.removeItem(atPath: path)
    } else {
        Issue.record("the last input is kept in \(path); run it alone with: tools/fuzz NAME \(path)")
    }
}

@Suite struct FuzzTests {
    @Test(
        "no input makes a decoder trap, hang, or take memory out of proportion",
        arguments: allFuzzers.map(\.name))
    func survives(name: String) async {
        await withInputPath { path in
            await #expect(processExitsWith: .success) { [name, path = path as String] in
                let fuzzer = try #require(allFuzzers.first { $0.name == name })
                FuzzHarness(fuzzer: fuzzer, inputPath: path).run(seed: 1, iterations: iterations)
            } != nil
        }
    }

    @Test(
        "the harness catches a trap, a broken property and too much memory",
        arguments: canaryFuzzers.map(\.name))
    func catchesCanaries(name: String) async {
        await withInputPath { path in
            await #expect(processExitsWith: .failure) { [name, path = path as String] in
                let fuzzer = try #require(canaryFuzzers.first { $0.name == name })
                FuzzHarness(fuzzer: fuzzer, inputPath: path).run(seed: 1, iterations: 5000)
            } != nil
        }
    }

    @Test("a fuzzer without fault passes the harness, each input being its own")
    func passesTheFaultless() async {
        await withInputPath { path in
            await #expect(processExitsWith: .success) { [path = path as String] in
                let fuzzer = Fuzzer(name: "faultless", seeds: { [[1, 2, 3]] }) { input in
                    if input.count > 3 { throw CancellationError() }
                }
                FuzzHarness(fuzzer: fuzzer, inputPath: path).run(seed: 1, iterations: 1000)
            } != nil
        }
    }

    @Test("names are different words that a shell takes as they are")
    func namesAreUsable() {
        let names = (allFuzzers + canaryFuzzers).map(\.name)
        #expect(Set(names).count == names.count)
        for name in names {
            #expect(name.wholeMatch(of: /[a-z0-9]+(-[a-z0-9]+)*/) != nil, "\(name)")
        }
    }

    @Test("every fuzzer has seeds that it accepts", arguments: allFuzzers.map(\.name))
    func seedsAreGood(name: String) throws {
        let fuzzer = try #require(allFuzzers.first { $0.name == name })
        #expect(!fuzzer.seeds().isEmpty)
        #expect(fuzzer.seeds().contains { seed in (try? fuzzer.run(seed)) != nil })
    }
}

@Suite struct InputMutatorTests {
    private static let seeds: [[UInt8]] = [Array(0..<100), [], [0, 0, 0, 4, 9, 9, 9, 9]]

    @Test("the same seed gives the same inputs, another one others")
    func isReplayable() {
        var first = InputMutator(seed: 5, seeds: Self.seeds)
        var second = InputMutator(seed: 5, seeds: Self.seeds)
        var other = InputMutator(seed: 6, seeds: Self.seeds)
        let inputs = (0..<200).map { _ in first.next() }
        #expect(inputs == (0..<200).map { _ in second.next() })
        #expect(inputs != (0..<200).map { _ in other.next() })
        #expect(Set(inputs).count > 150)
    }

    @Test(
        "each change changes inputs and keeps them within their bound",
        arguments: InputMutator.Change.allCases)
    func changes(change: InputMutator.Change) {
        var mutator = InputMutator(seed: 1, seeds: Self.seeds)
        var changed = 0
        for seed in Self.seeds {
            for _ in 0..<50 {
                var input = seed
                mutator.apply(change, to: &input)
                if input != seed { changed += 1 }
            }
        }
        #expect(changed > 75)
        var large = [UInt8](repeating: 7, count: InputMutator.maximumByteCount)
        for _ in 0..<50 { mutator.apply(change, to: &large) }
        #expect(large.count <= InputMutator.maximumByteCount)
    }
}
