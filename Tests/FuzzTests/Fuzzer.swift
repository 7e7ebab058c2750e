/// One entry point for bytes from outside: a decoder, a parser, a recovery step.
///
/// `run` takes any bytes at all. It returns when they are good and throws when it refuses them; both are
/// fine. What is not: a trap, an endless loop, memory out of proportion to the input, or an invariant that
/// does not hold (report it with `invariant`, or throw `FuzzFailure`, which stands apart from a refusal).
struct Fuzzer: Sendable {
    /// What `tools/fuzz NAME` calls it: lower case words with hyphens.
    let name: String
    /// Good inputs to start from; mutations of them reach deeper than random bytes.
    let seeds: @Sendable () -> [[UInt8]]
    let run: @Sendable ([UInt8]) throws -> Void

    init(
        name: String, seeds: @escaping @Sendable () -> [[UInt8]],
        run: @escaping @Sendable ([UInt8]) throws -> Void
    ) {
        self.name = name
        self.seeds = seeds
        self.run = run
    }
}

/// What a fuzzer throws when a property does not hold: what came out is wrong, not merely refused.
struct FuzzFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
