internal import KafkaProtocol

/// A way of dividing the partitions that a member of a classic group knows, and what it says about itself
/// in it.
struct ClassicProtocol: Hashable {
    let name: String
    let metadata: [UInt8]
}

/// A member of a classic group.
struct ClassicMember {
    var id: String
    /// Of a static member (KIP-345).
    let instanceID: String?
    let clientID: String
    let clientHost: String
    /// Milliseconds.
    var rebalanceTimeout: Int64
    /// Milliseconds.
    var sessionTimeout: Int64
    /// In the order in which it prefers them.
    var protocols: [ClassicProtocol]
    var assignment: [UInt8] = []

    // What follows is in no record.

    /// It has not been told of its membership: nobody sends heartbeats for it.
    var isNew = false
    /// Its JoinGroup that waits for the others.
    var joining: ReplyToken?
    /// Its SyncGroup that waits for the leader's.
    var syncing: ReplyToken?
    /// When it counts as gone, unless it is heard of; monotonic milliseconds.
    var deadline: Int64 = 0
    /// The earliest timer that looks after the deadline; others have no say.
    var timer: Int64?

    func metadata(_ name: String?) -> [UInt8] { protocols.first { $0.name == name }?.metadata ?? [] }

    /// The first of its protocols that is among `candidates`.
    func vote(_ candidates: Set<String>) -> String? { protocols.first { candidates.contains($0.name) }?.name }
}

/// The members of a group by ID. Taking one out moves the last into its place, so nothing depends on how
/// many there are.
struct ClassicMembers {
    private(set) var all: [ClassicMember] = []
    private var places: [String: Int] = [:]

    var count: Int { all.count }
    var isEmpty: Bool { all.isEmpty }

    func place(of id: String) -> Int? { places[id] }

    func contains(_ id: String) -> Bool { places[id] != nil }

    subscript(id: String) -> ClassicMember? { places[id].map { all[$0] } }

    subscript(place: Int) -> ClassicMember {
        get { all[place] }
        _modify { yield &all[place] }
    }

    mutating func add(_ member: ClassicMember) {
        places[member.id] = all.count
        all.append(member)
    }

    @discardableResult
    mutating func remove(_ id: String) -> ClassicMember? {
        guard let place = places.removeValue(forKey: id) else { return nil }
        let member = all[place]
        let last = all.removeLast()
        if place < all.count {
            all[place] = last
            places[last.id] = place
        }
        return member
    }

    /// The member at `place` is known by another ID from here on.
    mutating func rename(_ place: Int, _ id: String) {
        places[all[place].id] = nil
        all[place].id = id
        places[id] = place
    }
}
