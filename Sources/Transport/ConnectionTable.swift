internal import Base

/// The connections of a lane, and when the next of them runs out of time.
struct ConnectionTable {
    private(set) var all = ContiguousArray<Connection>()
    /// When the connections are looked through next; nil when no timer runs for it.
    private(set) var sweepDeadline: UInt64?
    private var sweepTimer: TimerID?

    var count: Int { all.count }

    mutating func add(_ connection: Connection) {
        connection.tableIndex = all.count
        all.append(connection)
    }

    mutating func remove(_ connection: Connection) {
        let index = connection.tableIndex
        invariant(index >= 0 && all[index] === connection, "a connection that is not in its lane's table")
        let last = all.removeLast()
        if last !== connection {
            all[index] = last
            last.tableIndex = index
        }
        connection.tableIndex = -1
    }

    mutating func noteSweep(_ timer: TimerID?, at deadline: UInt64?) -> TimerID? {
        let before = sweepTimer
        sweepTimer = timer
        sweepDeadline = deadline
        return before
    }
}

extension Lane {
    /// Time-outs are looked after together, not by a timer for each connection; at most so often.
    private static let sweepMilliseconds: Int64 = 50

    func add(_ connection: Connection) {
        connections.add(connection)
        counters.connections.add(1)
        counters.connectionsOpened.add(1)
        sweep(by: connection.deadline)
        if isDraining { _ = submit { connection.drain() } }
    }

    func remove(_ connection: Connection) {
        connections.remove(connection)
        counters.connections.add(-1)
        if isDraining && connections.count == 0 { stop() }
    }

    /// Sees to it that time-outs are looked for at `deadline` at the latest, or soon after.
    func sweep(by deadline: UInt64) {
        if let known = connections.sweepDeadline, known <= deadline { return }
        if deadline == .max { return }
        let moment = max(deadline, moment(afterMilliseconds: Self.sweepMilliseconds))
        if let known = connections.sweepDeadline, known <= moment { return }
        let timer = schedule(at: moment, ClosureTimer { [unowned self] in sweepNow() })
        if let before = connections.noteSweep(timer, at: moment) { cancel(before) }
    }

    private func sweepNow() {
        _ = connections.noteSweep(nil, at: nil)
        var next = UInt64.max
        // From the end, as closing puts the last in the place of the one that goes.
        var index = connections.count - 1
        while index >= 0 {
            if index < connections.count {
                let connection = connections.all[index]
                if connection.deadline <= now { connection.timeOut() }
                if !connection.isClosed { next = min(next, connection.deadline) }
            }
            index -= 1
        }
        sweep(by: next)
    }
}

extension Lane {
    /// Lets the connections come to their end, and then the lane: at once where nothing is in flight, after
    /// `milliseconds` at the latest.
    func drain(milliseconds: Int64) {
        isDraining = true
        var index = connections.count - 1
        while index >= 0 {
            if index < connections.count { connections.all[index].drain() }
            index -= 1
        }
        if connections.count == 0 { return stop() }
        schedule(afterMilliseconds: milliseconds) { [unowned self] in
            closeConnections()
            stop()
        }
    }

    func closeConnections() {
        while let connection = connections.all.last { connection.close(.shutdown) }
    }
}
