/// A set of page numbers of one file, dense from zero on: one bit a page, so that a gibibyte costs 32 KiB.
struct PageSet {
    private var words: [UInt64] = []
    private(set) var count = 0

    /// - Returns: how many of `pages` are not in the set.
    func missingCount(_ pages: Range<Int>) -> Int {
        var missing = 0
        Self.forEachWord(pages) { word, mask in
            let held = word < words.count ? words[word] : 0
            missing += (mask & ~held).nonzeroBitCount
        }
        return missing
    }

    /// - Returns: how many pages are new.
    @discardableResult
    mutating func insert(_ pages: Range<Int>) -> Int {
        guard !pages.isEmpty else { return 0 }
        let needed = (pages.upperBound + 63) / 64
        if words.count < needed { words.append(contentsOf: repeatElement(0, count: needed - words.count)) }
        var added = 0
        Self.forEachWord(pages) { word, mask in
            added += (mask & ~words[word]).nonzeroBitCount
            words[word] |= mask
        }
        count += added
        return added
    }

    /// Removes `first` and all after it.
    /// - Returns: how many pages were removed.
    @discardableResult
    mutating func removeAll(from first: Int) -> Int {
        var removed = 0
        Self.forEachWord(first..<max(first, words.count * 64)) { word, mask in
            removed += (mask & words[word]).nonzeroBitCount
            words[word] &= ~mask
        }
        count -= removed
        return removed
    }

    private static func forEachWord(_ pages: Range<Int>, _ body: (_ word: Int, _ mask: UInt64) -> Void) {
        var page = pages.lowerBound
        while page < pages.upperBound {
            let word = page / 64
            let end = min(pages.upperBound, (word + 1) * 64)
            let width = UInt64(end - page)
            let mask = (width == 64 ? UInt64.max : (1 << width) - 1) << UInt64(page % 64)
            body(word, mask)
            page = end
        }
    }
}
