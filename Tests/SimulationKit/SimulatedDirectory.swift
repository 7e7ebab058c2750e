// Names. A directory has two tables: what processes see, and what survives a crash. Every creation, rename
// and removal is an entry of the volume's journal until the directory is synced.

internal import Base

/// What a name stands for.
enum SimulatedNode {
    case file(SimulatedInode)
    case directory(SimulatedDirectory)

    var isDirectory: Bool { if case .directory = self { true } else { false } }
}

final class SimulatedDirectory {
    /// Unique on the disk, in the order of creation.
    let number: Int
    var entries: [String: SimulatedNode] = [:]
    var syncedEntries: [String: SimulatedNode] = [:]

    init(number: Int) { self.number = number }

    /// The entries in the order of their names: dictionaries have another order in each process.
    var sortedEntries: [(name: String, node: SimulatedNode)] {
        entries.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 }
    }
}

/// A creation, rename or removal: it survives as a whole or not at all.
struct DirectoryChange {
    /// One name that gets another meaning; nil: none.
    struct Touch {
        let directory: SimulatedDirectory
        let name: String
        let node: SimulatedNode?

        var key: Key { Key(directory: directory.number, name: name) }
    }

    struct Key: Hashable {
        let directory: Int
        let name: String
    }

    let touches: [Touch]
    /// A sync of a directory failed with it: no later sync carries it.
    var isAbandoned = false

    init(_ touches: [Touch]) { self.touches = touches }

    func concerns(_ directory: SimulatedDirectory) -> Bool { touches.contains { $0.directory === directory } }

    func makeVisible() { for touch in touches { touch.directory.entries[touch.name] = touch.node } }

    func makeDurable() { for touch in touches { touch.directory.syncedEntries[touch.name] = touch.node } }
}

/// The changes that no sync has made durable yet, in the order in which they were made.
struct DirectoryJournal {
    private(set) var changes: [DirectoryChange] = []

    /// Makes a change that processes see at once.
    mutating func record(_ touches: [DirectoryChange.Touch]) {
        let change = DirectoryChange(touches)
        change.makeVisible()
        changes.append(change)
    }

    /// Makes durable what concerns a directory, and what that builds on: earlier changes of the same names.
    mutating func sync(_ directory: SimulatedDirectory) {
        guard changes.contains(where: { $0.concerns(directory) }) else { return }
        var wanted = Set<DirectoryChange.Key>()
        var chosen = [Bool](repeating: false, count: changes.count)
        for index in changes.indices.reversed() {
            let change = changes[index]
            guard change.concerns(directory) || change.touches.contains(where: { wanted.contains($0.key) })
            else {
                continue
            }
            chosen[index] = true
            for touch in change.touches { wanted.insert(touch.key) }
        }
        var stuck = Set<DirectoryChange.Key>()
        var left: [DirectoryChange] = []
        for (index, change) in changes.enumerated() {
            let isStuck = change.isAbandoned || change.touches.contains { stuck.contains($0.key) }
            if chosen[index] && !isStuck {
                change.makeDurable()
            } else {
                if isStuck { for touch in change.touches { stuck.insert(touch.key) } }
                left.append(change)
            }
        }
        changes = left
    }

    /// A sync of the directory failed: no later one carries the changes that it should have carried.
    mutating func abandon(_ directory: SimulatedDirectory) {
        for index in changes.indices where changes[index].concerns(directory) {
            changes[index].isAbandoned = true
        }
    }

    /// The file system writes its journal by itself: the first changes become durable though nobody was
    /// promised so.
    mutating func writeBack(_ count: Int) {
        for change in changes.prefix(count) { change.makeDurable() }
        changes.removeFirst(min(count, changes.count))
    }

    /// Decides what survives a loss of power, and empties the journal.
    mutating func losePower(
        _ mode: CrashMode.Directories, _ generator: inout SeededGenerator, _ report: inout CrashReport
    ) {
        let survives: [Bool]
        switch mode {
        case .loseAll: survives = changes.map { _ in false }
        case .keepAll: survives = changes.map { _ in true }
        case .journalPrefix:
            let count = Int.random(in: 0...changes.count, using: &generator)
            survives = changes.indices.map { $0 < count }
        case .directoryPrefix: survives = directoryPrefix(&generator)
        case .subset: survives = subset(&generator)
        }
        for (change, kept) in zip(changes, survives) {
            if kept {
                change.makeDurable()
                report.keptDirectoryChanges += 1
            } else {
                report.lostDirectoryChanges += 1
            }
        }
        changes.removeAll()
    }

    private func directoryPrefix(_ generator: inout SeededGenerator) -> [Bool] {
        var left: [Int: Int] = [:]
        for change in changes {
            for directory in Set(change.touches.map(\.directory.number)) { left[directory, default: 0] += 1 }
        }
        for directory in left.keys.sorted() {
            left[directory] = Int.random(in: 0...(left[directory] ?? 0), using: &generator)
        }
        return changes.map { change in
            let directories = Set(change.touches.map(\.directory.number))
            guard directories.allSatisfy({ left[$0, default: 0] > 0 }) else {
                // What comes later in any of them is lost with it.
                for directory in directories { left[directory] = 0 }
                return false
            }
            for directory in directories { left[directory, default: 0] -= 1 }
            return true
        }
    }

    private func subset(_ generator: inout SeededGenerator) -> [Bool] {
        var lost = Set<DirectoryChange.Key>()
        return changes.map { change in
            let survives = generator.chance(1, in: 2) && !change.touches.contains { lost.contains($0.key) }
            if !survives { for touch in change.touches { lost.insert(touch.key) } }
            return survives
        }
    }
}
