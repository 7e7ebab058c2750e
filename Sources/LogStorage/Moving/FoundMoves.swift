internal import Base
public import RecordFormat
internal import SystemIO

/// A move of a log that was not over when the node went down.
public struct InterruptedMove: Sendable, Equatable {
    public let partition: TopicPartition
    /// The log directory that it was to go to.
    public let targetPath: String
}

/// What a start makes of logs that were being moved; the table is in LogMove.swift.
extension LogStore {
    /// Of two logs of one partition, which a crash at the end of a move leaves, keeps the one that goes
    /// further, and sets the other aside.
    func withoutTwins(_ recovered: [RecoveredPartition], _ newID: () -> UniqueID) -> [RecoveredPartition] {
        var result: [RecoveredPartition] = []
        for (_, twins) in Dictionary(grouping: recovered, by: \.opening.partition) {
            // Of equals the one that is named first, at every start the same.
            let sorted = twins.sorted {
                $0.reach == $1.reach ? $0.opening.path < $1.opening.path : $0.reach > $1.reach
            }
            result += sorted.prefix(1)
            for other in sorted.dropFirst() {
                let found = opened(other.directory).map {
                    FoundLog(partition: other.opening.partition, path: other.opening.path, opened: $0)
                }
                do {
                    if let found { try setAside(found, "another log of it goes further", newID()) }
                } catch {
                    _ = other.directory.writeFailed(error)
                }
            }
        }
        return result
    }

    /// Removes copies that were not whole, if there is what they were copied from.
    func giveUpCopies(of recovered: [RecoveredPartition]) -> [InterruptedMove] {
        let known = Dictionary(
            recovered.map { ($0.opening.partition, $0.directory.path) },
            uniquingKeysWith: { first, _ in first }
        )
        var moves: [InterruptedMove] = []
        for opened in onlineDirectories {
            let directory = opened.directory
            guard let entries = try? directory.fileSystem.contents(ofDirectory: directory.path) else {
                continue
            }
            for entry in entries where entry.kind == .directory {
                guard let name = LogLayout.parse(directoryName: entry.name), name.suffix == .future else {
                    continue
                }
                let path = LogLayout.path(directory.path, entry.name)
                guard let home = known[name.partition] else {
                    logger.log(
                        .warn, "copy of a log left alone: there is no log that it is a copy of",
                        [LogField("path", path)])
                    continue
                }
                removeDirectory(path, of: directory)
                let move = InterruptedMove(partition: name.partition, targetPath: directory.path)
                if home != directory.path && !moves.contains(move) { moves.append(move) }
            }
        }
        return moves
    }
}

extension RecoveredPartition {
    /// How far the log goes: by leader epoch, then by offset.
    fileprivate var reach: (Int32, Int64) {
        (contents.leaderEpochs.latest?.epoch.rawValue ?? -1, contents.logEndOffset.rawValue)
    }
}
