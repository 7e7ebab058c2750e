/// Stops the process when a condition that only a bug can break does not hold, in release builds too.
///
/// Operating errors (a full disk, a hostile peer, a damaged file) are thrown or returned; this is for states
/// the program promises never to reach. `precondition` would print nothing in release builds, hence our own.
///
/// - Parameters:
///   - condition: what must hold.
///   - message: says what does not, with the values that show it. Evaluated only on failure.
@inlinable
@inline(__always)
public func invariant(
    _ condition: @autoclosure () -> Bool, _ message: @autoclosure () -> String,
    file: StaticString = #fileID, line: UInt = #line
) {
    if !condition() { invariantFailed(message(), file: file, line: line) }
}

/// The cold half of `invariant`, and what to call where a case cannot happen.
@inline(never)
public func invariantFailed(_ message: String, file: StaticString = #fileID, line: UInt = #line) -> Never {
    fatalError("invariant broken: \(message)", file: file, line: line)
}
