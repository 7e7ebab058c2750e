import Base
import SystemIO
import Testing

@testable import Transport

@Suite("Responses and their tickets")
struct TicketTests {
    @Test("Completing a response twice stops the process")
    func twice() async throws {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            let handler = ScriptedHandler()
            handler.arrived = { frame, ticket in
                ticket.complete(OutboundPayload(frame))
                ticket.complete(OutboundPayload(frame))
            }
            let server = try HandTurnedServer(.epoll, handler)
            let client = try server.connect()
            try client.send(TestClient.frame([1]), server)
            try server.turn {
                client.collect()
                return client.hasEnded
            }
        }
        let message = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
        #expect(message.contains("is completed for a second time"))
    }

    @Test("Completing a response whose connection is gone does nothing", arguments: NetworkChoice.backEnds)
    func afterClose(_ backend: NetworkChoice) throws {
        var tickets: [ResponseTicket] = []
        let handler = ScriptedHandler()
        handler.arrived = { tickets.append($1) }
        let server = try HandTurnedServer(backend, handler)
        let client = try server.connect()
        try client.send(TestClient.frame([1]) + TestClient.frame([2]), server)
        try server.turn { tickets.count == 2 }
        tickets[1].complete(Array(repeating: 0, count: 10))
        tickets[0].connection.close(because: "test")
        tickets[0].complete(Array(repeating: 0, count: 10))
        tickets[0].completeWithoutResponse()
        server.turn()
        #expect(server.lane.connections.count == 0)
        try server.turn {
            client.collect()
            return client.hasEnded
        }
        #expect(client.received.isEmpty)
    }
}
