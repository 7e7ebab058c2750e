import Base
import ClusterMetadata
import KafkaProtocol
import LogStorage
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import RaftController

@Suite("The controller on its log")
struct ControllerTests {
    private func topic(_ name: String, partitions: Int32 = 1) -> CreateTopics {
        CreateTopics(topics: [.init(name: name, partitionCount: partitions)])
    }

    @Test("a new cluster begins with its version and its broker, committed before the start returns")
    func bootstrap() throws {
        let fixture = ControllerFixture()
        let process = try fixture.start()
        let image = process.controller.image
        #expect(image.metadataVersion == .standard)
        let broker = try #require(image.brokers[1])
        #expect(!broker.isFenced)
        #expect(broker.endpoints == [NodeEndpoint(name: "PLAINTEXT", host: "localhost", port: 9092)])
        #expect(process.log.log.syncedEndOffset == process.log.log.logEndOffset)
        #expect(process.controller.committedOffset == process.log.log.logEndOffset)
        #expect(process.controller.epoch == LeaderEpoch(1))
        let state = try QuorumStateFile(directory: "/data/__cluster_metadata-0", process.fileSystem).read()
        #expect(state == QuorumState(leaderID: 1, leaderEpoch: LeaderEpoch(1)))
        let metadata = try PartitionMetadata.read(
            "/data/__cluster_metadata-0/partition.metadata", process.fileSystem)
        #expect(metadata?.topicID == .clusterMetadata)
    }

    @Test("many commands share a sync, and are answered in order after observers have heard")
    func sharedSync() throws {
        let process = try ControllerFixture().start()
        var answered: [Int] = []
        for number in 0..<100 {
            process.controller.submit(topic("t\(number)")) { result in
                #expect(process.observer.image.topics["t\(number)"] != nil)
                #expect((try? result.get()) != nil)
                answered.append(number)
            }
        }
        #expect(process.controller.image.topics.count == 0)
        #expect(answered.isEmpty)
        process.settle()
        #expect(answered == Array(0..<100))
        #expect(process.observer.updates.count < 5)
        #expect(process.observer.image == process.controller.image)
    }

    @Test("a command sees what was decided before it and is not committed yet; so do refusals")
    func pendingState() throws {
        let process = try ControllerFixture().start()
        var order: [String] = []
        process.controller.submit(topic("a")) { _ in order.append("made") }
        process.controller.submit(topic("a")) { result in
            if case .success(let outcomes) = result, case .failure(let refusal) = outcomes[0].result {
                order.append("\(refusal.code)")
            }
        }
        process.controller.submit(FenceBroker(brokerID: 77)) { result in
            if case .failure(let refusal) = result { order.append("\(refusal.code)") }
        }
        #expect(order.isEmpty)
        process.settle()
        #expect(order == ["made", "TOPIC_ALREADY_EXISTS", "BROKER_ID_NOT_REGISTERED"])
    }

    @Test("completions may submit more")
    func reentrant() throws {
        let process = try ControllerFixture().start()
        var left = 20
        func next() {
            process.controller.submit(topic("t\(left)")) { _ in
                left -= 1
                if left > 0 { next() }
            }
        }
        next()
        process.settle()
        #expect(left == 0)
        #expect(process.controller.image.topics.count == 20)
    }

    @Test("each start leads in a new epoch, and partitions are led in a new one unless nothing was lost")
    func epochs() throws {
        let fixture = ControllerFixture()
        let first = try fixture.start()
        _ = try first.run(topic("a", partitions: 3))
        first.controller.stop()
        first.manager.close()
        first.store.markCleanShutdown()
        var generator = SeededGenerator(seed: 1)
        fixture.disk.killProcesses(&generator)
        let second = try fixture.start(wasShutDownCleanly: true)
        #expect(second.controller.epoch == LeaderEpoch(2))
        #expect(second.brokerEpoch > first.brokerEpoch)
        let kept = try #require(second.controller.image.topics["a"]).partitions.map(\.leaderEpoch)
        #expect(kept == [LeaderEpoch(0), LeaderEpoch(0), LeaderEpoch(0)])
        fixture.crash(&generator)
        let third = try fixture.start()
        #expect(third.controller.epoch == LeaderEpoch(3))
        let raised = try #require(third.controller.image.topics["a"]).partitions
        #expect(raised.map(\.leaderEpoch) == [LeaderEpoch(1), LeaderEpoch(1), LeaderEpoch(1)])
        #expect(raised.map(\.leader) == [1, 1, 1])
    }

    @Test("the log of another quorum is refused")
    func otherVoters() throws {
        let fixture = ControllerFixture()
        try fixture.start()
        var generator = SeededGenerator(seed: 1)
        fixture.crash(&generator, mode: .keepAll)
        let fileSystem = fixture.disk.mount()
        let path = "/data/__cluster_metadata-0/quorum-state"
        let text =
            #"{"clusterId":"","leaderId":1,"leaderEpoch":5,"votedId":-1,"appliedOffset":0,"#
            + #""currentVoters":[{"voterId":1},{"voterId":2}],"data_version":0}"#
        try AtomicFile.replace(path, with: Array(text.utf8), fileSystem)
        #expect(throws: ControllerError.self) { try fixture.start() }
        let alone = text.replacing(#",{"voterId":2}"#, with: "")
        try AtomicFile.replace(path, with: Array(alone.utf8), fixture.disk.mount())
        fixture.crash(&generator, mode: .keepAll)
        #expect(try fixture.start().controller.epoch == LeaderEpoch(6))
    }

    @Test("the state file is read in both versions and refused when damaged")
    func stateFile() throws {
        let state = QuorumState(
            leaderID: nil, leaderEpoch: LeaderEpoch(9), votedID: 4,
            votedDirectoryID: DirectoryID(UniqueID(high: 1, low: 2)))
        let bytes = QuorumStateFile.encode(state)
        #expect(try QuorumStateFile.parse(bytes, path: "f") == state)
        let old =
            #"{"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,"#
            + #""currentVoters":[{"voterId":1}],"data_version":0}"#
        #expect(
            try QuorumStateFile.parse(Array(old.utf8), path: "f")
                == QuorumState(leaderID: 1, leaderEpoch: LeaderEpoch(1), voters: [1]))
        for count in 0..<bytes.count {
            #expect(throws: StateFileError.self) {
                try QuorumStateFile.parse(Array(bytes.prefix(count)), path: "f")
            }
        }
        for text in [
            "", "{}", #"{"leaderEpoch":-1,"data_version":1}"#, #"{"leaderEpoch":1,"data_version":2}"#,
        ] {
            #expect(throws: StateFileError.self) {
                try QuorumStateFile.parse(Array(text.utf8), path: "f")
            }
        }
    }

    @Test("a failed write refuses what waits and everything after it, with the reason")
    func failedWrite() throws {
        let fixture = ControllerFixture()
        let process = try fixture.start()
        _ = try process.run(topic("a"))
        fixture.disk.install(
            DiskFaultPlan([DiskFault([.sync], trigger: .from(1), effect: .fail(.inputOutput))]))
        var refusals: [CommandRefusal] = []
        for name in ["b", "c"] {
            process.controller.submit(topic(name)) { result in
                if case .failure(let refusal) = result { refusals.append(refusal) }
            }
        }
        process.settle()
        #expect(refusals.map(\.code) == [.kafkaStorageError, .kafkaStorageError])
        #expect(process.controller.failure != nil)
        process.controller.submit(topic("d")) { result in
            if case .failure(let refusal) = result { refusals.append(refusal) }
        }
        #expect(refusals.count == 3)
        #expect(refusals[2].message.contains("restart"))
        #expect(process.controller.image.topics.count == 1)
    }

    @Test("a full disk refuses, and the controller goes on when there is room")
    func fullDisk() throws {
        let fixture = ControllerFixture()
        fixture.settings.preallocatesSegments = false
        let process = try fixture.start()
        fixture.disk.install(
            DiskFaultPlan([
                DiskFault([.write], trigger: .nth(1), effect: .fail(.noSpace), maximumCount: 1)
            ]))
        #expect(throws: CommandRefusal.self) { try process.run(topic("a")) }
        #expect(process.controller.failure == nil)
        process.manager.maintain()
        _ = try process.run(topic("b"))
        #expect(process.controller.image.topics.all.map(\.name) == ["b"])
        #expect(process.observer.image == process.controller.image)
        var generator = SeededGenerator(seed: 3)
        fixture.crash(&generator)
        #expect(try fixture.start().controller.image.topics.all.map(\.name) == ["b"])
    }

    @Test("snapshots are made by size and age, the log before them goes, and starts need no more than them")
    func snapshots() throws {
        let fixture = ControllerFixture()
        fixture.settings.segmentByteCount = 10_000
        fixture.settings.fileDeleteDelayMilliseconds = 0
        fixture.configuration.snapshotByteCount = 5000
        let process = try fixture.start()
        var made = 0
        for number in 0..<200 {
            _ = try process.run(topic("t\(number)"))
            if process.controller.maintain() { made += 1 }
        }
        #expect(made > 3)
        #expect(process.log.log.logStartOffset > Offset.zero)
        let names = try process.fileSystem.contents(ofDirectory: process.log.log.path).map(\.name)
        #expect(names.count { $0.hasSuffix(".checkpoint") } == 2)
        _ = try process.run(topic("last"))
        fixture.clock.advance(nanoseconds: 3_700_000_000_000)
        #expect(process.controller.maintain())
        #expect(!process.controller.maintain())
        let image = process.controller.image
        try process.manager.checkpoint()
        var generator = SeededGenerator(seed: 1)
        fixture.crash(&generator)
        let again = try fixture.start()
        #expect(again.controller.image.topics == image.topics.withRaisedEpochs)
        // The newest snapshot is damaged: the one before it and the log between them say the same.
        let newest = try #require(
            names.filter { $0.hasSuffix(".checkpoint") }.max())
        fixture.crash(&generator, mode: .keepAll)
        let fileSystem = fixture.disk.mount()
        let file = try fileSystem.open("/data/__cluster_metadata-0/\(newest)", .readWrite)
        try file.truncate(to: try file.byteCount() - 1)
        let third = try fixture.start()
        #expect(third.controller.image.topics.count == image.topics.count)
    }

    @Test("directories that the metadata does not know are set aside and kept, the others opened")
    func strays() throws {
        let fixture = ControllerFixture()
        let process = try fixture.start()
        let made = try process.run(topic("known", partitions: 3))[0].result.get()
        let other = TopicID(UniqueID(high: 4, low: 4))
        let logs: [(String, Int32, TopicID?)] = [
            ("known", 0, made.id), ("known", 1, nil), ("known", 2, other), ("known", 3, made.id),
            ("unknown", 0, other),
        ]
        for (name, number, id) in logs {
            let log = try process.manager.create(
                TopicPartition(topic: name, partition: number), topicID: id, settings: LogConfiguration())
            // As the first record does.
            try log.syncNow()
        }
        var generator = SeededGenerator(seed: 1)
        fixture.crash(&generator, mode: .keepAll)
        let again = try fixture.start()
        let rule = PartitionDirectories(again.controller.image, nodeID: 1) { _, _ in LogConfiguration() }
        let newID = { @Sendable in UniqueID(high: 12, low: 13) }
        let recovered = again.store.recoverLogs(
            choosing: rule.choice, newID: newID, run: { $0.forEach { $0() } })
        let opened = Set(recovered.map(\.opening.partition.description))
        #expect(opened == ["known-0", "known-1"])
        let names = Set(try again.fileSystem.contents(ofDirectory: "/data").map(\.name))
        for name in ["known-2", "known-3", "unknown-0"] {
            #expect(!names.contains(name))
            #expect(names.contains("\(name).000000000000000c000000000000000d-stray"))
        }
        // It did not say whose it was, and does now, or would with its first record.
        for one in recovered where one.opening.partition.partition == 1 {
            try again.manager.adopt(one).syncNow()
        }
        let metadata = try PartitionMetadata.read("/data/known-1/partition.metadata", again.fileSystem)
        #expect(metadata?.topicID == made.id)
        #expect(fixture.sink.lines(containing: "log set aside").count == 3)
        let settled = again.store.recoverLogs(
            choosing: rule.choice, newID: newID, run: { $0.forEach { $0() } })
        #expect(settled.count == 2)
    }
}

extension TopicsImage {
    /// As after a crash: every leader in a new epoch.
    var withRaisedEpochs: TopicsImage {
        var image = MetadataImage()
        for topic in all {
            try? image.apply(.topic(TopicRecord(name: topic.name, topicID: topic.id)))
            for (number, partition) in topic.partitions.enumerated() {
                try? image.apply(
                    .partition(
                        PartitionRecord(
                            partitionID: Int32(number), topicID: topic.id, replicas: partition.replicas,
                            inSyncReplicas: partition.inSyncReplicas, leader: partition.leader,
                            leaderEpoch: LeaderEpoch(partition.leaderEpoch.rawValue + 1),
                            partitionEpoch: partition.partitionEpoch + 1,
                            directories: partition.directories)))
            }
        }
        return image.topics
    }
}
