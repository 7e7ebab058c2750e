import Base
import CBaseline
import LogStorage
import RecordFormat
import SystemIO

/// Floor searches of an offset index as large as that of a full segment, for offsets at random.
final class LookupBenchmark: Benchmark {
    private let options: StorageOptions
    private let directory: WorkDirectory
    private var index: OffsetIndex?
    private var baselineIndex: OpaquePointer?
    private var offsetLimit: UInt64 = 0
    private var sums: [UInt64] = []
    let targets: [Target]

    init(_ options: StorageOptions, _ directory: WorkDirectory, targets: [Target] = []) {
        self.options = options
        self.directory = directory
        self.targets = targets
    }

    let title = "lookup"

    var settings: [(name: String, value: String)] {
        [("entries", "\(Self.entryCount(options))"), ("lookups", "\(options.lookupCount)")]
    }

    var metrics: [Metric] { [.timePerOperation, .operations, .allocations] }

    private static let bytesPerEntry = 4096
    private static let offsetsPerEntry: Int64 = 4

    private static func entryCount(_ options: StorageOptions) -> Int {
        options.segmentByteCount / bytesPerEntry
    }

    func prepare() throws {
        let count = Self.entryCount(options)
        let path = "\(try directory.makeDirectory("index"))/\(LogLayout.fileName(.offsetIndex, .zero))"
        let index = try OffsetIndex.create(
            at: path, baseOffset: .zero, maximumByteCount: count * OffsetIndex.entryByteCount,
            directory.fileSystem)
        for number in 0..<Int64(count) {
            let added = index.append(
                Offset(number * Self.offsetsPerEntry), at: number * Int64(Self.bytesPerEntry))
            guard added else { throw BenchmarkError.wrongResult("entry \(number) was refused") }
        }
        try index.seal()
        self.index = index
        offsetLimit = UInt64(Int64(count) * Self.offsetsPerEntry)
        baselineIndex = dmq_index_map(path)
        guard baselineIndex != nil else { throw BenchmarkError.baselineFailed("cannot map \(path)") }
    }

    func run() throws -> Sample {
        guard let index else { return Sample() }
        var sample = Sample.measured(.thread) { sample in
            var generator = SeededGenerator(seed: 7)
            var sum: UInt64 = 0
            for _ in 0..<options.lookupCount {
                let offset = Offset(Int64(generator.next() % offsetLimit))
                if let found = index.floor(offset: offset) { sum &+= UInt64(found.position) }
            }
            sample.hash = sum
        }
        sample.operationCount = UInt64(options.lookupCount)
        sums.append(sample.hash)
        return sample
    }

    func runBaseline() throws -> Sample {
        guard let baselineIndex else { return Sample() }
        var sample = Sample.measured(.thread) { sample in
            sample.hash = dmq_index_search(baselineIndex, UInt64(options.lookupCount), 7, offsetLimit)
        }
        sample.operationCount = UInt64(options.lookupCount)
        sums.append(sample.hash)
        return sample
    }

    func finish() throws {
        dmq_index_unmap(baselineIndex)
        baselineIndex = nil
        index = nil
        try directory.remove("\(directory.path)/index")
        guard Set(sums).count == 1 else {
            throw BenchmarkError.wrongResult("other positions than the baseline's")
        }
    }
}
