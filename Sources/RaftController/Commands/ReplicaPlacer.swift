public import Base
public import ClusterMetadata

/// Where the replicas of new partitions go: leaders and replicas evenly over the brokers, and the replicas of
/// one partition over as many racks as there are. A pure function of its inputs.
public struct ReplicaPlacer {
    /// A broker that takes replicas.
    private struct Place {
        let id: Int32
        let rack: String?
        /// May take replicas, but leads nothing for the time being.
        let isFenced: Bool
        /// Breaks ties: drawn, so that clusters of equal brokers do not all begin with the first.
        let rank: UInt64
        /// Within the topic, then within the cluster.
        var topicLeaders = 0
        var topicReplicas = 0
        var allLeaders: Int
        var allReplicas: Int
    }

    private var places: [Place]

    /// - Parameters:
    ///   - brokers: those that may be chosen.
    ///   - topics: what they hold so far.
    public init(_ brokers: [BrokerImage], holding topics: TopicsImage, _ generator: inout SeededGenerator) {
        var leaders: [Int32: Int] = [:]
        var replicas: [Int32: Int] = [:]
        // With one broker there is nothing to choose, so nothing has to be counted.
        if brokers.count > 1 {
            for topic in topics.all {
                for partition in topic.partitions {
                    leaders[partition.replicas.first ?? PartitionImage.noLeader, default: 0] += 1
                    for replica in partition.replicas { replicas[replica, default: 0] += 1 }
                }
            }
        }
        places = brokers.map { broker in
            Place(
                id: broker.id, rack: broker.rack, isFenced: !broker.isActive, rank: generator.next(),
                allLeaders: leaders[broker.id] ?? 0, allReplicas: replicas[broker.id] ?? 0)
        }
    }

    /// How many brokers may be chosen.
    public var brokerCount: Int { places.count }

    /// How many of them may lead at present.
    public var activeCount: Int { places.count { !$0.isFenced } }

    /// Begins a new topic: evenness counts anew within it.
    /// - Parameter existing: its partitions so far.
    public mutating func beginTopic(_ existing: [PartitionImage] = []) {
        for index in places.indices {
            let id = places[index].id
            places[index].topicLeaders = existing.count { $0.replicas.first == id }
            places[index].topicReplicas = existing.count { $0.replicas.contains(id) }
        }
    }

    /// The replicas of the topic's next partition, the preferred leader first.
    ///
    /// - Parameter count: 1 up to `brokerCount`.
    public mutating func place(_ count: Int) -> [Int32] {
        invariant(
            count >= 1 && count <= places.count, "\(count) replicas on \(places.count) brokers")
        var chosen: [Int] = []
        while chosen.count < count {
            let isLeader = chosen.isEmpty
            let racks = Set(chosen.map { rackName(places[$0]) })
            let candidates = places.indices.filter { !chosen.contains($0) }
            let best = candidates.min { left, right in
                key(places[left], isLeader, racks).lexicographicallyPrecedes(
                    key(places[right], isLeader, racks))
            }
            guard let best else { break }
            chosen.append(best)
        }
        for (position, index) in chosen.enumerated() {
            places[index].topicReplicas += 1
            places[index].allReplicas += 1
            if position == 0 {
                places[index].topicLeaders += 1
                places[index].allLeaders += 1
            }
        }
        return chosen.map { places[$0].id }
    }

    /// Brokers without a rack are each one of their own.
    private func rackName(_ place: Place) -> String { place.rack ?? "\u{0}\(place.id)" }

    /// The smaller, the better.
    private func key(_ place: Place, _ isLeader: Bool, _ racks: Set<String>) -> [UInt64] {
        let counts =
            isLeader
            ? [place.topicLeaders, place.topicReplicas, place.allLeaders, place.allReplicas]
            : [place.topicReplicas, place.allReplicas]
        return [place.isFenced ? 1 : 0, racks.contains(rackName(place)) ? 1 : 0]
            + counts.map { UInt64($0) } + [place.rank]
    }
}
