import SimulationKit

/// Weak references to what a simulation makes: shows what is still held when it ought to be gone.
///
/// A file or a mapping holds its disk, and a layer of a file its count: with the disk gone, and the count at
/// zero, none of them is left.
final class Census {
    private struct Entry {
        let name: String
        weak var object: AnyObject?
    }

    private var entries: [Entry] = []
    private let reservations: ReservationCount

    init(_ disk: SimulatedDisk) {
        reservations = disk.reservations
        note(disk, "disk")
    }

    func note(_ object: AnyObject, _ name: String) { entries.append(Entry(name: name, object: object)) }

    /// What is held of the processes that have ended; the disk is no part of any.
    var heldOfProcesses: [String] {
        entries.removeAll { $0.object == nil }
        return entries.dropFirst().map(\.name)
    }

    /// What is held when nothing should be, the files of the disk included.
    var held: [String] {
        entries.removeAll { $0.object == nil }
        let layers = reservations.count
        return entries.map(\.name) + (layers > 0 ? ["\(layers) layers of files"] : [])
    }
}
