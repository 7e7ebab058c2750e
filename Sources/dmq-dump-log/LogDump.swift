import LogStorage
import RecordFormat
import SystemIO

/// Shows the batches of a log file, and their records where asked for.
struct LogDump {
    private let options: DumpOptions
    private let fileSystem: any FileSystem
    private let output: DumpOutput
    private let reportsDamage: Bool
    private let decompressor = Decompressor()

    /// - Parameter reportsDamage: false when it has been reported already.
    init(_ options: DumpOptions, _ fileSystem: any FileSystem, _ output: DumpOutput, reportsDamage: Bool) {
        self.options = options
        self.fileSystem = fileSystem
        self.output = output
        self.reportsDamage = reportsDamage
    }

    func show(_ path: String, _ segment: SegmentFiles, _ progress: inout DumpProgress) throws(DumpFailure) {
        try show(path, extent: segment.extent, indexes: segment, &progress)
    }

    func show(
        _ path: String, extent: LogExtent, indexes: SegmentFiles?, _ progress: inout DumpProgress
    ) throws(DumpFailure) {
        let reader = try DumpFailure.reading { () throws(IOError) in try SegmentReader(path, fileSystem) }
        var position: Int64 = 0
        if let indexes {
            position = try DumpFailure.reading { () throws(IOError) in
                try LogSeek(indexes, reader, fileSystem).position(of: options.start)
            }
        }
        let topic = InternalTopic(logPath: path)
        var scan = LogScan(reader, extent, from: position)
        var shownBytes: Int64 = 0
        var shownBatches = 0
        while shownBytes < options.maximumByteCount, shownBatches < options.maximumBatchCount {
            let event = try DumpFailure.reading { () throws(IOError) in try scan.next() }
            if case .end = event { return }
            guard case .batch(let header, let position) = event else {
                if reportsDamage { try note(event, path) }
                continue
            }
            progress.advance(Int64(header.byteCount))
            guard isDue(header) else { continue }
            shownBytes += Int64(header.byteCount)
            shownBatches += 1
            try DumpFailure.writing { () throws(IOError) in
                try output.write(Self.line(header, position, path))
            }
            if options.printsRecords || header.attributes.isControl {
                try showRecords(header, position, reader, topic)
            }
        }
    }

    /// Says what a scan met besides batches.
    private func note(_ event: LogEvent, _ path: String) throws(DumpFailure) {
        try DumpFailure.writing { () throws(IOError) in try event.report(path, to: output) }
    }

    private func isDue(_ header: RecordBatchHeader) -> Bool {
        switch options.start {
        case .beginning: true
        case .offset(let offset): header.lastOffset >= offset
        case .timestamp(let timestamp): header.maxTimestamp >= timestamp
        }
    }

    private func isDue(_ record: Record) -> Bool {
        switch options.start {
        case .beginning: true
        case .offset(let offset): record.offset >= offset
        case .timestamp(let timestamp): record.timestamp >= timestamp
        }
    }

    private static func line(_ header: RecordBatchHeader, _ position: Int64, _ path: String) -> DumpLine {
        let attributes = header.attributes
        return DumpLine(
            "batch", path,
            [
                DumpField("position", position), DumpField("byteCount", header.byteCount),
                DumpField("baseOffset", header.baseOffset), DumpField("lastOffset", header.lastOffset),
                DumpField("count", header.recordCount),
                DumpField("codec", attributes.codec.map { "\($0)" } ?? "unknown"),
                DumpField(
                    "timestampType",
                    attributes.timestampType == .createTime ? "CreateTime" : "LogAppendTime"),
                DumpField(
                    "baseTimestamp",
                    attributes.hasDeleteHorizon ? .null : .time(header.baseTimestamp)),
                DumpField("maxTimestamp", header.maxTimestamp),
                DumpField("producerId", header.producerID.rawValue),
                DumpField("producerEpoch", header.producerEpoch.rawValue),
                DumpField("baseSequence", header.baseSequence.rawValue),
                DumpField("lastSequence", header.lastSequence.rawValue),
                DumpField("partitionLeaderEpoch", header.partitionLeaderEpoch.rawValue),
                DumpField("isTransactional", attributes.isTransactional),
                DumpField("isControl", attributes.isControl),
                DumpField(
                    "deleteHorizon", attributes.hasDeleteHorizon ? .time(header.baseTimestamp) : .null),
                DumpField("crc", header.crc), DumpField("isValid", true),
            ])
    }

    // MARK: Records

    private func showRecords(
        _ header: RecordBatchHeader, _ position: Int64, _ reader: SegmentReader, _ topic: InternalTopic?
    ) throws(DumpFailure) {
        let batch = try DumpFailure.reading { () throws(IOError) in try reader.batch(header, at: position) }
        guard let batch else { return }
        var outputFailure: IOError?
        do throws(RecordBatchError) {
            var cursor = try RecordCursor(batch.bytes, header: header, decompressor: decompressor)
            while outputFailure == nil, let view = try cursor.next() {
                let record = Record(view)
                guard isDue(record) else { continue }
                do throws(IOError) {
                    try output.write(line(record, header, reader.path, topic))
                } catch {
                    outputFailure = error
                }
            }
        } catch {
            guard reportsDamage else { return }
            try DumpFailure.writing { () throws(IOError) in
                try output.damage(
                    reader.path, position: position, byteCount: Int64(header.byteCount), error.description)
            }
        }
        if let outputFailure { throw .output(outputFailure) }
    }

    private func line(
        _ record: Record, _ header: RecordBatchHeader, _ path: String, _ topic: InternalTopic?
    ) -> DumpLine {
        var fields = [DumpField("offset", record.offset), DumpField("timestamp", record.timestamp)]
        if header.attributes.isControl {
            fields.append(DumpField("control", ControlText.value(record)))
            return DumpLine("control", path, fields)
        }
        if options.decodesInternalTopics, let topic, let decoded = topic.fields(of: record) {
            return DumpLine("record", path, fields + decoded)
        }
        fields.append(DumpField("key", options.keyFormat.value(record.key)))
        fields.append(DumpField("value", options.valueFormat.value(record.value)))
        let headers = record.headers.map {
            DumpValue.object([
                DumpField("key", $0.name), DumpField("value", options.valueFormat.value($0.value)),
            ])
        }
        fields.append(DumpField("headers", .list(headers)))
        return DumpLine("record", path, fields)
    }
}

extension LogEvent {
    /// Says what it is, unless it is a batch or the end.
    func report(_ path: String, to output: DumpOutput) throws(IOError) {
        switch self {
        case .damage(let position, let byteCount, let reason):
            try output.damage(path, position: position, byteCount: byteCount, reason)
        case .allocatedAhead(let position, let byteCount):
            try output.information(
                path, position: position, byteCount: byteCount,
                "allocated ahead: zeros to the end of the file")
        case .recycledTail(let position, let byteCount):
            try output.information(
                path, position: position, byteCount: byteCount,
                "recycled tail: what the file held before it became this segment's")
        case .batch, .end: break
        }
    }
}
