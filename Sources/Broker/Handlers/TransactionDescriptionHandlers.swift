internal import Coordinators
internal import KafkaProtocol
internal import RecordFormat

/// DescribeTransactions and ListTransactions: transactions as administrators see them.
enum TransactionDescriptionHandlers {
    static let served = [
        ServedAPI(0...0) { (request: DescribeTransactionsRequest, context) in describe(request, context) },
        ServedAPI(0...1) { (request: ListTransactionsRequest, context) in list(request, context) },
    ]

    private static func describe(_ request: DescribeTransactionsRequest, _ context: RequestContext) {
        let ids = request.transactionalIDs
        let answers = CoordinatorAnswers<TransactionResponse>(count: ids.count) { answers in
            context.respond(
                DescribeTransactionsResponse(
                    transactionStates: answers.compactMap {
                        if case .described(let state) = $0 { state } else { nil }
                    }))
        }
        for (number, id) in ids.enumerated() {
            context.broker.askTransaction(id, .describe(id)) { answers.take($0, number) }
        }
        if ids.isEmpty { answers.finishIfEmpty() }
    }

    private static func list(_ request: ListTransactionsRequest, _ context: RequestContext) {
        var filter = TransactionFilter()
        var unknown: [String] = []
        for name in request.stateFilters {
            if let state = TransactionState.allCases.first(where: { $0.name == name }) {
                filter.states.insert(state)
            } else {
                unknown.append(name)
            }
        }
        // Of none but unknown states there are none.
        if filter.states.isEmpty && !unknown.isEmpty {
            return context.respond(ListTransactionsResponse(unknownStateFilters: unknown))
        }
        filter.producerIDs = Set(request.producerIDFilters.map(ProducerID.init(_:)))
        filter.durationMilliseconds = request.durationFilter >= 0 ? request.durationFilter : nil
        context.broker.askAllTransactions(.list(filter)) { answers in
            var response = ListTransactionsResponse(unknownStateFilters: unknown)
            for case .listed(let part) in answers {
                // Those that are kept elsewhere are listed there.
                if part.errorCode != .none && part.errorCode != .notCoordinator {
                    response.errorCode = part.errorCode
                }
                response.transactionStates += part.transactionStates
            }
            if response.errorCode != .none { response.transactionStates = [] }
            context.respond(response)
        }
    }
}
