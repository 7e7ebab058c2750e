internal import KafkaProtocol

/// FindCoordinator: who keeps a group or a transaction. Nobody does yet, which clients take for a matter of
/// time.
enum CoordinatorHandler {
    static let served = [
        ServedAPI(0...6) { (request: FindCoordinatorRequest, context) in handle(request, context) }
    ]

    private static func handle(_ request: FindCoordinatorRequest, _ context: RequestContext) {
        let error = ErrorCode.coordinatorNotAvailable
        if context.version < 4 {
            return context.respond(
                FindCoordinatorResponse(
                    errorCode: error, errorMessage: context.version >= 1 ? error.message : "", nodeID: -1,
                    host: "", port: -1))
        }
        context.respond(
            FindCoordinatorResponse(
                coordinators: request.coordinatorKeys.map {
                    FindCoordinatorResponse.Coordinator(
                        key: $0, nodeID: -1, host: "", port: -1, errorCode: error,
                        errorMessage: error.message)
                }))
    }
}
