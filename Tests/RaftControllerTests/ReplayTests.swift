import Base
import ClusterMetadata
import KafkaProtocol
import LogStorage
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import RaftController

/// Random commands against a controller, beside a model that knows only names and numbers.
@Suite("Random commands")
struct ReplayTests {
    /// What the commands should have come to.
    private struct Model {
        var partitions: [String: Int] = [:]
        var settings: [String: [String: String]] = [:]
        var quotas: [String: Double] = [:]
        var nextProducerID: Int64 = 0
    }

    private static let names = ["a", "b", "c", "d.e", "d_e", "f", "bad name"]

    private func step(
        _ process: ControllerFixture.Process, _ model: inout Model, _ generator: inout SeededGenerator
    ) throws {
        let name = Self.names[Int(generator.next() % UInt64(Self.names.count))]
        let number = Int(generator.next() % 6)
        switch generator.next() % 7 {
        case 0, 1:
            let outcome = try process.run(
                CreateTopics(topics: [
                    .init(
                        name: name, partitionCount: Int32(number), configuration: ["x": "\(number)"])
                ]))[0].result
            let twin = name == "d.e" ? "d_e" : name == "d_e" ? "d.e" : ""
            let expected: ErrorCode? =
                name == "bad name"
                ? .invalidTopicException
                : model.partitions[name] != nil
                    ? .topicAlreadyExists
                    : model.partitions[twin] != nil
                        ? .invalidTopicException : number == 0 ? .invalidPartitions : nil
            #expect(code(outcome) == expected)
            if expected == nil {
                model.partitions[name] = number
                model.settings[name] = ["x": "\(number)"]
            }
        case 2:
            let outcome = try process.run(DeleteTopics(topics: [.name(name)]))[0].result
            #expect(code(outcome) == (model.partitions[name] == nil ? .unknownTopicOrPartition : nil))
            model.partitions[name] = nil
            model.settings[name] = nil
        case 3:
            let refusal = try process.run(
                CreatePartitions(topics: [.init(name: name, partitionCount: Int32(number))]))[0].refusal
            let present = model.partitions[name]
            #expect(
                refusal?.code
                    == (present == nil
                        ? .unknownTopicOrPartition : number <= present ?? 0 ? .invalidPartitions : nil))
            if let present, number > present { model.partitions[name] = number }
        case 4: try alter(process, name, number, &model, &generator)
        case 5:
            let value = number == 0 ? nil : Double(number)
            let entity = ClientQuotaEntity([.init(type: "user", name: name)])
            let outcome = try process.run(AlterClientQuotas([.init(entity, ["producer_byte_rate": value])]))
            #expect(outcome[0].refusal == nil)
            model.quotas[name] = value
        default:
            let block = try process.run(
                AllocateProducerIDs(brokerID: 1, brokerEpoch: process.brokerEpoch))
            #expect(block.first.rawValue == model.nextProducerID)
            model.nextProducerID += 1000
        }
    }

    private func alter(
        _ process: ControllerFixture.Process, _ name: String, _ number: Int, _ model: inout Model,
        _ generator: inout SeededGenerator
    ) throws {
        let exists = model.partitions[name] != nil
        let key = "k\(number % 3)"
        let refusal: CommandRefusal?
        var settings = model.settings[name] ?? [:]
        switch generator.next() % 5 {
        case 0:
            refusal = try process.run(AlterConfigurations([.init(.topic(name), [key: "\(number)"])]))[0]
                .refusal
            settings = [key: "\(number)"]
        case 1:
            refusal = try incremental(process, name, .init(name: key, operation: .delete))
            settings[key] = nil
        case 2:
            refusal = try incremental(
                process, name, .init(name: key, operation: .append, value: "v\(number)"))
            var parts = (settings[key] ?? "").split(separator: ",").map(String.init)
            if !parts.contains("v\(number)") { parts.append("v\(number)") }
            settings[key] = parts.joined(separator: ",")
        case 3:
            refusal = try incremental(
                process, name, .init(name: key, operation: .subtract, value: "v\(number)"))
            settings[key] = (settings[key] ?? "").split(separator: ",").filter { $0 != "v\(number)" }
                .joined(separator: ",")
        default:
            refusal = try incremental(process, name, .init(name: key, operation: .set, value: "\(number)"))
            settings[key] = "\(number)"
        }
        #expect(refusal?.code == (exists ? nil : .unknownTopicOrPartition))
        if exists { model.settings[name] = settings }
    }

    private func incremental(
        _ process: ControllerFixture.Process, _ name: String, _ change: IncrementalAlterConfigurations.Change
    ) throws -> CommandRefusal? {
        try process.run(IncrementalAlterConfigurations([.init(.topic(name), [change])]))[0].refusal
    }

    private func code<Value>(_ result: Result<Value, CommandRefusal>) -> ErrorCode? {
        if case .failure(let refusal) = result { refusal.code } else { nil }
    }

    private func check(_ image: MetadataImage, _ model: Model) {
        #expect(image.topics.count == model.partitions.count)
        #expect(image.topics.partitionCount == model.partitions.values.reduce(0, +))
        for (name, count) in model.partitions {
            #expect(image.topics[name]?.partitions.count == count)
            #expect(image.configurations[.topic(name)] == (model.settings[name] ?? [:]))
        }
        for name in Self.names {
            let entity = ClientQuotaEntity([.init(type: "user", name: name)])
            #expect(image.clientQuotas[entity]["producer_byte_rate"] == model.quotas[name])
        }
        #expect(image.nextProducerID.rawValue == model.nextProducerID)
    }

    @Test(
        "random commands do what the model says; replay makes each image again; snapshots change nothing",
        arguments: 1...10)
    func random(seed: UInt64) throws {
        let fixture = ControllerFixture(seed: seed)
        var generator = SeededGenerator(seed: seed)
        let process = try fixture.start()
        var model = Model()
        var images: [Offset: MetadataImage] = [process.controller.committedOffset: process.controller.image]
        process.observer.onUpdate = { images[$0.endOffset] = process.controller.image }
        for number in 0..<150 {
            try step(process, &model, &generator)
            check(process.controller.image, model)
            if seed % 2 == 0, number % 40 == 39 { process.controller.writeSnapshot() }
        }
        #expect(process.observer.image == process.controller.image)
        try replay(process, images)
        let last = process.controller.image
        fixture.crash(&generator, mode: .keepAll)
        var again = try fixture.start().controller.image
        // The new start raises leader epochs and registers the broker anew: all else is as it was.
        #expect(again.topics == last.topics.withRaisedEpochs)
        for resource in last.configurations.resources {
            #expect(again.configurations[resource] == last.configurations[resource])
        }
        again = last
        check(again, model)
    }

    /// Reads the log record by record from an empty image, as it was before any snapshot.
    private func replay(
        _ process: ControllerFixture.Process, _ images: [Offset: MetadataImage]
    ) throws {
        var replayed = MetadataImage()
        var compared = 0
        let log = process.log.log
        guard log.logStartOffset == .zero else { return }
        var next = Offset.zero
        while let slice = try log.read(from: next, maximumByteCount: 1 << 20, limit: .logEnd).slice {
            var batches = BatchFile(
                file: slice.file, from: slice.position, endPosition: slice.position + Int64(slice.byteCount))
            while let (buffer, header) = try batches.next() {
                var entries: [MetadataEntry] = []
                try MetadataBatch.forEach(
                    in: buffer.bytes(0..<header.byteCount), header: header, decompressor: Decompressor()
                ) { entry, _ in entries.append(entry) }
                for case .record(let record) in entries { try replayed.apply(record) }
                if let image = images[header.nextOffset] {
                    #expect(replayed == image)
                    compared += 1
                }
            }
            next = slice.nextOffset
        }
        #expect(compared == images.count)
        #expect(compared > 40)
    }
}
