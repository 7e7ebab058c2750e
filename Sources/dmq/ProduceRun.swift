import Base
import DMQClient
import RecordFormat
import SystemIO

/// One run of `dmq produce`.
final class ProduceRun {
    private let options: ProduceOptions
    private let producer: Producer
    private let output = Output()
    private let report: DeliveryReport
    private var progress: ProduceProgress
    private let chunk = IOBuffer(byteCount: 1 << 20)
    private var splitter: RecordSplitter

    init(_ options: ProduceOptions, _ client: Client) throws {
        self.options = options
        producer = try Producer(client, options.configuration)
        report = DeliveryReport(options)
        progress = ProduceProgress(isWanted: options.showsProgress && !options.prints)
        splitter = RecordSplitter(delimiter: options.delimiter)
    }

    func run() async throws {
        try await producer.prepare(topic: options.topic)
        for _ in 0..<options.repetitions {
            if options.files.isEmpty { try await readInput() }
            for path in options.files { try await readFile(path) }
        }
        try await producer.flush()
        progress.end()
        try report.write(to: output)
        try output.flush()
        if let error = report.firstError { throw error }
    }

    private func readInput() async throws {
        while true {
            let count = try StandardInput.read(into: chunk, 0..<chunk.byteCount)
            if count == 0 { break }
            try await take(count)
            // A person who types wants each line on its way.
            if StandardInput.isTerminal { try await producer.flush() }
        }
        try await finish()
    }

    private func readFile(_ path: String) async throws {
        let chunk = self.chunk
        let file = try PosixFileSystem().open(path, .read)
        if options.isWholeFile {
            var bytes: [UInt8] = []
            var position: Int64 = 0
            while true {
                let count = try file.read(into: chunk, 0..<chunk.byteCount, at: position)
                if count == 0 { break }
                bytes.append(copying: chunk.bytes(0..<count))
                position += Int64(count)
            }
            return try await enqueue(bytes)
        }
        var position: Int64 = 0
        while true {
            let count = try file.read(into: chunk, 0..<chunk.byteCount, at: position)
            if count == 0 { break }
            position += Int64(count)
            try await take(count)
        }
        try await finish()
    }

    private func take(_ count: Int) async throws {
        let chunk = self.chunk
        splitter.append(chunk.bytes(0..<count))
        while let record = splitter.next() { try await enqueue(record) }
        progress.show()
        if let error = report.firstError { throw error }
    }

    private func finish() async throws {
        if let rest = splitter.rest() { try await enqueue(rest) }
    }

    private func enqueue(_ bytes: [UInt8]) async throws {
        var key = options.key
        var value: [UInt8]? = bytes
        if let separator = options.keySeparator, let place = bytes.firstRange(of: separator) {
            key = Array(bytes[..<place.lowerBound])
            value = Array(bytes[place.upperBound...])
        }
        if options.emptyIsNull {
            if key?.isEmpty == true { key = nil }
            if value?.isEmpty == true { value = nil }
        }
        progress.count(bytes.count)
        let report = self.report
        let note: DeliveryCompletion = { report.note($0) }
        try await producer.enqueue(
            topic: options.topic, partition: options.partition, key: key, value: value,
            headers: options.headers, timestamp: options.timestamp, completion: options.prints ? note : nil)
        if options.prints { try report.write(to: output) }
    }
}

/// Cuts bytes into records.
struct RecordSplitter {
    private let delimiter: [UInt8]
    private var bytes: [UInt8] = []
    private var start = 0
    private var searched = 0

    init(delimiter: [UInt8]) { self.delimiter = delimiter }

    mutating func append(_ more: RawSpan) {
        bytes.removeFirst(start)
        searched -= start
        start = 0
        bytes.append(copying: more)
    }

    /// The next record that has an end.
    mutating func next() -> [UInt8]? {
        guard let last = delimiter.last else { return nil }
        var place = max(searched, start + delimiter.count - 1)
        while place < bytes.count {
            if bytes[place] == last && (delimiter.count == 1 || endsDelimiter(place)) {
                let record = Array(bytes[start..<(place + 1 - delimiter.count)])
                start = place + 1
                searched = start
                return record
            }
            place += 1
        }
        searched = bytes.count
        return nil
    }

    private func endsDelimiter(_ place: Int) -> Bool {
        bytes[(place + 1 - delimiter.count)...place].elementsEqual(delimiter)
    }

    /// What stands behind the last delimiter; nil when that is nothing.
    mutating func rest() -> [UInt8]? {
        defer {
            bytes = []
            start = 0
            searched = 0
        }
        return start < bytes.count ? Array(bytes[start...]) : nil
    }
}

/// What became of records, gathered on the client's thread and printed on ours.
final class DeliveryReport: Sendable {
    private struct State {
        var delivered: [RecordMetadata] = []
        var firstError: ClientError?
    }

    private let state = Locked(State())
    private let writesJSON: Bool

    init(_ options: ProduceOptions) { writesJSON = options.writesJSON }

    var firstError: ClientError? { state.withLock { $0.firstError } }

    func note(_ result: Result<RecordMetadata, ClientError>) {
        state.withLock { state in
            switch result {
            case .success(let metadata): state.delivered.append(metadata)
            case .failure(let error): if state.firstError == nil { state.firstError = error }
            }
        }
    }

    /// Prints what has come since the last call.
    func write(to output: Output) throws {
        let delivered = state.withLock { state in
            defer { state.delivered = [] }
            return state.delivered
        }
        for metadata in delivered {
            if writesJSON {
                try output.json { json in
                    json.field("topic", metadata.partition.topic)
                    json.field("partition", metadata.partition.partition)
                    json.field("offset", metadata.offset?.rawValue)
                }
            } else {
                let offset = metadata.offset.map { "\($0)" } ?? "?"
                try output.line("\(metadata.partition.topic)/\(metadata.partition.partition)@\(offset)")
            }
        }
    }
}

/// Says on a terminal how much has been written, when there is much.
struct ProduceProgress {
    private static let intervalNanoseconds: UInt64 = 200_000_000

    private let isShown: Bool
    private let clock = SystemClock()
    private let start: UInt64
    private var lastShown: UInt64
    private var recordCount: Int64 = 0
    private var byteCount: Int64 = 0
    private var wasShown = false

    init(isWanted: Bool) {
        isShown = isWanted && StandardStream.error.isTerminal && !StandardInput.isTerminal
        start = clock.monotonicNanoseconds()
        // Short inputs are over before there is something to say.
        lastShown = start + Self.intervalNanoseconds
    }

    mutating func count(_ bytes: Int) {
        recordCount += 1
        byteCount += Int64(bytes)
    }

    mutating func show() {
        let now = clock.monotonicNanoseconds()
        guard isShown, now > lastShown, now - lastShown >= Self.intervalNanoseconds else { return }
        lastShown = now
        wasShown = true
        let seconds = Double(now - start) / 1e9
        let records = DecimalText.grouped(recordCount)
        let rate = ByteCountText.format(Int64(Double(byteCount) / seconds))
        say(
            "\r\u{1B}[K\(records) records, \(ByteCountText.format(byteCount)), \(rate)/s"
        )
    }

    func end() { if wasShown { say("\r\u{1B}[K") } }

    private func say(_ text: String) { _ = try? StandardStream.error.write(text) }
}
