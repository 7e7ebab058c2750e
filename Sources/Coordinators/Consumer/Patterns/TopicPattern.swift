/// A regular expression for names of topics (KIP-848): a name matches as a whole or not at all, in time that
/// grows with its length only.
///
/// The expression becomes a machine that is in several states at a time (Thompson, 1968), of which the sets
/// that come up are remembered, so that a byte of a name mostly costs one look into a table.
struct TopicPattern {
    private enum Instruction {
        case byte(ByteSet, next: Int)
        case split(Int, Int)
        case begin(next: Int)
        case end(next: Int)
        case match
    }

    /// A set of instructions that the machine is at.
    private struct Stage {
        /// Rising.
        let instructions: [Int]
        /// Whether a name may end here.
        let isEnd: Bool
        /// Where each byte leads; -1 where nobody has looked.
        var next: [Int32]
    }

    private var program: [Instruction] = []
    private var stages: [Stage] = []
    private var known: [[Int]: Int32] = [:]
    private var first: Int32 = 0
    /// How many parts of the expression have been taken, each as often as it is repeated.
    private var emitted = 0
    /// What matching has cost, in instructions that were looked at.
    private(set) var cost = 0

    /// RE2J's own bound is of this order; a stage is at most as large.
    private static let programLimit = 2_000
    private static let emissionLimit = 20_000
    /// More are not remembered at a time.
    private static let stageLimit = 400

    init(_ pattern: String) throws(PatternError) {
        let node = try PatternParser.parse(pattern)
        try emit(node)
        try add(.match)
        restart()
    }

    // MARK: The program

    private mutating func add(_ instruction: Instruction) throws(PatternError) {
        if program.count >= Self.programLimit { throw .tooLarge }
        program.append(instruction)
    }

    /// Appends what leads from its start to the instruction behind it.
    private mutating func emit(_ node: PatternNode) throws(PatternError) {
        // What is empty makes no instruction, and repeated often enough takes for ever nonetheless.
        emitted += 1
        if emitted > Self.emissionLimit { throw .tooLarge }
        switch node {
        case .byte(let set): try add(.byte(set, next: program.count + 1))
        case .begin: try add(.begin(next: program.count + 1))
        case .end: try add(.end(next: program.count + 1))
        case .sequence(let nodes): for one in nodes { try emit(one) }
        case .choice(let branches): try emitChoice(branches)
        case .repetition(let node, let least, let most):
            for _ in 0..<least { try emit(node) }
            if let most {
                try emitOptional(node, most - least)
            } else {
                let split = program.count
                try add(.match)
                try emit(node)
                try add(.split(split, split))
                program[split] = .split(split + 1, program.count)
            }
        }
    }

    private mutating func emitChoice(_ branches: [PatternNode]) throws(PatternError) {
        var ends: [Int] = []
        for (number, branch) in branches.enumerated() {
            let split = program.count
            let isLast = number == branches.count - 1
            if !isLast { try add(.match) }
            try emit(branch)
            if isLast { break }
            ends.append(program.count)
            try add(.match)
            program[split] = .split(split + 1, program.count)
        }
        for end in ends { program[end] = .split(program.count, program.count) }
    }

    /// Each one more may be the last.
    private mutating func emitOptional(_ node: PatternNode, _ count: Int) throws(PatternError) {
        var splits: [Int] = []
        for _ in 0..<count {
            splits.append(program.count)
            try add(.match)
            try emit(node)
        }
        for split in splits { program[split] = .split(split + 1, program.count) }
    }

    // MARK: Matching

    mutating func matches(_ name: String) -> Bool {
        var stage = first
        for byte in name.utf8 {
            let next = stages[Int(stage)].next[Int(byte)]
            stage = next >= 0 ? next : step(stage, byte)
            cost += 1
            if stages[Int(stage)].instructions.isEmpty { return false }
        }
        return stages[Int(stage)].isEnd
    }

    private mutating func restart() {
        stages = []
        known = [:]
        first = stage(closure([0], atBegin: true, atEnd: false))
    }

    private mutating func step(_ stage: Int32, _ byte: UInt8) -> Int32 {
        var reached: [Int] = []
        for place in stages[Int(stage)].instructions {
            if case .byte(let set, let next) = program[place], set.contains(byte) { reached.append(next) }
        }
        cost += stages[Int(stage)].instructions.count
        let instructions = closure(reached, atBegin: false, atEnd: false)
        if stages.count >= Self.stageLimit && known[instructions] == nil {
            restart()
            return self.stage(instructions)
        }
        let next = self.stage(instructions)
        stages[Int(stage)].next[Int(byte)] = next
        return next
    }

    private mutating func stage(_ instructions: [Int]) -> Int32 {
        if let number = known[instructions] { return number }
        let number = Int32(stages.count)
        let end = closure(instructions, atBegin: false, atEnd: true)
        let isEnd = end.contains { if case .match = program[$0] { true } else { false } }
        known[instructions] = number
        stages.append(Stage(instructions: instructions, isEnd: isEnd, next: Array(repeating: -1, count: 256)))
        return number
    }

    /// All instructions that are reached without a byte. Those that wait for the end of the name stay.
    private mutating func closure(_ places: [Int], atBegin: Bool, atEnd: Bool) -> [Int] {
        var seen = Set<Int>()
        var open = places
        while let place = open.popLast() {
            guard seen.insert(place).inserted else { continue }
            cost += 1
            switch program[place] {
            case .split(let one, let other): open += [one, other]
            case .begin(let next) where atBegin: open.append(next)
            case .end(let next) where atEnd: open.append(next)
            default: break
            }
        }
        return seen.filter { place in
            switch program[place] {
            case .byte, .end, .match: true
            case .split, .begin: false
            }
        }.sorted()
    }
}
