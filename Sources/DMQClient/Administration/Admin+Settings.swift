internal import KafkaProtocol
internal import RecordFormat
internal import Transport

extension Admin {
    /// The settings of a topic or a broker, by name.
    /// - Parameters:
    ///   - names: nil for all.
    ///   - documentation: whether the broker is asked to explain them.
    public func describeSettings(
        of resource: ConfigResource, names: [String]? = nil, documentation: Bool = false
    ) async throws(ClientError) -> [ConfigEntry] {
        let request = DescribeConfigsRequest(
            resources: [
                DescribeConfigsRequest.DescribeConfigsResource(
                    resourceType: resource.kind, resourceName: resource.name, configurationKeys: names)
            ], includeSynonyms: false, includeDocumentation: documentation)
        let oldest: Int16 = documentation ? 3 : 1
        let versions = oldest...DescribeConfigsRequest.versions.upperBound
        return try await ask(
            request, to: Self.place(of: resource), versions: versions,
            refusal: { response, broker in
                guard let found = response.results.first else {
                    return .malformed(broker: broker, api: .describeConfigs, reason: "the answer is empty")
                }
                if found.errorCode == .none { return nil }
                return .refused(
                    broker: broker, api: .describeConfigs, subject: "the settings of \(resource)",
                    code: found.errorCode, message: found.errorMessage)
            },
            { response, _ in
                (response.results.first?.configs ?? []).map { ConfigEntry($0) }.sorted { $0.name < $1.name }
            })
    }

    /// Changes single settings of a topic or a broker and leaves the others as they are.
    /// - Parameter onlyValidates: nothing is changed, only checked.
    public func alterSettings(
        of resource: ConfigResource, _ changes: [(name: String, change: ConfigChange)],
        onlyValidates: Bool = false
    ) async throws(ClientError) {
        let request = IncrementalAlterConfigsRequest(
            resources: [
                IncrementalAlterConfigsRequest.AlterConfigsResource(
                    resourceType: resource.kind, resourceName: resource.name,
                    configs: changes.map { name, change in
                        IncrementalAlterConfigsRequest.AlterableConfig(
                            name: name, configOperation: change.number, value: change.value)
                    })
            ], validateOnly: onlyValidates)
        let _: Bool = try await ask(
            request, to: Self.place(of: resource),
            refusal: { response, broker in
                guard let found = response.responses.first else {
                    return .malformed(
                        broker: broker, api: .incrementalAlterConfigs, reason: "the answer is empty")
                }
                if found.errorCode == .none { return nil }
                return .refused(
                    broker: broker, api: .incrementalAlterConfigs, subject: "settings of \(resource)",
                    code: found.errorCode, message: found.errorMessage)
            },
            { _, _ in true })
    }

    /// The settings of one broker are that broker's to tell.
    private static func place(of resource: ConfigResource) -> BrokerChoice {
        if case .broker(let id?) = resource { return .node(id) }
        return .controller
    }

    // MARK: Brokers

    /// The cluster and its brokers.
    public func describeCluster() async throws(ClientError) -> ClusterDescription {
        do throws(ClientError) {
            return try await ask(
                DescribeClusterRequest(endpointType: 1), to: .any,
                refusal: { response, broker in
                    if response.errorCode == .none { return nil }
                    return .refused(
                        broker: broker, api: .describeCluster, subject: "the cluster",
                        code: response.errorCode, message: response.errorMessage)
                },
                { response, _ in ClusterDescription(response) })
        } catch {
            // Brokers before Kafka 2.8 tell it with the metadata only.
            guard case .unsupportedAPI = error else { throw error }
            return try await ask(MetadataRequest(topics: []), to: .any, versions: 2...13) { response, _ in
                ClusterDescription(response)
            }
        }
    }

    /// The directories of a broker and what lies in them.
    /// - Parameter broker: nil for all brokers.
    public func describeLogDirectories(
        broker: Int32? = nil
    ) async throws(ClientError) -> [LogDirectoryDescription] {
        var brokers = broker.map { [$0] } ?? []
        if broker == nil { brokers = try await describeCluster().brokers.map(\.id) }
        var results: [LogDirectoryDescription] = []
        for id in brokers {
            results += try await ask(
                DescribeLogDirsRequest(topics: nil), to: .node(id),
                refusal: { response, broker in
                    if response.errorCode == .none { return nil }
                    return .refused(
                        broker: broker, api: .describeLogDirs, subject: "log directories",
                        code: response.errorCode, message: nil)
                },
                { response, _ in
                    response.results.map { LogDirectoryDescription($0, broker: id) }
                        .sorted { $0.path < $1.path }
                })
        }
        return results
    }
}

extension ConfigChange {
    var number: Int8 {
        switch self {
        case .set: 0
        case .delete: 1
        case .append: 2
        case .subtract: 3
        }
    }

    var value: String? {
        switch self {
        case .set(let value), .append(let value), .subtract(let value): value
        case .delete: nil
        }
    }
}

extension ConfigEntry {
    private static let sources = [
        "UNKNOWN", "DYNAMIC_TOPIC_CONFIG", "DYNAMIC_BROKER_CONFIG", "DYNAMIC_DEFAULT_BROKER_CONFIG",
        "STATIC_BROKER_CONFIG", "DEFAULT_CONFIG", "DYNAMIC_BROKER_LOGGER_CONFIG", "CLIENT_METRICS_CONFIG",
        "GROUP_CONFIG",
    ]
    private static let types = [
        "UNKNOWN", "BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD",
    ]

    init(_ entry: DescribeConfigsResponse.DescribeConfigsResourceResult) {
        name = entry.name
        value = entry.value
        isReadOnly = entry.readOnly
        isDefault = entry.configSource == 5 || entry.isDefault
        isSensitive = entry.isSensitive
        source = Self.name(entry.configSource, Self.sources)
        type = Self.name(entry.configType, Self.types)
        documentation = entry.documentation
    }

    private static func name(_ number: Int8, _ names: [String]) -> String {
        names.indices.contains(Int(number)) ? names[Int(number)] : "UNKNOWN"
    }
}

extension ClusterDescription {
    init(_ response: DescribeClusterResponse) {
        clusterID = response.clusterID
        controllerID = response.controllerID < 0 ? nil : response.controllerID
        brokers = response.brokers.map {
            Broker(
                id: $0.brokerID, endpoint: BrokerEndpoint(host: $0.host, port: UInt16(clamping: $0.port)),
                rack: $0.rack, isFenced: $0.isFenced)
        }.sorted { $0.id < $1.id }
    }

    init(_ response: MetadataResponse) {
        clusterID = response.clusterID ?? ""
        controllerID = response.controllerID < 0 ? nil : response.controllerID
        brokers = response.brokers.map {
            Broker(
                id: $0.nodeID, endpoint: BrokerEndpoint(host: $0.host, port: UInt16(clamping: $0.port)),
                rack: $0.rack, isFenced: false)
        }.sorted { $0.id < $1.id }
    }
}

extension LogDirectoryDescription {
    init(_ result: DescribeLogDirsResponse.DescribeLogDirsResult, broker: Int32) {
        self.broker = broker
        path = result.logDir
        fault =
            result.errorCode == .none ? nil : "\(result.errorCode.name): \(result.errorCode.message)"
        totalByteCount = result.totalBytes < 0 ? nil : result.totalBytes
        usableByteCount = result.usableBytes < 0 ? nil : result.usableBytes
        replicas = result.topics.flatMap { topic in
            topic.partitions.map {
                Replica(
                    partition: TopicPartition(topic: topic.name, partition: $0.partitionIndex),
                    byteCount: $0.partitionSize, offsetLag: $0.offsetLag, isFuture: $0.isFutureKey)
            }
        }.sorted {
            ($0.partition.topic, $0.partition.partition) < ($1.partition.topic, $1.partition.partition)
        }
    }
}
