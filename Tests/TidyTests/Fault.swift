import Foundation
import Testing

/// Something that is not as the rules of this project want it.
struct Fault: CustomStringConvertible, Equatable {
    /// From the repository's root.
    let path: String
    /// From 1; 0 where the file as a whole is meant.
    let line: Int
    /// What is wrong and what to do instead.
    let message: String

    var description: String { line == 0 ? "\(path): \(message)" : "\(path):\(line): \(message)" }
}

/// Fails the test once for each fault.
func expectNone(_ faults: [Fault], sourceLocation: SourceLocation = #_sourceLocation) {
    for fault in faults { Issue.record("\(fault)", sourceLocation: sourceLocation) }
}
