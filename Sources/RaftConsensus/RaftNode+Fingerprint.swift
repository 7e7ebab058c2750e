/// For the explorer of small quorums, which must know a state again when it comes back to it.
@_spi(Canaries) extension RaftNode {
    /// The request whose answer the node waits for.
    public var awaitedRequest: RequestNumber? { fetching.inFlight?.request }

    /// Effects that wait for a promise.
    public var heldEffectCount: Int { effects.effects.count }

    /// Takes in all that decides what the node does next, but for times, and for numbers that only count.
    public func hashState(into hasher: inout Hasher) {
        hasher.combine(promise)
        hasher.combine(role)
        hasher.combine(highWatermark)
        hasher.combine(fault)
        hasher.combine(ballot)
        hasher.combine(hasHeardFromLeader)
        hasher.combine(download)
        hasher.combine(fetching.inFlight == nil)
        hasher.combine(leadership?.epochStart)
        hasher.combine(leadership?.progress.mapValues(\.endOffset))
        log.hashPlaces(into: &hasher)
        effects.hashContent(into: &hasher)
    }
}

extension RaftLogView {
    /// Takes in all but the numbers of tickets.
    func hashPlaces(into hasher: inout Hasher) {
        hasher.combine(startOffset)
        hasher.combine(end)
        hasher.combine(syncedEndOffset)
        hasher.combine(snapshot)
        hasher.combine(epochs)
        hasher.combine(votersHistory)
        hasher.combine(unsynced.map(\.endOffset))
    }
}

extension EffectQueue {
    /// Takes in what waits, without the numbers of tokens, tickets and requests.
    func hashContent(into hasher: inout Hasher) {
        hasher.combine(awaited == nil)
        for effect in effects {
            switch effect {
            case .persist(let promise, _): hasher.combine(promise)
            case .append(let batches, _): hasher.combine(batches)
            case .truncate(let offset, _): hasher.combine(offset)
            case .resetLog(let id, _): hasher.combine(id)
            case .send(let message):
                hasher.combine(message.receiver)
                hasher.combine(message.body)
            default: hasher.combine(effect)
            }
        }
    }
}
