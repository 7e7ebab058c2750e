internal import RecordFormat

/// Each topic by itself: its readers, static members first, get one run of neighbouring partitions each, the
/// first of them one more where the count does not divide.
enum RangeAssignment {
    static func assign(_ subject: AssignmentSubject) -> [PartitionSet] {
        var result = Array(repeating: PartitionSet(), count: subject.members.count)
        for (topic, readers) in zip(subject.topics, subject.readers) where !readers.isEmpty {
            let inOrder = readers.sorted { isBefore(subject.members[$0], subject.members[$1]) }
            let count = Int(topic.partitionCount)
            var first = 0
            for (place, member) in inOrder.enumerated() {
                let own = count / inOrder.count + (place < count % inOrder.count ? 1 : 0)
                for partition in first..<(first + own) {
                    result[member].insert(topic.id, Int32(partition))
                }
                first += own
            }
        }
        return result
    }

    /// Static members go by their instance IDs, which stay the same when they come back.
    private static func isBefore(
        _ left: AssignmentSubject.Member, _ right: AssignmentSubject.Member
    ) -> Bool {
        switch (left.instanceID, right.instanceID) {
        case (let left?, let right?): left < right
        case (.some, nil): true
        case (nil, .some): false
        case (nil, nil): left.id < right.id
        }
    }
}
