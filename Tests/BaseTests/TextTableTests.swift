import Base
import Testing

@Suite struct TextTableTests {
    @Test("columns stand below each other, numbers to the right")
    func columns() {
        var table = TextTable(columns: [("profile", .left), ("MB/s", .right), ("note", .left)])
        table.append(["append", "1234", ""])
        table.append(["read", "5", "cold"])
        #expect(table.text == "profile  MB/s  note\nappend   1234\nread        5  cold\n")
    }

    @Test("progress shows share, bytes, speed and what is left")
    func progress() {
        #expect(
            ProgressLine.text(done: 256 << 20, total: 1 << 30, elapsedNanoseconds: 500_000_000)
                == "[#####---------------]  25 %  256 MiB of 1.00 GiB, 512 MiB/s, 1.50 s left")
        #expect(
            ProgressLine.text(done: 0, total: 10, elapsedNanoseconds: 5)
                == "[--------------------]   0 %  0 B of 10 B")
        #expect(
            ProgressLine.text(done: 20, total: 10, elapsedNanoseconds: 1_000_000_000)
                == "[####################] 100 %  20 B of 10 B, 20 B/s")
        #expect(
            ProgressLine.text(done: 0, total: 0, elapsedNanoseconds: 0)
                == "[####################] 100 %  0 B of 0 B")
    }
}
