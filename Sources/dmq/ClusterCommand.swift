import Base
import DMQClient
import SystemIO

/// `dmq cluster`: what the cluster is made of.
enum ClusterCommand {
    static let command = Subcommand(description: description) { command in
        try await ClientOptions.withClient(command) { client in
            let cluster = try await Admin(client).describeCluster()
            let output = Output()
            if command.flag("json") { try json(cluster, output) } else { try text(cluster, output) }
            try output.flush()
            return 0
        }
    }

    private static let description = CommandDescription(
        name: "cluster", summary: "Shows what the cluster is made of.",
        options: ClientOptions.all + [ClientOptions.json],
        subcommands: [
            CommandDescription(
                name: "info", summary: "The cluster's ID, its controller and its brokers.",
                examples: [CommandExample("dmq cluster info -b broker1:9092", "asks broker1")])
        ])

    private static func json(_ cluster: ClusterDescription, _ output: Output) throws {
        try output.json { json in
            json.field("clusterID", cluster.clusterID)
            json.field("controller", cluster.controllerID)
            json.array("brokers") { json in
                for broker in cluster.brokers {
                    json.object { json in
                        json.field("id", broker.id)
                        json.field("host", broker.endpoint.host)
                        json.field("port", broker.endpoint.port)
                        json.field("rack", broker.rack)
                        json.field("fenced", broker.isFenced)
                    }
                }
            }
        }
    }

    private static func text(_ cluster: ClusterDescription, _ output: Output) throws {
        try output.line("cluster \(cluster.clusterID)")
        var table = TextTable(columns: [("broker", .right), ("address", .left), ("rack", .left), ("", .left)])
        for broker in cluster.brokers {
            let roles = [
                broker.id == cluster.controllerID ? "controller" : nil, broker.isFenced ? "fenced" : nil,
            ]
            table.append([
                "\(broker.id)", "\(broker.endpoint)", broker.rack ?? "",
                roles.compactMap { $0 }.joined(separator: ", "),
            ])
        }
        try output.write(Array(table.shown.utf8))
    }
}
