import KafkaProtocol
import RecordFormat

/// A client of a simulation, as consumers are: joins, takes its assignment, sends heartbeats and commits. One
/// request at a time.
struct SimulatedMember {
    enum Phase { case joining, syncing, stable }

    let number: Int
    let group: String
    let instance: String?
    var isAlive = false
    /// Counts its lives; answers to an earlier one are lost.
    var life = 0
    var phase = Phase.joining
    var memberID = ""
    var generation: Int32 = -1
    var partitions: [Int32] = []
    /// What its leader's work is, when it leads.
    var assignments: [(String, [UInt8])] = []
    /// The request that it waits for.
    var pending: (id: Int, since: Int64)?
    /// How often it has changed what it subscribes to.
    var subscription = 0

    var identity: String { instance ?? memberID }

    mutating func begin() {
        isAlive = true
        life += 1
        phase = .joining
        memberID = ""
        generation = -1
        pending = nil
        partitions = []
    }

    static let partitionCount: Int32 = 12

    /// The leader's work: all partitions, each to one. `nonce` tells whose work it was.
    static func divide(_ members: [String], nonce: UInt64) -> [(String, [UInt8])] {
        members.sorted().enumerated().map { place, id in
            let own = (0..<partitionCount).filter { Int($0) % members.count == place }
            return (id, withBytes(of: nonce) + own.map { UInt8($0) })
        }
    }

    private static func withBytes(of nonce: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: nonce >> (8 * UInt64($0))) }
    }

    static func read(_ assignment: [UInt8]) -> (nonce: [UInt8], partitions: [Int32])? {
        assignment.count < 8 ? nil : (Array(assignment[0..<8]), assignment[8...].map { Int32($0) })
    }
}
