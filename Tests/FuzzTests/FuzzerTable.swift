/// Every fuzzer there is. CI runs each of them briefly, `tools/fuzz NAME` runs one under libFuzzer.
let allFuzzers: [Fuzzer] =
    commandLineFuzzers + producerFuzzers + recordFuzzers + formatFuzzers + messageFuzzers + settingsFuzzers
    + metadataFuzzers

/// Fuzzers with a fault, to show that the harness and libFuzzer catch each kind. Not among `allFuzzers`.
let canaryFuzzers: [Fuzzer] = [
    Fuzzer(name: "canary-trap", seeds: { [canarySeed] }) { input in
        if claimedByteCount(input) > input.count { _ = input[claimedByteCount(input)] }
    },
    Fuzzer(name: "canary-failure", seeds: { [canarySeed] }) { input in
        if claimedByteCount(input) < 0 { throw FuzzFailure("a byte count below zero was taken") }
    },
    Fuzzer(name: "canary-memory", seeds: { [canarySeed] }) { input in
        let room = [UInt8](repeating: 1, count: max(0, claimedByteCount(input)))
        if room.count < 0 { throw FuzzFailure("never") }
    },
]

/// Eight bytes after their count, big endian.
private let canarySeed: [UInt8] = [0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]

private func claimedByteCount(_ input: [UInt8]) -> Int {
    guard input.count >= 4 else { return 0 }
    return Int(Int32(truncatingIfNeeded: input.prefix(4).reduce(0) { $0 << 8 | Int($1) }))
}
