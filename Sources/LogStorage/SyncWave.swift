/// The syncs of active segments that one lane has under way in one log directory.
///
/// A disk does several syncs at once in hardly more time than one, and each costs the processor the same
/// however much it covers. So those that are held back (`LogLane.holdsSyncs`) begin together, when the ones
/// before them have ended: by then more appends have come to share them.
final class SyncWave {
    let directory: LogDirectory
    /// Syncs under way.
    var count = 0
    /// Whether held syncs may begin in the flush that is going on.
    var isReleased = false

    init(directory: LogDirectory) { self.directory = directory }
}
