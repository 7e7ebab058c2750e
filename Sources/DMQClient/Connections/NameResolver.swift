internal import Base
internal import SystemIO
internal import Transport

/// Asks name servers on a thread of its own: they may take seconds, which a lane must not wait.
final class NameResolver: Sendable {
    private let threads = WorkerThreads(limit: 1, name: "dmq-resolve")

    /// Calls `completion` on the lane, at once where the host is an address in numbers.
    func resolve(
        _ endpoint: BrokerEndpoint, _ lane: Lane,
        _ completion: @escaping (Result<[SocketAddress], IOError>) -> Void
    ) {
        if let host = HostAddress(endpoint.host) {
            return completion(.success([SocketAddress(host, port: endpoint.port)]))
        }
        // The closure is made and called on the lane; in between it is only carried.
        nonisolated(unsafe) let carried = completion
        let isTaken = try? threads.submit {
            let result = Self.addresses(endpoint)
            _ = lane.submit { carried(result) }
        }
        if isTaken != true { completion(.failure(IOError(.thread, endpoint.host, .wouldBlock))) }
    }

    private static func addresses(_ endpoint: BrokerEndpoint) -> Result<[SocketAddress], IOError> {
        do throws(IOError) {
            return .success(try SocketAddress.resolve(host: endpoint.host, port: endpoint.port))
        } catch {
            return .failure(error)
        }
    }

    /// Waits for the question that is under way.
    func finish() { threads.finish() }
}
