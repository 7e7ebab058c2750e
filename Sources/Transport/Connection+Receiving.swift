internal import Base
public import SystemIO

extension Connection {
    /// Frames are received many at a time into memory that they share. What that has of one that does not
    /// end within it is copied, and the rest received into memory of its own. Copying a part of a frame now
    /// and then costs less than a call for each; where frames are large it is the other way round, and only
    /// their lengths are received so.
    ///
    /// | the last frame | at once, bytes |
    /// | --- | --- |
    /// | small | 64 KiB |
    /// | as batches of producers are | 256 KiB |
    /// | large | 4, the length |
    static func sharedByteCount(afterFrameOf byteCount: Int) -> Int {
        if byteCount < middlingByteCount { return packedByteCount }
        return byteCount < largeByteCount ? batchedByteCount : lengthByteCount
    }
    static let packedByteCount = 64 << 10
    private static let batchedByteCount = 256 << 10
    private static let middlingByteCount = 16 << 10
    private static let largeByteCount = 160 << 10
    /// The length of a frame.
    static let lengthByteCount = 4

    /// Whether a bound holds back further requests.
    private var isHeldBack: Bool {
        isPaused || isDraining || responses.count >= settings.requestsInFlightPerConnection
            || readsOnlyWhatCanBeAnswered
                && (outMemoryByteCount >= settings.pendingOutByteCount
                    || outQueue.count >= Self.outPieceLimit)
    }

    private var isPaused: Bool { pauseTimer != nil }

    /// Reads nothing for so long: the peer has used up its quota. A frame that is half there is read to its
    /// end and waits.
    public func pauseReading(milliseconds: Int64) {
        invariant(lane.isCurrent, "a connection is paused on another thread than its lane's")
        if phase == .closed || milliseconds <= 0 { return }
        let deadline = lane.moment(afterMilliseconds: milliseconds)
        if isPaused && pauseDeadline >= deadline { return }
        if let pauseTimer { lane.cancel(pauseTimer) }
        pauseDeadline = deadline
        pauseTimer = lane.schedule(at: deadline, self)
    }

    /// Goes on reading, if nothing else holds it back. Done by the lane, not at once: who completes a
    /// response must not find the next request being handled within the call.
    func noteResumable() {
        if isResumeNoted || isReceiving || isStarving || phase != .open || isHeldBack { return }
        isResumeNoted = true
        lane.noteResumable(self)
    }

    /// The lane's turn to go on.
    func resume() {
        isResumeNoted = false
        if phase == .open && !isReceiving { advance() }
        if phase == .http && !isReceiving { receive(into: nil, sharedLimit: HTTPHead.byteLimit) }
    }

    /// Memory has come back, perhaps enough.
    func memoryReturned() {
        isStarving = false
        if isResumeNoted || phase == .closed { return }
        isResumeNoted = true
        lane.noteResumable(self)
    }

    /// Works off what came, then asks for more.
    private func advance() {
        while phase == .open && !isStarving && !isHeldBack {
            if let frame = takeWholePartial() {
                dispatch(frame)
            } else if partial != nil || !takeNextUnread() {
                break
            }
        }
        if phase == .open && !isReceiving { requestMore() }
    }

    private func takeWholePartial() -> BufferSlice? {
        guard let frame = partial, partialByteCount == frame.byteCount else { return nil }
        partial = nil
        partialByteCount = 0
        frameBegan = nil
        decoder.finishFrame()
        return frame
    }

    /// Looks at the next of the bytes that came.
    /// - Returns: false when there are none left to look at.
    private func takeNextUnread() -> Bool {
        guard let slice = unread else { return false }
        var position = slice.range.lowerBound
        let end = slice.range.upperBound
        switch decoder.next(slice.buffer, &position, end: end) {
        case .needsBytes:
            unread = nil
            return false
        case .badLength(let length):
            refuseLength(length)
            return false
        case .frame(let range):
            unread = position < end ? BufferSlice(slice.buffer, position..<end) : nil
            frameBegan = nil
            lastFrameByteCount = range.count
            dispatch(BufferSlice(slice.buffer, range))
            return true
        case .partial(let position, let byteCount):
            guard let own = lane.requestMemory.take(byteCount: byteCount) else {
                unread = position < end ? BufferSlice(slice.buffer, position..<end) : nil
                starve(byteCount)
                return false
            }
            if position < end {
                own.copy(BufferSlice(slice.buffer, position..<end), to: 0)
            }
            partial = BufferSlice(own, 0..<byteCount)
            partialByteCount = end - position
            unread = nil
            lastFrameByteCount = byteCount
            return true
        }
    }

    private func noteFrameBegun() {
        if frameBegan != nil { return }
        frameBegan = lane.now
        lane.sweep(by: deadline)
    }

    private func starve(_ byteCount: Int) {
        isStarving = true
        lane.noteStarving(self, byteCount)
    }

    private func refuseLength(_ length: Int32) {
        let isNegative = length < 0
        lane.counters.countRefusal(isNegative ? .badLength : .frameTooLarge)
        lane.refusals.write(
            .warn, "request refused by its length", now: lane.now,
            [
                LogField("peer", peer), LogField("bytes", length),
                LogField("maximum", settings.maximumFrameByteCount),
                LogField(
                    "hint",
                    isNegative
                        ? "what came is not the Kafka protocol"
                        : "raise socket.request.max.bytes, or let the client send smaller batches"),
            ])
        close(.badLength(length))
    }

    /// Asks for what is to come next, unless something holds it back; what is left of a frame that has its
    /// memory comes in any case.
    private func requestMore() {
        let isHeldBack = self.isHeldBack || isStarving || unread != nil
        var own: BufferSlice?
        if let frame = partial, partialByteCount < frame.byteCount {
            own = BufferSlice(
                frame.buffer, (frame.range.lowerBound + partialByteCount)..<frame.range.upperBound)
        }
        if isHeldBack && own == nil {
            // The time that we make the peer wait is not its own.
            frameBegan = nil
            return
        }
        if decoder.isWithinFrame { noteFrameBegun() }
        let limit = Self.sharedByteCount(afterFrameOf: lastFrameByteCount)
        receive(into: own, sharedLimit: isHeldBack ? 0 : limit)
    }

    // MARK: HTTP and others

    /// Looks at the first bytes without taking them.
    private func lookAtFirstBytes() {
        guard let (outcome, bytes) = socket?.peekFour() else { return }
        switch outcome {
        case .wouldBlock: awaitReadable(isMoreNeeded: true)
        case .ended: close(.peerFinished)
        case .failed(let error): close(.failed(error))
        case .moved(let count):
            noteActivity()
            switch FirstBytes.classify(bytes, count: count) {
            case .frames: open()
            case .http: beginHTTP()
            case .tls: refuseTLS()
            case .tooFew:
                // Told again only when they are enough, or the last.
                if frameBegan == nil { _ = try? socket?.setReadableByteCount(Self.lengthByteCount) }
                noteFrameBegun()
                awaitReadable(isMoreNeeded: true)
            }
        }
    }

    private func open() {
        forgetFirstBytes()
        phase = .open
        tellOpened()
        if phase == .open { advance() }
    }

    /// They were enough to decide.
    private func forgetFirstBytes() {
        if frameBegan != nil { _ = try? socket?.setReadableByteCount(1) }
        frameBegan = nil
    }

    private func refuseTLS() {
        lane.counters.countRefusal(.tlsNotConfigured)
        lane.refusals.write(
            .warn, "TLS is not configured here", now: lane.now,
            [
                LogField("peer", peer),
                LogField("hint", "let the client use security.protocol=PLAINTEXT at this listener"),
            ])
        close(.tlsNotConfigured)
    }

    private func beginHTTP() {
        forgetFirstBytes()
        if isAdoptedByHTTP {
            close(.http)
            return
        }
        lane.counters.countRefusal(.http)
        phase = .http
        noteFrameBegun()
        receive(into: nil, sharedLimit: HTTPHead.byteLimit)
    }

    private func takeHTTP(_ slice: BufferSlice) {
        if closesWhenSent == nil, http.take(slice) {
            closesWhenSent = .http
            enqueueRaw(HTTPHead.answer)
        }
        // What comes behind the head is thrown away, up to the frame's time-out.
        if phase == .http { receive(into: nil, sharedLimit: HTTPHead.byteLimit) }
    }
}

extension Connection: ChannelHandler {
    public func channelReceived(ownByteCount: Int, shared: BufferSlice?) {
        isReceiving = false
        noteActivity()
        lane.counters.bytesIn.add(ownByteCount + (shared?.byteCount ?? 0))
        if phase == .http {
            if let shared { takeHTTP(shared) }
            return
        }
        partialByteCount += ownByteCount
        unread = shared
        advance()
    }

    public func channelStarved() {
        isReceiving = false
        starve(Self.packedByteCount)
    }

    public func channelEnded(_ error: Errno?) {
        isReceiving = false
        close(error.map { .failed($0) } ?? .peerFinished)
    }

    public func channelReadable() {
        if phase == .opening { lookAtFirstBytes() }
    }

    public func channelWritable() {
        if phase == .connecting {
            finishConnecting()
        } else {
            isBlocked = false
            blockedSince = nil
            flush()
        }
    }

    private func finishConnecting() {
        do {
            if let error = try socket?.takeFailure() {
                close(.failed(error))
            } else {
                noteActivity()
                open()
            }
        } catch {
            close(.failed(error.errno))
        }
    }
}

extension Connection: TimerHandler {
    /// The pause is over.
    public func timerFired(_ tag: UInt64) {
        pauseTimer = nil
        noteResumable()
    }
}
