import KafkaProtocol
import RecordFormat
import SimulationKit
import Testing

@testable import Broker

/// Transactions over real sockets, with their topics on a real disk.
struct TransactionTests {
    /// A producer as clients of one of the two versions of transactions are.
    private final class Producer {
        private let node: TestNode
        private let client: BrokerClient
        private let version: Int16
        var id = ProducerID.none
        var epoch = ProducerEpoch.none
        private var sequences: [Int32: Int32] = [:]

        init(_ node: TestNode, version: Int16) throws {
            self.node = node
            client = try node.client()
            self.version = version
            try begin()
        }

        private var isBumping: Bool { version >= 2 }

        /// Asks until the coordinator is there and has ended what was open.
        func begin() throws {
            _ = try client.ask(FindCoordinatorRequest(keyType: 1, coordinatorKeys: ["t"]), version: 4)
            let request = InitProducerIDRequest(
                transactionalID: "t", transactionTimeoutMilliseconds: 60_000)
            var answer = try client.ask(request, version: 4)
            while [.notCoordinator, .coordinatorLoadInProgress, .concurrentTransactions].contains(
                answer.errorCode)
            {
                // Markers that were refused are tried again after a while.
                node.advance(milliseconds: 1)
                answer = try client.ask(request, version: 4)
            }
            try #require(answer.errorCode == .none)
            (id, epoch) = (answer.producerID, answer.producerEpoch)
            sequences = [:]
        }

        func add(_ partitions: [Int32]) throws -> [ErrorCode] {
            let request = AddPartitionsToTxnRequest(
                v3AndBelowTransactionalID: "t", v3AndBelowProducerID: id, v3AndBelowProducerEpoch: epoch,
                v3AndBelowTopics: [.init(name: "events", partitions: partitions)])
            while true {
                let answer = try client.ask(request, version: 3)
                let codes = answer.resultsByTopicV3AndBelow.flatMap(\.resultsByPartition)
                    .map(\.partitionErrorCode)
                if codes.first != .concurrentTransactions { return codes }
                node.advance(milliseconds: 1)
            }
        }

        /// Writes one record, and gives the code.
        func produce(_ partition: Int32, _ value: String) throws -> ErrorCode {
            if !isBumping { _ = try add([partition]) }
            let sequence = sequences[partition] ?? 0
            var request = BrokerClient.produce(
                "events",
                [
                    (
                        partition,
                        TestBatches.batch(
                            value: Array(value.utf8), producerID: id.rawValue,
                            producerEpoch: epoch.rawValue, sequence: sequence, isTransactional: true)
                    )
                ])
            request.transactionalID = "t"
            while true {
                let answer = try client.ask(request, version: isBumping ? 12 : 11)
                let code = try #require(answer.responses.first?.partitionResponses.first).errorCode
                if code == .concurrentTransactions || code == .notEnoughReplicas {
                    node.advance(milliseconds: 1)
                    continue
                }
                if code == .none { sequences[partition] = sequence + 1 }
                return code
            }
        }

        func commit(_ offset: Int64) throws -> ErrorCode {
            if !isBumping {
                let added = AddOffsetsToTxnRequest(
                    transactionalID: "t", producerID: id, producerEpoch: epoch, groupID: "group")
                var code = ErrorCode.concurrentTransactions
                while code == .concurrentTransactions {
                    code = try client.ask(added, version: 3).errorCode
                    node.advance(milliseconds: 1)
                }
                try #require(code == .none)
            }
            let request = TxnOffsetCommitRequest(
                transactionalID: "t", groupID: "group", producerID: id, producerEpoch: epoch,
                topics: [
                    .init(
                        name: "events",
                        partitions: [
                            .init(committedOffset: Offset(offset), committedMetadata: nil),
                            .init(partitionIndex: 9, committedMetadata: nil),
                        ])
                ])
            while true {
                let answer = try client.ask(request, version: isBumping ? 5 : 4)
                let codes = try #require(answer.topics.first).partitions.map(\.errorCode)
                #expect(codes.last == .unknownTopicOrPartition)
                let retried: [ErrorCode] = [
                    .concurrentTransactions, .coordinatorNotAvailable, .coordinatorLoadInProgress,
                    .notCoordinator,
                ]
                if let code = codes.first, !retried.contains(code) { return code }
                node.advance(milliseconds: 1)
            }
        }

        func end(_ isCommit: Bool) throws -> ErrorCode {
            let answer = try client.ask(
                EndTxnRequest(
                    transactionalID: "t", producerID: id, producerEpoch: epoch, committed: isCommit),
                version: isBumping ? 5 : 4)
            if isBumping && answer.errorCode == .none {
                #expect(answer.producerID == id && answer.producerEpoch.rawValue == epoch.rawValue + 1)
                epoch = answer.producerEpoch
                sequences = [:]
            }
            return answer.errorCode
        }
    }

    private func state(_ client: BrokerClient) throws -> DescribeTransactionsResponse.TransactionState {
        let answer = try client.ask(DescribeTransactionsRequest(transactionalIDs: ["t"]), version: 0)
        return try #require(answer.transactionStates.first)
    }

    private func awaitState(_ wanted: String, _ node: TestNode, _ client: BrokerClient) throws {
        while try state(client).transactionState != wanted { node.advance(milliseconds: 1) }
    }

    /// The values that a reader of committed records gets.
    private func committed(_ client: BrokerClient, _ partition: Int32) throws -> [String] {
        var values: [String] = []
        var next = Offset.zero
        while true {
            let request = BrokerClient.fetch("events", [(partition, next.rawValue)], isCommitted: true)
            let (answer, bytes) = try #require(try client.fetch(request).first)
            let aborted = Set((answer.abortedTransactions ?? []).map(\.firstOffset))
            var position = 0
            while position < bytes.count {
                let rest = bytes.span.bytes.extracting(position..<bytes.count)
                let header = try RecordBatchHeader(parsing: rest)
                // Each transaction of these tests writes one record to a partition.
                if !header.attributes.isControl && !aborted.contains(header.baseOffset) {
                    let records = try RecordBatch.records(
                        of: rest.extracting(0..<header.byteCount), header: header,
                        decompressor: Decompressor())
                    values += records.map { String(decoding: $0.value ?? [], as: UTF8.self) }
                }
                position += header.byteCount
                next = header.nextOffset
            }
            // Markers are of another time than records, so that each is in a segment of its own.
            if bytes.isEmpty { return values }
        }
    }

    private func offset(_ client: BrokerClient, stable: Bool = true) throws -> (ErrorCode, Int64) {
        let answer = try client.ask(
            OffsetFetchRequest(
                groups: [.init(groupID: "group", topics: [.init(name: "events", partitionIndexes: [0])])],
                requireStable: stable), version: 8)
        let found = try #require(answer.groups.first?.topics.first?.partitions.first)
        return (found.errorCode, found.committedOffset.rawValue)
    }

    private func makeTopics(_ client: BrokerClient) throws {
        _ = try client.ask(
            CreateTopicsRequest(
                topics: [.init(name: "events", numPartitions: 4, replicationFactor: 1)],
                timeoutMilliseconds: 10_000), version: 7)
        _ = try client.ask(FindCoordinatorRequest(coordinatorKeys: ["group"]), version: 4)
    }

    @Test(
        "Records and offsets of a transaction count together or not at all",
        arguments: [(1, 0), (3, 0), (1, 2), (3, 2)])
    func outcomes(lanes: Int, version: Int) throws {
        let node = try TestNode(lanes: lanes)
        let client = try node.client()
        try makeTopics(client)
        let producer = try Producer(node, version: Int16(version))
        for (round, isCommit) in [true, false, true].enumerated() {
            for partition in Int32(0)..<4 {
                #expect(try producer.produce(partition, "\(round)-\(partition)") == .none)
            }
            #expect(try producer.commit(Int64(round + 1)) == .none)
            #expect(try offset(client).0 == .unstableOffsetCommit)
            let described = try state(client)
            #expect(described.transactionState == "Ongoing" && described.topics.count == 2)
            #expect(try producer.end(isCommit) == .none)
            try awaitState(isCommit ? "CompleteCommit" : "CompleteAbort", node, client)
        }
        for partition in Int32(0)..<4 {
            let read = try committed(client, partition)
            #expect(read == ["0-\(partition)", "2-\(partition)"])
        }
        #expect(try offset(client) == (.none, 3))
        node.stop()
    }

    @Test("What a node has left undone when it stops is done by the next", arguments: [1, 3])
    func restart(lanes: Int) throws {
        let directory = try TemporaryDirectory()
        let first = try TestNode(lanes: lanes, in: directory)
        let client = try first.client()
        try makeTopics(client)
        let producer = try Producer(first, version: 2)
        #expect(try producer.produce(0, "a") == .none && producer.commit(7) == .none)
        first.stop()
        let second = try TestNode(lanes: lanes, in: directory)
        let again = try second.client()
        let heir = try Producer(second, version: 2)
        #expect(heir.id == producer.id && heir.epoch > producer.epoch)
        let before = try committed(again, 0)
        #expect(before == [])
        #expect(try heir.produce(0, "b") == .none && heir.end(true) == .none)
        try awaitState("CompleteCommit", second, again)
        let after = try committed(again, 0)
        #expect(after == ["b"])
        #expect(try offset(again) == (.none, -1))
        second.stop()
    }

    @Test("A producer that was replaced writes and commits nothing any more", arguments: [0, 2])
    func zombies(version: Int) throws {
        let node = try TestNode(lanes: 2)
        let client = try node.client()
        try makeTopics(client)
        let old = try Producer(node, version: Int16(version))
        #expect(try old.produce(0, "old") == .none)
        let new = try Producer(node, version: Int16(version))
        #expect(try old.produce(0, "more") == .invalidProducerEpoch)
        #expect(try old.produce(1, "more") == .invalidProducerEpoch)
        #expect(try old.end(true) == .producerFenced)
        #expect(try new.produce(0, "new") == .none && new.end(true) == .none)
        try awaitState("CompleteCommit", node, client)
        let read = try committed(client, 0)
        #expect(read == ["new"])
        node.stop()
    }

    @Test("A partition takes nothing of a transaction that its coordinator does not know")
    func verification() throws {
        let node = try TestNode(lanes: 2)
        let client = try node.client()
        try makeTopics(client)
        let producer = try Producer(node, version: 0)
        func produce(_ version: Int16, id: String?, _ producerID: ProducerID) throws -> ErrorCode? {
            var request = BrokerClient.produce(
                "events",
                [
                    (
                        0,
                        TestBatches.batch(
                            producerID: producerID.rawValue, producerEpoch: producer.epoch.rawValue,
                            sequence: 0, isTransactional: true)
                    )
                ])
            request.transactionalID = id
            return try client.ask(request, version: version).responses.first?.partitionResponses.first?
                .errorCode
        }
        #expect(try produce(10, id: "t", producer.id) == .invalidTxnState)
        #expect(try produce(11, id: "t", producer.id) == .transactionAbortable)
        #expect(try produce(11, id: nil, producer.id) == .invalidTxnState)
        #expect(try produce(11, id: "t", ProducerID(4711)) == .invalidProducerIDMapping)
        #expect(try produce(12, id: "t", producer.id) == ErrorCode.none)
        #expect(try state(client).topics.first?.partitions == [0])
        node.stop()
    }

    @Test("Partitions are added all or none, and none of the broker's own topics")
    func adding() throws {
        let node = try TestNode(lanes: 2)
        let client = try node.client()
        try makeTopics(client)
        let producer = try Producer(node, version: 0)
        #expect(try producer.add([0, 7]) == [.operationNotAttempted, .unknownTopicOrPartition])
        let own = AddPartitionsToTxnRequest(transactions: [
            .init(
                transactionalID: "t", producerID: producer.id, producerEpoch: producer.epoch,
                topics: [.init(name: "__consumer_offsets", partitions: [0])]),
            .init(
                transactionalID: "t", producerID: producer.id, producerEpoch: producer.epoch,
                verifyOnly: true, topics: [.init(name: "events", partitions: [0])]),
        ])
        let codes = try client.ask(own, version: 5).resultsByTransaction.flatMap(\.topicResults)
            .flatMap(\.resultsByPartition).map(\.partitionErrorCode)
        #expect(codes == [.topicAuthorizationFailed, .transactionAbortable])
        let old = try client.ask(own, version: 4).resultsByTransaction.flatMap(\.topicResults)
            .flatMap(\.resultsByPartition).map(\.partitionErrorCode)
        #expect(old.last == .invalidTxnState)
        #expect(try state(client).transactionState == "Empty")
        node.stop()
    }

    @Test("An administrator ends a transaction that nobody knows")
    func hanging() throws {
        let node = try TestNode(lanes: 2, [("transaction.partition.verification.enable", "false")])
        let client = try node.client()
        try makeTopics(client)
        let batch = TestBatches.batch(
            producerID: 7, producerEpoch: 3, sequence: 0, isTransactional: true)
        #expect(try client.produce("events", batch).errorCode == .none)
        try client.produce("events", TestBatches.batch())
        let before = try committed(client, 0)
        #expect(before == [])
        let abort = WriteTxnMarkersRequest(markers: [
            .init(
                producerID: ProducerID(7), producerEpoch: ProducerEpoch(3),
                topics: [.init(name: "events", partitionIndexes: [0, 9])])
        ])
        let codes = try client.ask(abort, version: 1).markers.flatMap(\.topics).flatMap(\.partitions)
            .map(\.errorCode)
        #expect(codes == [.none, .unknownTopicOrPartition])
        let after = try committed(client, 0)
        #expect(after == ["value"])
        node.stop()
    }

    @Test("A transaction that takes too long is aborted")
    func timeout() throws {
        let node = try TestNode(lanes: 2)
        let client = try node.client()
        try makeTopics(client)
        let producer = try Producer(node, version: 0)
        #expect(try producer.produce(0, "late") == .none)
        node.advance(milliseconds: 71_000)
        try awaitState("CompleteAbort", node, client)
        #expect(try producer.end(true) == .producerFenced)
        let read = try committed(client, 0)
        #expect(read == [])
        node.stop()
    }

    @Test("Transactions are listed by state, producer and duration; clients hear that version 2 is there")
    func listing() throws {
        let node = try TestNode(lanes: 2)
        let client = try node.client()
        try makeTopics(client)
        let producer = try Producer(node, version: 0)
        _ = try producer.add([0])
        func list(_ request: ListTransactionsRequest) throws -> [String] {
            try client.ask(request, version: 1).transactionStates.map(\.transactionalID)
        }
        #expect(try list(ListTransactionsRequest()) == ["t"])
        #expect(try list(ListTransactionsRequest(stateFilters: ["Empty"])) == [])
        #expect(try list(ListTransactionsRequest(producerIDFilters: [producer.id.rawValue])) == ["t"])
        #expect(try list(ListTransactionsRequest(durationFilter: 1_000_000)) == [])
        let strange = try client.ask(
            ListTransactionsRequest(stateFilters: ["Nowhere"]), version: 0)
        #expect(strange.unknownStateFilters == ["Nowhere"] && strange.transactionStates.isEmpty)
        let told = try client.ask(
            APIVersionsRequest(clientSoftwareName: "test", clientSoftwareVersion: "1"), version: 4)
        #expect(told.finalizedFeatures.map(\.name) == ["transaction.version"])
        #expect(told.finalizedFeatures.first?.maxVersionLevel == 2)
        node.stop()
    }
}
