/// The known word that was most likely meant by an unknown one: the one with the fewest letters to insert,
/// drop, change or swap with their neighbour. Nil when none is close; the first of several equally close.
///
/// - Parameter known: looked through in order; a few hundred at most, each pair costs the product of its
///   lengths.
public func nearestSpelling(to word: String, among known: [String]) -> String? {
    // A third of the letters may be wrong: two of `compression`, none of `ms`.
    var best: (word: String, distance: Int)?
    for candidate in known {
        let limit = max(1, max(word.count, candidate.count) / 3)
        let distance = spellingDistance(Array(word.lowercased()), Array(candidate.lowercased()))
        if distance <= limit && distance < candidate.count && distance < best?.distance ?? Int.max {
            best = (candidate, distance)
        }
    }
    // A beginning is close as well: `--comp` for `--compression`.
    return best?.word ?? known.first { word.count >= 3 && $0.hasPrefix(word) }
}

/// Optimal string alignment distance: Levenshtein's, with a swap of two neighbours counted once.
private func spellingDistance(_ left: [Character], _ right: [Character]) -> Int {
    var beforePrevious = [Int](repeating: 0, count: right.count + 1)
    var previous = Array(0...right.count)
    var current = previous
    for (row, letter) in left.enumerated() {
        current[0] = row + 1
        for (column, other) in right.enumerated() {
            let change = previous[column] + (letter == other ? 0 : 1)
            current[column + 1] = min(change, previous[column + 1] + 1, current[column] + 1)
            if row > 0 && column > 0 && letter == right[column - 1] && left[row - 1] == other {
                current[column + 1] = min(current[column + 1], beforePrevious[column - 1] + 1)
            }
        }
        (beforePrevious, previous, current) = (previous, current, beforePrevious)
    }
    return previous[right.count]
}
