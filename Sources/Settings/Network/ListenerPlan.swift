/// One listener of a node: where it listens, and what others are told of it.
public struct Listener: Sendable, Equatable {
    /// In capitals.
    public let name: String
    public let securityProtocol: SecurityProtocol
    /// Where to bind.
    public let bind: HostAndPort
    /// What clients are told, of a controller's listener the other nodes; nil: nobody is told of it. Where
    /// the host is empty the machine's name is to be told, where the port is 0 the one that was bound.
    public let advertised: HostAndPort?
    /// Only nodes come here, for the controller. Clients are not told of it.
    public let isController: Bool
}

/// The network side of a node, out of `listeners` and all that belongs to it.
public struct ListenerPlan: Sendable, Equatable {
    /// In the order of `listeners`.
    public let listeners: [Listener]
    /// Over which brokers speak with each other; nil without the broker's role.
    public let interBroker: String?
    /// Nil: the node is a quorum of its own.
    public let voters: [QuorumVoter]?
    public let roles: Set<NodeRole>

    /// - Throws: everything that does not fit together.
    public init(_ values: SettingValues) throws(SettingErrors) {
        var reader = ListenerPlanReader(values: values)
        let plan = reader.read()
        guard let plan, reader.errors.isEmpty else { throw SettingErrors(errors: reader.errors) }
        self = plan
    }

    fileprivate init(
        listeners: [Listener], interBroker: String?, voters: [QuorumVoter]?, roles: Set<NodeRole>
    ) {
        self.listeners = listeners
        self.interBroker = interBroker
        self.voters = voters
        self.roles = roles
    }
}

/// Reads a `ListenerPlan` and gathers what is wrong.
private struct ListenerPlanReader {
    let values: SettingValues
    var errors: [SettingError] = []

    mutating func read() -> ListenerPlan? {
        let roles = Set(values[BrokerSettings.processRoles])
        check(!roles.isEmpty, "process.roles is empty; set it to broker, controller or broker,controller")
        let addresses = values[BrokerSettings.listeners]
        let controllers = Set(values[BrokerSettings.controllerListenerNames].map(\.text))
        checkNames(addresses, controllers, roles)
        checkPorts(addresses)
        let advertised = advertisedAddresses(addresses)
        let listeners = addresses.map { address in
            Listener(
                name: address.name, securityProtocol: spoken(on: address.name, controllers),
                bind: address.address, advertised: advertised[address.name],
                isController: controllers.contains(address.name))
        }
        let interBroker = interBrokerListener(listeners, roles)
        let voters = quorum(roles, listeners)
        guard errors.isEmpty else { return nil }
        return ListenerPlan(listeners: listeners, interBroker: interBroker, voters: voters, roles: roles)
    }

    private mutating func check(_ isGood: Bool, _ text: @autoclosure () -> String) {
        if !isGood { errors.append(.conflict(text())) }
    }

    private mutating func checkNames(
        _ addresses: [ListenerAddress], _ controllers: Set<String>, _ roles: Set<NodeRole>
    ) {
        let names = addresses.map(\.name)
        for name in Set(names).sorted() where names.count(where: { $0 == name }) > 1 {
            check(false, "listeners names \(name) twice; give each listener a name of its own")
        }
        if roles.contains(.broker) {
            check(
                names.contains { !controllers.contains($0) },
                "all listeners belong to the controller (controller.listener.names); add one for clients")
        }
        if roles == [.broker] {
            for name in names where controllers.contains(name) {
                check(
                    false,
                    "listeners has \(name), which belongs to the controller, but process.roles is broker;"
                        + " remove it from listeners")
            }
        }
    }

    /// Two listeners may share a port only on different addresses that are both named.
    private mutating func checkPorts(_ addresses: [ListenerAddress]) {
        for (place, one) in addresses.enumerated() where one.address.port != 0 {
            for other in addresses[(place + 1)...] where other.address.port == one.address.port {
                let apart =
                    !one.address.isWildcard && !other.address.isWildcard
                    && one.address.host != other.address.host
                check(
                    apart,
                    "listeners \(one.name) and \(other.name) both want port \(one.address.port); change one")
            }
        }
    }

    private mutating func spoken(on name: String, _ controllers: Set<String>) -> SecurityProtocol {
        let map = values[BrokerSettings.securityProtocolMap]
        // A map that somebody sets still leaves the protocols' own names with their protocols.
        let found =
            map.first { $0.name == name }?.securityProtocol ?? SecurityProtocol(rawValue: name)
            ?? (controllers.contains(name) ? .plaintext : nil)
        guard let found else {
            check(
                false,
                "listener \(name) has no security protocol; add \(name):PLAINTEXT to"
                    + " listener.security.protocol.map")
            return .plaintext
        }
        check(
            found == .plaintext,
            "listener \(name) is to speak \(found.rawValue), which is not served; use PLAINTEXT on a"
                + " network that"
                + " you trust")
        return found
    }

    private mutating func advertisedAddresses(_ addresses: [ListenerAddress]) -> [String: HostAndPort] {
        var result: [String: HostAndPort] = [:]
        guard let advertised = values[BrokerSettings.advertisedListeners] else {
            for listener in addresses {
                let host = listener.address.isWildcard ? "" : listener.address.host
                result[listener.name] = HostAndPort(host: host, port: listener.address.port)
            }
            return result
        }
        for entry in advertised {
            check(
                addresses.contains { $0.name == entry.name },
                "advertised.listeners has \(entry.name), which is not among listeners; add it there")
            check(
                !entry.address.isWildcard || entry.address.host.isEmpty,
                "advertised.listeners has \(entry.address), to which no client can connect; name the machine")
            check(
                result[entry.name] == nil,
                "advertised.listeners names \(entry.name) twice; remove one of them")
            result[entry.name] = entry.address
        }
        return result
    }

    private mutating func interBrokerListener(
        _ listeners: [Listener], _ roles: Set<NodeRole>
    ) -> String? {
        guard roles.contains(.broker) else { return nil }
        let open = listeners.filter { !$0.isController }
        guard let name = values[BrokerSettings.interBrokerListenerName]?.text else {
            let first = open.first { $0.securityProtocol == .plaintext && $0.advertised != nil }
            check(first != nil || open.isEmpty, "no listener is advertised; add one to advertised.listeners")
            return first?.name
        }
        check(
            open.contains { $0.name == name && $0.advertised != nil },
            "inter.broker.listener.name is \(name), which is not an advertised listener of brokers; name"
                + " one of"
                + " \(open.filter { $0.advertised != nil }.map(\.name).joined(separator: ", "))")
        return name
    }

    private mutating func quorum(_ roles: Set<NodeRole>, _ listeners: [Listener]) -> [QuorumVoter]? {
        let voters = values[BrokerSettings.quorumVoters]
        let nodeID = values[BrokerSettings.nodeID]
        let isVoter = voters.contains { $0.nodeID == nodeID }
        for voter in Set(voters.map(\.nodeID)).sorted()
        where voters.count(where: { $0.nodeID == voter }) > 1 {
            check(false, "controller.quorum.voters has node \(voter) twice; remove one of them")
        }
        let bootstrap = values[BrokerSettings.quorumBootstrapServers]
        if roles.contains(.controller) {
            check(
                voters.isEmpty || isVoter,
                "controller.quorum.voters does not have node.id \(nodeID), though process.roles has"
                    + " controller;"
                    + " add it or remove the role")
            check(
                voters.count <= 1 || listeners.contains(where: \.isController),
                "controller.quorum.voters has \(voters.count) voters, but no listener belongs to the"
                    + " controller;"
                    + " add one to listeners and name it in controller.listener.names")
        } else {
            check(
                !voters.isEmpty || !bootstrap.isEmpty,
                "process.roles is broker, but nothing says where the controllers are; set"
                    + " controller.quorum.voters")
            check(
                !isVoter,
                "controller.quorum.voters has node.id \(nodeID), though process.roles has no controller;"
                    + " remove"
                    + " it or add the role")
            check(
                !values[BrokerSettings.controllerListenerNames].isEmpty,
                "process.roles is broker, but controller.listener.names does not say how the controllers'"
                    + " listener is called; set it")
        }
        return voters.isEmpty ? nil : voters
    }
}
