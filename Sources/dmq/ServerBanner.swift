import Broker

/// What a person sees when the broker is up.
enum ServerBanner {
    static func text(_ node: BrokerNode) -> String {
        var lines = ["dmq node \(node.configuration.nodeID), cluster \(node.clusterID)"]
        for listener in node.listeners { lines.append("  \(listener.name) on \(listener.address)") }
        for path in node.configuration.directoryPaths { lines.append("  data in \(path)") }
        if let address = node.listeners.first?.address {
            let host = address.host.description
            let isEverywhere = host == "::" || host == "0.0.0.0"
            let server = isEverywhere ? "localhost:\(address.port)" : "\(address)"
            lines += [
                "  try", "    echo hello | dmq produce greetings -b \(server)",
                "    dmq consume greetings --exit -b \(server)",
            ]
        }
        return lines.map { $0 + "\n" }.joined()
    }
}
