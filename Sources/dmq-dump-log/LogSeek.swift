import LogStorage
import RecordFormat
import SystemIO

/// Finds where to begin in a log file by the indexes beside it. An index is believed only as far as a sound
/// batch stands where it points; otherwise the file is read from its beginning.
struct LogSeek {
    private let segment: SegmentFiles
    private let reader: SegmentReader
    private let fileSystem: any FileSystem

    init(_ segment: SegmentFiles, _ reader: SegmentReader, _ fileSystem: any FileSystem) {
        self.segment = segment
        self.reader = reader
        self.fileSystem = fileSystem
    }

    /// A position at or before the first batch that is wanted.
    func position(of start: DumpOptions.Start) throws(IOError) -> Int64 {
        switch start {
        case .beginning: return 0
        case .offset(let offset): return try position(ofOffset: offset.rawValue - segment.baseOffset.rawValue)
        case .timestamp(let timestamp):
            guard segment.present.contains(.timeIndex) else { return 0 }
            let entries = try TimeEntries(segment.path(.timeIndex), fileSystem)
            // Whatever is younger than an entry comes after the entry's offset.
            let last = try lastIndex(entries.file.count) { (index) throws(IOError) in
                try entries.entry(index).timestamp < timestamp.rawValue
            }
            guard let last else { return 0 }
            return try position(ofOffset: try entries.entry(last).relativeOffset)
        }
    }

    private func position(ofOffset relativeOffset: Int64) throws(IOError) -> Int64 {
        guard segment.present.contains(.offsetIndex), relativeOffset > 0 else { return 0 }
        let entries = try OffsetEntries(segment.path(.offsetIndex), fileSystem)
        let last = try lastIndex(entries.file.count) { (index) throws(IOError) in
            try entries.entry(index).relativeOffset <= relativeOffset
        }
        guard let last else { return 0 }
        let position = try entries.entry(last).position
        guard position > 0, position < reader.byteCount,
            case .success(let header) = try reader.header(at: position),
            header.baseOffset.rawValue >= segment.baseOffset.rawValue,
            header.baseOffset.rawValue - segment.baseOffset.rawValue <= relativeOffset,
            try reader.checksum(of: header, at: position) == header.crc
        else { return 0 }
        return position
    }

    /// The last index for which `isAtMost` holds, where it holds for the first ones and no others.
    private func lastIndex(
        _ count: Int, _ isAtMost: (Int) throws(IOError) -> Bool
    ) throws(IOError) -> Int? {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if try isAtMost(middle) { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : low - 1
    }
}
