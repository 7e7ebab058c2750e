internal import Base
internal import KafkaProtocol
internal import RecordFormat
internal import SystemIO
internal import Transport

/// Which broker a request goes to.
enum BrokerChoice: Sendable, Equatable, CustomStringConvertible {
    /// Whichever is at hand.
    case any
    /// The one that decides about topics and settings; any where none is known.
    case controller
    case node(Int32)

    var description: String {
        switch self {
        case .any: "any broker"
        case .controller: "the controller"
        case .node(let id): "broker \(id)"
        }
    }
}

/// What all parts of a client share: connections and what is known of the cluster. On the client's lane.
final class ClientCore: @unchecked Sendable {
    // @unchecked: everything that changes is touched on `lane` only.

    let lane: Lane
    let configuration: ClientConfiguration
    let metadata: MetadataCache
    private let bootstrap: [BrokerEndpoint]
    private let resolver = NameResolver()
    private var nodes: [Int32: BrokerConnection] = [:]
    private var bootstrapConnections: [BrokerConnection] = []
    private var nextBootstrap = 0
    private var random: SeededGenerator
    private(set) var isClosed = false
    /// Producers and consumers, which are to be told of the end.
    private var members: [ObjectIdentifier: any ClientMember] = [:]
    /// What went wrong with the last attempts to reach a broker, for those who give up.
    private(set) var recentFailures: [String] = []

    init(_ configuration: ClientConfiguration, bootstrap: [BrokerEndpoint], _ lane: Lane, seed: UInt64) {
        self.configuration = configuration
        self.bootstrap = bootstrap
        self.lane = lane
        random = SeededGenerator(seed: seed)
        metadata = MetadataCache()
        metadata.core = self
    }

    // MARK: Connections

    func makeBackoff() -> Backoff {
        Backoff(first: configuration.backoffMilliseconds, longest: configuration.longestBackoffMilliseconds)
    }

    func pause(_ backoff: inout Backoff) -> Int64 { backoff.next(&random) }

    func randomNumber(below bound: Int) -> Int { Int(random.next() % UInt64(max(bound, 1))) }

    private func makeConnection(_ endpoint: BrokerEndpoint, nodeID: Int32?) -> BrokerConnection {
        let made = BrokerConnection(
            endpoint, nodeID: nodeID, lane, configuration, resolver, seed: random.next())
        made.lost = { [weak self] error in
            guard let self else { return }
            if case .unreachable(let attempts) = error { note(attempts) }
            metadata.brokerLost()
        }
        return made
    }

    private func note(_ attempts: [String]) {
        for attempt in attempts where recentFailures.last != attempt { recentFailures.append(attempt) }
        recentFailures.removeFirst(max(recentFailures.count - 8, 0))
    }

    /// The connection to a broker of the cluster; nil while no such broker is known.
    func connection(_ nodeID: Int32) -> BrokerConnection? {
        if let known = nodes[nodeID] { return known }
        guard let endpoint = metadata.brokers[nodeID], !isClosed else { return nil }
        let made = makeConnection(endpoint, nodeID: nodeID)
        nodes[nodeID] = made
        return made
    }

    /// A connection to some broker: one that is ready, else one that does not pause, else the next address
    /// that the client was given.
    func anyConnection() -> BrokerConnection? {
        if isClosed { return nil }
        let ready = nodes.values.filter(\.isReady)
        if let idlest = ready.filter({ !$0.isThrottled }).min(by: { $0.openCount < $1.openCount })
            ?? ready.min(by: { $0.throttleEnd < $1.throttleEnd })
        {
            return idlest
        }
        if bootstrapConnections.isEmpty {
            bootstrapConnections = bootstrap.map { makeConnection($0, nodeID: nil) }
            nextBootstrap = randomNumber(below: bootstrap.count)
        }
        if let ready = bootstrapConnections.first(where: \.isReady) { return ready }
        let known = metadata.brokers.keys.sorted().compactMap { connection($0) }
        let candidates = bootstrapConnections + known
        for step in 0..<candidates.count {
            let candidate = candidates[(nextBootstrap + step) % candidates.count]
            if candidate.isPausing { continue }
            nextBootstrap = (nextBootstrap + step + 1) % candidates.count
            return candidate
        }
        return candidates.first
    }

    func connection(_ choice: BrokerChoice) -> BrokerConnection? {
        switch choice {
        case .any: return anyConnection()
        case .node(let nodeID): return connection(nodeID)
        case .controller:
            if let controller = metadata.controllerID, let known = connection(controller) { return known }
            return anyConnection()
        }
    }

    /// The metadata says where brokers are.
    func brokersChanged() {
        for (nodeID, connection) in nodes {
            if let endpoint = metadata.brokers[nodeID] {
                connection.move(to: endpoint)
            } else {
                nodes[nodeID] = nil
                connection.close()
            }
        }
        // The addresses from the beginning have done their part as soon as brokers are known by their own.
        if !metadata.brokers.isEmpty {
            for connection in bootstrapConnections { connection.retire() }
        }
    }

    // MARK: Requests

    /// Sends one request once.
    /// - Parameter sent: called instead of a success of `completion` where there is no answer.
    func send<Request: RequestMessage>(
        _ request: Request, to connection: BrokerConnection, versions: ClosedRange<Int16> = Request.versions,
        pieces: [BufferSlice] = [], milliseconds: Int64? = nil, sent: (() -> Void)? = nil,
        _ completion: @escaping (Result<Answer<Request.Response>, ClientError>) -> Void
    ) {
        connection.send(
            TypedExchange(
                request, versions: versions, pieces: pieces,
                milliseconds: milliseconds ?? configuration.requestMilliseconds, sent: sent,
                completion))
    }

    /// Sends a request until it is answered, or the time is over: again after every failure of the connection
    /// and every refusal that `refusal` finds in the answer and that is to be tried again.
    func call<Request: RequestMessage>(
        _ request: Request, to choice: BrokerChoice, versions: ClosedRange<Int16> = Request.versions,
        refusal: @escaping (Request.Response, String) -> ClientError? = { _, _ in nil },
        _ completion: @escaping (Result<Answer<Request.Response>, ClientError>) -> Void
    ) {
        let deadline = lane.moment(afterMilliseconds: configuration.apiMilliseconds)
        Call(self, request, choice, versions, deadline, refusal, completion).attempt()
    }

    // MARK: The end

    func join(_ member: any ClientMember) {
        if isClosed { return member.clientClosed() }
        members[ObjectIdentifier(member)] = member
    }

    func leave(_ member: any ClientMember) { members[ObjectIdentifier(member)] = nil }

    /// Fails everything that waits.
    func close() {
        if isClosed { return }
        isClosed = true
        for member in members.values { member.clientClosed() }
        members = [:]
        for connection in nodes.values { connection.close() }
        for connection in bootstrapConnections { connection.close() }
        nodes = [:]
        bootstrapConnections = []
        metadata.close()
    }

    /// Waits for name servers; not from the lane.
    func finishResolving() { resolver.finish() }
}

/// A part of a client that has somebody wait for it.
protocol ClientMember: AnyObject {
    /// On the lane: nothing will be answered any more.
    func clientClosed()
}

/// A request that is sent until it is answered.
private final class Call<Request: RequestMessage> {
    private let core: ClientCore
    private let request: Request
    private let choice: BrokerChoice
    private let versions: ClosedRange<Int16>
    private let deadline: UInt64
    private let refusal: (Request.Response, String) -> ClientError?
    private let completion: (Result<Answer<Request.Response>, ClientError>) -> Void
    private var backoff: Backoff

    init(
        _ core: ClientCore, _ request: Request, _ choice: BrokerChoice, _ versions: ClosedRange<Int16>,
        _ deadline: UInt64, _ refusal: @escaping (Request.Response, String) -> ClientError?,
        _ completion: @escaping (Result<Answer<Request.Response>, ClientError>) -> Void
    ) {
        self.core = core
        self.request = request
        self.choice = choice
        self.versions = versions
        self.deadline = deadline
        self.refusal = refusal
        self.completion = completion
        backoff = core.makeBackoff()
    }

    func attempt() {
        if core.isClosed { return completion(.failure(.closed)) }
        // Controller and nodes are known by ID only once there is metadata.
        if choice != .any && !core.metadata.isKnown {
            return core.metadata.refresh { [self] result in
                if case .failure(let error) = result, !error.isRetriable || isOver {
                    return completion(.failure(error))
                }
                if case .failure(let error) = result { return again(after: error) }
                send()
            }
        }
        send()
    }

    private var isOver: Bool { core.lane.now >= deadline }

    private func send() {
        guard let connection = core.connection(choice) else {
            if core.isClosed { return completion(.failure(.closed)) }
            return again(after: .unreachable(attempts: ["\(choice) is not part of the cluster"]))
        }
        let left = Int64(clamping: (deadline - min(core.lane.now, deadline)) / 1_000_000)
        let milliseconds = max(1, min(left, core.configuration.requestMilliseconds))
        core.send(request, to: connection, versions: versions, milliseconds: milliseconds) { [self] result in
            switch result {
            case .success(let answer):
                if let error = refusal(answer.body, answer.broker), error.isRetriable {
                    return again(after: error, orElse: result)
                }
                completion(result)
            case .failure(let error): again(after: error)
            }
        }
    }

    private func again(
        after error: ClientError, orElse last: Result<Answer<Request.Response>, ClientError>? = nil
    ) {
        let pause = core.pause(&backoff)
        let next = core.lane.moment(afterMilliseconds: pause)
        if !error.isRetriable || next >= deadline {
            var final = error
            if case .unreachable = error, !core.recentFailures.isEmpty {
                final = .unreachable(attempts: core.recentFailures)
            }
            return completion(last ?? .failure(final))
        }
        if choice != .any { core.metadata.markStale() }
        core.lane.schedule(afterMilliseconds: pause) { [self] in attempt() }
    }
}
