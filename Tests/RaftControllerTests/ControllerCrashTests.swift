import Base
import ClusterMetadata
import KafkaProtocol
import LogStorage
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import RaftController

/// What was answered, as a client would remember it.
private struct Promises {
    var topics: [String: TopicID] = [:]
    var deleted: Set<String> = []
    var settings: [String: String] = [:]
    var producerIDs: [ProducerID] = []
    /// Asked for and not answered: it may be either way.
    var uncertain: Set<String> = []
}

@Suite("The controller under crashes")
struct ControllerCrashTests {
    /// Submits a few random commands of a turn, noting what is answered.
    private func turn(
        _ process: ControllerFixture.Process, _ promises: Box<Promises>, _ number: inout Int,
        _ generator: inout SeededGenerator
    ) {
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            number += 1
            let name = "t\(number)"
            switch generator.next() % 5 {
            case 0, 1:
                promises.value.uncertain.insert(name)
                process.controller.submit(CreateTopics(topics: [.init(name: name, partitionCount: 2)])) {
                    guard case .success(let outcomes) = $0, case .success(let made) = outcomes[0].result
                    else { return }
                    promises.value.uncertain.remove(name)
                    promises.value.topics[name] = made.id
                }
            case 2:
                guard let victim = promises.value.topics.keys.min() else { continue }
                let id = promises.value.topics.removeValue(forKey: victim)
                promises.value.uncertain.insert(victim)
                process.controller.submit(DeleteTopics(topics: [.name(victim)])) {
                    guard case .success(let outcomes) = $0, case .success(let gone) = outcomes[0].result
                    else { return }
                    #expect(gone.id == id)
                    promises.value.uncertain.remove(victim)
                    promises.value.deleted.insert(victim)
                }
            case 3:
                process.controller.submit(
                    IncrementalAlterConfigurations([
                        .init(.broker(1), [.init(name: name, operation: .set, value: "\(number)")])
                    ])
                ) {
                    guard case .success(let outcomes) = $0, outcomes[0].refusal == nil else { return }
                    promises.value.settings[name] = name
                }
            default:
                process.controller.submit(
                    AllocateProducerIDs(brokerID: 1, brokerEpoch: process.brokerEpoch)
                ) {
                    guard case .success(let block) = $0 else { return }
                    promises.value.producerIDs.append(block.first)
                }
            }
        }
    }

    private func check(_ image: MetadataImage, _ promises: Promises, _ context: String) {
        for (name, id) in promises.topics {
            #expect(image.topics[name]?.id == id, "\(context): topic \(name) is lost")
            #expect(image.topics[name]?.partitions.count == 2, "\(context): \(name) is torn")
        }
        for name in promises.deleted where !promises.uncertain.contains(name) {
            #expect(image.topics[name] == nil, "\(context): topic \(name) is back")
        }
        for topic in image.topics.all {
            let isKnown =
                promises.topics[topic.name] != nil || promises.uncertain.contains(topic.name)
            #expect(isKnown, "\(context): topic \(topic.name) came from nowhere")
            #expect(topic.partitions.count == 2, "\(context): \(topic.name) is torn")
        }
        for name in promises.settings.keys {
            #expect(image.configurations[.broker(1)][name] != nil, "\(context): setting \(name) is lost")
        }
        #expect(Set(promises.producerIDs).count == promises.producerIDs.count, "\(context)")
        if let last = promises.producerIDs.map(\.rawValue).max() {
            #expect(image.nextProducerID.rawValue >= last + 1000, "\(context): producer IDs given twice")
        }
    }

    private func fixture(_ seed: UInt64) -> ControllerFixture {
        let fixture = ControllerFixture(seed: seed)
        fixture.settings.segmentByteCount = 3000
        fixture.settings.fileDeleteDelayMilliseconds = 0
        fixture.configuration.snapshotByteCount = 2500
        return fixture
    }

    /// Runs a script of turns with a crash in the middle of the `change`th operation that changes the disk.
    /// - Returns: how many such operations a run has; nil when the crash came.
    private func run(seed: UInt64, crashAtChange change: Int?) throws -> Int? {
        let fixture = fixture(seed)
        var generator = SeededGenerator(seed: seed)
        let promises = Box(Promises())
        var number = 0
        if let change { fixture.disk.install(.losingPower(atChange: change)) }
        do {
            let process = try fixture.start()
            for _ in 0..<12 {
                turn(process, promises, &number, &generator)
                process.settle()
                process.controller.maintain()
                try process.manager.checkpoint()
                if fixture.disk.hasLostPower { break }
            }
        } catch {
            guard fixture.disk.hasLostPower else { throw error }
        }
        guard fixture.disk.hasLostPower else { return fixture.disk.changeCount }
        fixture.crash(&generator)
        fixture.disk.liftFaults()
        let again = try fixture.start()
        check(again.controller.image, promises.value, "seed \(seed), crash at change \(change ?? 0)")
        // And it goes on.
        _ = try again.run(CreateTopics(topics: [.init(name: "after")]))
        return nil
    }

    @Test("a crash at every write loses nothing that was answered", arguments: 1...3)
    func everyWrite(seed: UInt64) throws {
        let count = try #require(try run(seed: seed, crashAtChange: nil))
        #expect(count > 100)
        for change in 1...count { #expect(try run(seed: seed, crashAtChange: change) == nil) }
    }

    @Test("crash after crash, an image follows from what was answered", arguments: 1...40)
    func manyCrashes(seed: UInt64) throws {
        let fixture = fixture(seed)
        var generator = SeededGenerator(seed: seed)
        let promises = Box(Promises())
        var number = 0
        for round in 0..<6 {
            let process = try fixture.start()
            check(process.controller.image, promises.value, "seed \(seed), round \(round)")
            for _ in 0..<8 {
                turn(process, promises, &number, &generator)
                process.lane.flush()
                for _ in 0..<Int.random(in: 0..<4, using: &generator) { process.queue.step() }
                process.lane.flush()
                process.controller.maintain()
                if generator.chance(1, in: 3) { try process.manager.checkpoint() }
            }
            #expect(process.observer.image == process.controller.image)
            fixture.crash(&generator)
        }
    }
}

/// Something that closures share.
final class Box<Value> {
    var value: Value
    init(_ value: Value) { self.value = value }
}
