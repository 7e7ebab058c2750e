public import Base
internal import RecordFormat
internal import SystemIO

/// What reading through a log needs: a clock, and memory for batch headers that is used over and over. One
/// thread at a time; whoever uses the memory is done with it before calling anything else.
public final class ScanContext {
    let timeSource: any TimeSource
    let buffer = IOBuffer(byteCount: ScanContext.bufferByteCount)
    let decompressor = Decompressor()
    let compressor = Compressor()

    /// Large enough for the headers between two index entries, small enough to be copied cheaply.
    static let bufferByteCount = 8192

    public init(timeSource: any TimeSource) { self.timeSource = timeSource }

    var now: Timestamp { Timestamp(timeSource.wallClockMilliseconds()) }
}
