import Base
import CBaseline

/// Says on a terminal how far the measurements are; silent elsewhere.
final class Progress {
    private let isShown: Bool
    private var title = ""
    private var done = 0
    private var steps = 0

    init() { isShown = dmq_shows_progress() != 0 }

    func begin(_ title: String, steps: Int) {
        self.title = title
        self.steps = steps
        done = 0
        show()
    }

    func step() {
        done += 1
        show()
    }

    /// Removes the line.
    func end() {
        if isShown { dmq_show("\r\u{1B}[K") }
    }

    private func show() {
        guard isShown else { return }
        let filled = steps == 0 ? 20 : min(20, done * 20 / steps)
        let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: 20 - filled)
        dmq_show("\r\u{1B}[K[\(bar)] \(title)")
    }
}
