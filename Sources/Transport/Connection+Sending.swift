internal import Base
internal import SystemIO

extension Connection {
    /// Bodies of frames up to this length are copied behind their length, so that many of them are sent as
    /// one piece.
    static let copiedByteCount = 1024
    /// Pieces that may wait to be sent; above, nothing more is read.
    static let outPieceLimit = 1024
    /// Bytes of one connection that are sent in one turn, so that a fast reader of large answers does not
    /// hold up the others.
    static let bytesPerTurn = 4 << 20

    // MARK: Responses

    /// - Parameter payload: nil when there is no response.
    func complete(_ sequence: UInt64, _ payload: OutboundPayload?) {
        invariant(lane.isCurrent, "a response is completed on another thread than its connection's lane")
        if phase == .closed { return }
        if responses.complete(sequence, payload) {
            if let payload { enqueueResponse(payload) }
            continueResponses()
        }
    }

    func complete(_ sequence: UInt64, copying bytes: RawSpan) {
        invariant(lane.isCurrent, "a response is completed on another thread than its connection's lane")
        if phase == .closed { return }
        if sequence == responses.nextSequence && bytes.byteCount <= Self.copiedByteCount {
            _ = responses.complete(sequence, nil)
            lane.counters.responses.add(1)
            enqueueCopy(bytes)
            continueResponses()
        } else {
            let slice = lane.outboundRoom(byteCount: bytes.byteCount)
            slice.buffer.copy(bytes, to: slice.range.lowerBound)
            complete(sequence, OutboundPayload(slice))
        }
    }

    private func continueResponses() {
        while let next = responses.takeNext() { enqueueResponse(next) }
        noteResumable()
        if isDraining { markDirty() }
    }

    private func enqueueResponse(_ payload: OutboundPayload) {
        lane.counters.responses.add(1)
        enqueue(payload)
    }

    // MARK: The out queue

    /// Queues a frame.
    func enqueue(_ payload: OutboundPayload) {
        if let only = payload.onlyBytes, only.byteCount <= Self.copiedByteCount {
            enqueueCopy(only.bytes)
            return
        }
        let length = lane.arena.take(Self.lengthByteCount)
        length.buffer.storeBigEndian(UInt32(payload.byteCount), at: length.range.lowerBound)
        append(.bytes(length))
        if let first = payload.first { append(first) }
        var number = 0
        while number < payload.rest.count {
            append(payload.rest[number])
            number += 1
        }
        markDirty()
    }

    /// Queues a frame with a copy of `bytes`.
    private func enqueueCopy(_ bytes: RawSpan) {
        let slice = lane.arena.take(Self.lengthByteCount + bytes.byteCount)
        let start = slice.range.lowerBound
        slice.buffer.storeBigEndian(UInt32(bytes.byteCount), at: start)
        slice.buffer.copy(bytes, to: start + Self.lengthByteCount)
        append(.bytes(slice))
        markDirty()
    }

    /// Queues bytes that are no frame.
    func enqueueRaw(_ bytes: [UInt8]) {
        append(.bytes(BufferSlice(IOBuffer(copying: bytes))))
        markDirty()
    }

    private func append(_ piece: OutboundPiece) {
        guard case .bytes(let slice) = piece else {
            outQueue.append(piece)
            return
        }
        outMemoryByteCount += slice.byteCount
        // Neighbours in one buffer are one piece.
        if case .bytes(let last) = outQueue.last, last.buffer === slice.buffer,
            last.range.upperBound == slice.range.lowerBound
        {
            let both = last.range.lowerBound..<slice.range.upperBound
            outQueue[outQueue.count - 1] = .bytes(BufferSlice(slice.buffer, both))
        } else {
            outQueue.append(piece)
        }
    }

    private func markDirty() {
        if isDirty { return }
        isDirty = true
        lane.noteDirty(self)
    }

    // MARK: Sending

    /// Sends what the kernel takes now.
    func flush() {
        isDirty = false
        var left = Self.bytesPerTurn
        while phase != .connecting && !isBlocked, let socket, let first = outQueue.first {
            if left <= 0 {
                markDirty()
                break
            }
            let outcome: TransferOutcome
            switch first {
            case .bytes: outcome = sendBytes(socket)
            case .file(let region):
                outcome = sendFile(socket, region, min(region.byteCount - outSkip, left))
                if outcome == .ended { return refuse(.shortFile, .shortFile(region.file.path)) }
            }
            switch outcome {
            case .moved(let count):
                left -= count
                noteSent(count)
            case .wouldBlock:
                block()
            case .ended: close(.peerFinished)
            case .failed(let error): close(.failed(error))
            }
        }
        finishFlush()
    }

    private func finishFlush() {
        if phase == .closed || phase == .connecting { return }
        if outQueue.isEmpty {
            if closesWhenSent != nil {
                // The peer reads to the end before it ends the connection; ending it first could lose the
                // answer on its way.
                _ = try? socket?.finishSending()
            }
            closeIfDrained()
        }
        noteResumable()
    }

    /// Sends the bytes at the head of the queue, as many pieces as one call takes.
    private func sendBytes(_ socket: Socket) -> TransferOutcome {
        var number = 0
        var moreFollows = false
        while number < outQueue.count {
            guard case .bytes(let slice) = outQueue[number], lane.scratch.count < Socket.slicesPerSend else {
                moreFollows = true
                break
            }
            lane.scratch.append(slice)
            number += 1
        }
        let outcome = socket.sendNow(lane.scratch, skip: outSkip, moreFollows: moreFollows)
        lane.scratch.removeAll(keepingCapacity: true)
        return outcome
    }

    /// Sends of the file at the head of the queue.
    private func sendFile(_ socket: Socket, _ region: FileRegion, _ byteCount: Int) -> TransferOutcome {
        let position = region.position + Int64(outSkip)
        if Socket.canSend(region.file) {
            return socket.sendFileNow(region.file, position: position, byteCount: byteCount)
        }
        // A file that the kernel does not know, as of a simulated disk.
        let room = lane.arena.take(min(byteCount, OutboundArena.largestByteCount))
        do {
            let count = try region.file.read(into: room.buffer, room.range, at: position)
            if count == 0 { return .ended }
            let start = room.range.lowerBound
            lane.scratch.append(BufferSlice(room.buffer, start..<(start + count)))
        } catch {
            return .failed(error.errno)
        }
        let outcome = socket.sendNow(lane.scratch, skip: 0, moreFollows: false)
        lane.scratch.removeAll(keepingCapacity: true)
        return outcome
    }

    private func noteSent(_ byteCount: Int) {
        lane.counters.bytesOut.add(byteCount)
        noteActivity()
        blockedSince = nil
        var left = byteCount
        while left > 0, let first = outQueue.first {
            let rest = first.byteCount - outSkip
            let taken = min(left, rest)
            if case .bytes = first { outMemoryByteCount -= taken }
            left -= taken
            if taken == rest {
                _ = outQueue.removeFirst()
                outSkip = 0
            } else {
                outSkip += taken
            }
        }
    }

    private func block() {
        isBlocked = true
        if blockedSince == nil {
            blockedSince = lane.now
            lane.sweep(by: deadline)
        }
        awaitWritable()
    }
}
