import Base
import Foundation
import Testing

@testable import Coordinators

@Suite struct TopicPatternTests {
    private func matches(_ pattern: String, _ name: String) throws -> Bool {
        var compiled = try TopicPattern(pattern)
        let first = compiled.matches(name)
        let second = compiled.matches(name)
        #expect(second == first)
        return first
    }

    @Test(
        "names match as a whole",
        arguments: [
            ("abc", "abc", true), ("abc", "abcd", false), ("abc", "xabc", false), ("", "", true),
            ("", "a", false),
            ("a.c", "abc", true), ("a\\.c", "abc", false), ("a\\.c", "a.c", true), ("^abc$", "abc", true),
            ("\\Aabc\\z", "abc", true), ("a^b", "ab", false), ("a$b", "ab", false), ("a*", "", true),
            ("a*", "aaaa", true), ("a+", "", false), ("a?b", "b", true), ("a??b", "ab", true),
            ("a+?", "aa", true),
            ("a{2}", "aa", true), ("a{2}", "aaa", false), ("a{2,}", "aaaa", true), ("a{1,3}", "aaaa", false),
            ("a{0,2}b", "b", true), ("a{,2}", "a{,2}", true), ("a{", "a{", true), ("x|y|zz", "zz", true),
            ("(x|y)+", "xyxy", true), ("x|", "", true), ("(?:ab)*", "abab", true), ("(?P<n>a)b", "ab", true),
            ("(?<n>a)b", "ab", true), ("(?i)AbC", "aBc", true), ("(?i:a)b", "AB", false),
            ("(?i:a)b", "Ab", true),
            ("(?i)a(?-i)b", "AB", false), ("(?sm-i)a", "a", true), ("[a-c]+", "abcb", true),
            ("[^a-c]", "b", false),
            ("[]a]", "]", true), ("[a-]", "-", true), ("[\\d_]+", "1_2", true),
            ("[[:alpha:]]+[[:digit:]]", "ab1", true),
            ("[[:^digit:]]", "1", false), ("\\w+\\.\\d+", "t_1.22", true), ("\\D\\S\\W", "ab.", true),
            ("\\Qa.b*\\E+", "a.b**", true), ("\\Qa.b", "axb", false), ("\\x41\\x{42}", "AB", true),
            ("topic-.*", "topic-", true), ("(logs|metrics)\\.[a-z]+", "logs.web", true), ("é", "é", true),
            ("(^a|b$)", "a", true), ("(?i)[^A]", "a", false),
        ])
    func whole(pattern: String, name: String, expected: Bool) throws {
        #expect(try matches(pattern, name) == expected, "\(pattern) and \(name)")
    }

    @Test(
        "what is no expression, or takes more than linear time, is refused",
        arguments: [
            "(", ")", "(a", "a)", "*", "+a", "?", "a**", "a*+", "a{2}{3}", "a{3,2}", "a{1001}", "[", "[a",
            "[z-a]",
            "[[:none:]]", "\\", "\\1", "(a)\\1", "(?=a)", "(?!a)", "(?<=a)", "(?>a)", "(?x)a", "\\b", "\\pL",
            "\\p{L}",
            "(?<n-a>b)", "(?", "(?i", "(?P", "\\x4", "\\x{110000}", "\\Z", "(?)",
            String(repeating: "(", count: 200) + String(repeating: ")", count: 200),
            String(repeating: "a", count: 5_000), "((a{100}){100}){100}",
            String(repeating: "(", count: 90) + String(repeating: "){1000}", count: 90),
        ])
    func refused(pattern: String) {
        #expect(throws: PatternError.self) { try TopicPattern(pattern) }
    }

    @Test("what others take exponential time for costs a little for each byte")
    func linear() throws {
        for pattern in ["(a*)*b", "(a|aa)+b", "(a|b)*a(a|b){12}", "(x+x+)+y", "(.*)(.*)(.*)(.*)c"] {
            var compiled = try TopicPattern(pattern)
            for letter in ["a", "x"] {
                let isMatch = compiled.matches(String(repeating: letter, count: 249) + "-")
                #expect(!isMatch)
            }
            #expect(compiled.cost < 2 * 249 * 400)
        }
    }

    @Test("expressions match what an independent implementation says", arguments: UInt64(1)...20)
    func random(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        func piece(_ depth: Int) -> String {
            switch random.next() % (depth > 0 ? 9 : 4) {
            case 0: return "a"
            case 1: return "b"
            case 2: return "."
            case 3: return "[^a]"
            case 4: return piece(depth - 1) + piece(depth - 1)
            case 5: return "(" + piece(depth - 1) + "|" + piece(depth - 1) + ")"
            case 6: return "(" + piece(depth - 1) + ")*"
            case 7: return "(?:" + piece(depth - 1) + "){1,2}"
            default: return "(" + piece(depth - 1) + ")?"
            }
        }
        for _ in 0..<25 {
            let pattern = piece(3)
            let other = try NSRegularExpression(pattern: "\\A(?:\(pattern))\\z")
            var compiled = try TopicPattern(pattern)
            for _ in 0..<12 {
                let name = (0..<(random.next() % 7)).map { _ in ["a", "b", "c"][Int(random.next() % 3)] }
                    .joined()
                let range = NSRange(location: 0, length: name.utf16.count)
                let expected = other.firstMatch(in: name, range: range) != nil
                let own = compiled.matches(name)
                #expect(own == expected, "\(pattern) and \(name)")
            }
        }
    }
}
