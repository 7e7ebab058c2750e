/// Why a measurement could not be made.
enum BenchmarkError: Error, CustomStringConvertible {
    /// The baseline was refused something by the operating system.
    case baselineFailed(String)
    /// The work was not done as it should have been, so that its figures mean nothing.
    case wrongResult(String)
    case lostAppends(String)
    /// The broker, or what is said about it, cannot be used.
    case broker(String)

    /// Some benchmarks failed, as was told.
    case unfinished(Int, of: Int)
    /// Options that do not fit together.
    case wrongOptions(String)

    var description: String {
        switch self {
        case .baselineFailed(let what): "the baseline failed: \(what)"
        case .wrongResult(let what): "wrong result: \(what)"
        case .lostAppends(let reason): "appends were lost: \(reason)"
        case .unfinished(let count, let all): "\(count) of \(all) benchmarks failed"
        case .broker(let reason), .wrongOptions(let reason): reason
        }
    }
}
