import Testing

@testable import Settings

@Suite("listeners of a node")
struct ListenerPlanTests {
    private func plan(_ file: String) throws -> ListenerPlan { try ListenerPlan(startingValues(file)) }

    @Test("without settings a node listens for clients on port 9092 and is a quorum of its own")
    func defaults() throws {
        let plan = try ListenerPlan(SettingValues())
        #expect(
            plan.listeners == [
                Listener(
                    name: "PLAINTEXT", securityProtocol: .plaintext, bind: HostAndPort(host: "", port: 9092),
                    advertised: HostAndPort(host: "", port: 9092), isController: false)
            ])
        #expect(plan.interBroker == "PLAINTEXT" && plan.voters == nil)
        #expect(plan.roles == [.broker, .controller])
    }

    @Test("names, hosts and what is advertised are told apart")
    func several() throws {
        let plan = try plan(
            """
            listeners=internal://[::1]:19092, EXTERNAL://0.0.0.0:9092,CONTROLLER://:9093
            advertised.listeners=EXTERNAL://broker.example:443,INTERNAL://10.0.0.1:19092
            listener.security.protocol.map=INTERNAL:PLAINTEXT,EXTERNAL:plaintext
            inter.broker.listener.name=INTERNAL
            controller.listener.names=CONTROLLER
            controller.quorum.voters=1@a:9093,2@b:9093,3@c:9093
            """)
        #expect(plan.listeners.map(\.name) == ["INTERNAL", "EXTERNAL", "CONTROLLER"])
        #expect(plan.listeners[0].bind.description == "[::1]:19092")
        #expect(plan.listeners[1].advertised?.description == "broker.example:443")
        #expect(plan.listeners[2].isController && plan.listeners[2].advertised == nil)
        #expect(plan.interBroker == "INTERNAL" && plan.voters?.count == 3)
    }

    @Test("the file of Kafka 4, whose controller is advertised and found by its bootstrap servers, is taken")
    func kafka4() throws {
        let plan = try plan(
            """
            process.roles=broker,controller
            node.id=1
            controller.quorum.bootstrap.servers=localhost:9093
            listeners=PLAINTEXT://:9092,CONTROLLER://:9093
            inter.broker.listener.name=PLAINTEXT
            advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
            controller.listener.names=CONTROLLER
            """)
        #expect(plan.voters == nil && plan.listeners.count == 2)
    }

    @Test(
        "what does not fit together is refused with what to do",
        arguments: [
            ("listeners=SSL://:9092", "listener SSL is to speak SSL, which is not served"),
            ("listeners=CLIENTS://:9092", "add CLIENTS:PLAINTEXT to listener.security.protocol.map"),
            ("listeners=PLAINTEXT://:9092,PLAINTEXT://:9093", "listeners names PLAINTEXT twice"),
            (
                "listeners=PLAINTEXT://:9092,A://a:9092\nlistener.security.protocol.map=A:PLAINTEXT",
                "listeners PLAINTEXT and A both want port 9092"
            ),
            ("advertised.listeners=A://a:1", "advertised.listeners has A, which is not among listeners"),
            ("advertised.listeners=PLAINTEXT://0.0.0.0:1", "has 0.0.0.0:1, to which no client can connect"),
            ("inter.broker.listener.name=X", "inter.broker.listener.name is X"),
            ("controller.listener.names=PLAINTEXT", "all listeners belong to the controller"),
            ("process.roles=broker", "nothing says where the controllers are"),
            ("process.roles=", "process.roles is empty"),
            ("controller.quorum.voters=2@a:1", "does not have node.id 1"),
            ("controller.quorum.voters=1@a:1,2@b:1", "no listener belongs to the controller"),
            ("controller.quorum.voters=1@a:1,1@b:1", "has node 1 twice"),
        ])
    func refused(file: String, text: String) throws {
        let error = #expect(throws: SettingErrors.self) { _ = try plan(file) }
        #expect(try #require(error).description.contains(text), "\(error as Any)")
    }

    @Test(
        "addresses that are none are refused",
        arguments: [
            "listeners=:9092", "listeners=PLAINTEXT://:65536", "listeners=PLAINTEXT://a", "listeners=",
            "listeners=PLAINTEXT://::1:9092", "listeners=PLAINTEXT://[::1:9092",
            "listeners=PLAINTEXT://a b:1",
            "listeners=PL AIN://:1", "listeners=PLAINTEXT://:+1", "controller.quorum.voters=x@a:1",
            "controller.quorum.voters=1@:1", "controller.quorum.bootstrap.servers=a",
            "max.connections.per.ip.overrides=a:-1", "listener.security.protocol.map=A:B",
        ])
    func malformed(line: String) {
        #expect(throws: SettingErrors.self) { _ = try startingValues(line) }
    }
}
