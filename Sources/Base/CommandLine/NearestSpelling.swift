/// The known word that was most likely meant by an unknown one: the one with the fewest letters to insert,
/// drop, change or swap with their neighbour. Nil when none is close; the first of several equally close.
///
/// - Parameter known: looked through in order; a few hundred at most, each pair costs the product of its
///   lengths.
public func nearestSpelling(to word: String, among known: [String]) -> String? {
    // A third of the letters may be wrong: two of `compression`, none of `ms`.
    var best: (word: String, distance: Int)?
    let letters = Array(word.lowercased().unicodeScalars)
    for candidate in known {
        let other = Array(candidate.lowercased().unicodeScalars)
        let limit = min(max(1, max(letters.count, other.count) / 3), other.count - 1)
        let bound = min(limit, best.map { $0.distance - 1 } ?? limit)
        if let distance = spellingDistance(letters, other, atMost: bound) { best = (candidate, distance) }
    }
    // A beginning is close as well: `--comp` for `--compression`.
    return best?.word ?? known.first { word.count >= 3 && $0.hasPrefix(word) }
}

/// Optimal string alignment distance: Levenshtein's, with a swap of two neighbours counted once. Nil when it
/// is above `bound`.
private func spellingDistance(
    _ left: [Unicode.Scalar], _ right: [Unicode.Scalar], atMost bound: Int
) -> Int? {
    // No distance is less than the difference of the lengths.
    if abs(left.count - right.count) > bound { return nil }
    var beforePrevious = [Int](repeating: 0, count: right.count + 1)
    var previous = Array(0...right.count)
    var current = previous
    var previousLeast = 0
    for (row, letter) in left.enumerated() {
        current[0] = row + 1
        var least = row + 1
        for (column, other) in right.enumerated() {
            let change = previous[column] + (letter == other ? 0 : 1)
            var distance = min(change, previous[column + 1] + 1, current[column] + 1)
            if row > 0 && column > 0 && letter == right[column - 1] && left[row - 1] == other {
                distance = min(distance, beforePrevious[column - 1] + 1)
            }
            current[column + 1] = distance
            least = min(least, distance)
        }
        // Every later row builds on these two.
        if least > bound && previousLeast > bound { return nil }
        previousLeast = least
        (beforePrevious, previous, current) = (previous, current, beforePrevious)
    }
    return previous[right.count] <= bound ? previous[right.count] : nil
}
