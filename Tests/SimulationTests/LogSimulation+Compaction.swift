import Base
import RecordFormat
import SimulationKit
import SystemIO

@testable import LogStorage

// Rounds of compaction, step by step among the other operations.
extension LogSimulation {
    /// A step of the round that is going on, or the beginning of one.
    func compact() throws {
        guard isCompacted else { return try append() }
        if round == nil { try beginRound() }
        while round != nil, generator.chance(2, in: 3) { try goOnCompacting() }
    }

    private func goOnCompacting() throws {
        guard let round else { return }
        do {
            if let group {
                self.group = nil
                try commit(group, of: round)
                return
            }
            note("compaction")
            switch try round.next() {
            case .group(let next): group = next
            case .finished(let summary):
                log.finishCleaning(round.plan, summary)
                self.round = nil
                count("rounds")
                try compareRecords()
                let start = log.logStartOffset.rawValue
                let uncleaned = model.uncleaned(from: start, below: summary.endOffset.rawValue)
                try check(
                    uncleaned == nil || round.plan.cancellation.isCancelled,
                    "compaction up to \(summary.endOffset) left \(uncleaned ?? -1)")
                if generator.chance(1, in: 3) { try truncate(intoGap: true) }
            }
        } catch let error as LogError {
            endRound(because: .log(error))
            throw error
        } catch let error as CleaningError {
            endRound(because: error)
            switch error {
            case .cancelled: return
            case .log(let cause): throw cause
            default: throw fail("compaction failed: \(error)")
            }
        }
    }

    private func commit(_ group: CleanedGroup, of round: CleaningRound) throws {
        note("commit \(group.baseOffset)")
        let offsets = group.baseOffset.rawValue..<group.nextBaseOffset.rawValue
        do {
            guard try log.commit(group, of: round.plan) else { return endRound(because: .cancelled) }
        } catch {
            // Half way: the next start finds either what was there or what has come in its place.
            if directory.failure != nil { model.commitCompaction(of: offsets) }
            throw error
        }
        model.commitCompaction(of: offsets)
        count("groups")
    }

    private func endRound(because error: CleaningError) {
        guard let round else { return }
        log.endCleaning(round.plan, because: error)
        self.round = nil
        group = nil
        count("rounds given up")
    }

    private func beginRound() throws {
        if generator.chance(1, in: 2) {
            note("settle")
            if generator.chance(1, in: 2) { try log.roll() }
            try log.syncNow()
            model.highWatermark = max(model.highWatermark, log.writtenEndOffset.rawValue)
            log.advanceHighWatermark(to: Offset(model.highWatermark))
            try checkpoint()
        }
        guard let cleanability = try log.cleanability(), cleanability.isDue(settings) else { return }
        note("compaction of \(cleanability.firstDirtyOffset) to \(cleanability.endOffset)")
        try check(
            cleanability.endOffset.rawValue <= model.endOffset,
            "the log ends at \(log.logEndOffset), model \(model.endOffset)")
        let plan = try log.planCleaning(cleanability)
        model.planCompaction(
            below: cleanability.endOffset.rawValue, now: plan.now.rawValue,
            retention: settings.deleteRetentionMilliseconds)
        var configuration = CleanerConfiguration()
        // Every other map is too small for all keys.
        configuration.dedupeByteCount =
            generator.chance(1, in: 2) ? 1 << 12 : Int(generator.next() % 8 + 2) * OffsetMap.slotByteCount
        configuration.bufferByteCount = 700
        round = CleaningRound(
            plan, configuration: configuration,
            throttle: DiskThrottle(bytesPerSecond: nil, timeSource: clock, wait: { _ in }),
            secret: (generator.next(), generator.next()))
    }
}
