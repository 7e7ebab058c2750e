/// Every fuzzer there is. CI runs each of them briefly, `tools/fuzz NAME` runs one under libFuzzer.
let allFuzzers: [Fuzzer] = []
