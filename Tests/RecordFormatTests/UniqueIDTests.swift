import Base
import Foundation
import RecordFormat
import Testing

@Suite("IDs of 128 bits")
struct UniqueIDTests {
    /// What Foundation makes of the same bits.
    private func foundationText(_ id: UniqueID) -> String {
        let bytes =
            withUnsafeBytes(of: id.high.bigEndian, Array.init)
            + withUnsafeBytes(of: id.low.bigEndian, Array.init)
        return Data(bytes).base64EncodedString().replacingOccurrences(of: "+", with: "-")
            .replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "")
    }

    @Test("text is base64url without padding, as Foundation writes it, and is read back")
    func roundTrip() {
        var generator = SeededGenerator(seed: 7)
        for round in 0..<2_000 {
            let id = UniqueID(
                high: generator.next() >> UInt64(round % 65), low: generator.next() << UInt64(round % 63))
            #expect(id.description == foundationText(id))
            #expect(UniqueID(id.description) == id)
        }
        for id in [UniqueID.zero, UniqueID(high: .max, low: .max), UniqueID(high: 0, low: 1)] {
            #expect(id.description == foundationText(id) && UniqueID(id.description) == id)
        }
    }

    @Test(
        "anything but 22 characters with the spare bits zero is refused",
        arguments: [
            "", "A", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAA==",
            "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAAAI", "AAAAAAAAAAA+AAAAAAAAAA",
            "AAAAAAAAAAA/AAAAAAAAAA",
            "AAAAAAAAAAA AAAAAAAAAA", "AAAAAAAAAAAéAAAAAAAAA",
        ])
    func refused(text: String) { #expect(UniqueID(text) == nil) }

    @Test("the reserved IDs are Kafka's")
    func reserved() {
        #expect(TopicID.none.description == "AAAAAAAAAAAAAAAAAAAAAA")
        #expect(TopicID.clusterMetadata.description == "AAAAAAAAAAAAAAAAAAAAAQ")
        #expect(TopicID.none.isReserved && TopicID.clusterMetadata.isReserved)
        #expect(TopicID("IqhlkmDxS5KKvAK4WB8cAQ")?.isReserved == false && TopicID("x") == nil)
        #expect(DirectoryID.unassigned.isReserved && DirectoryID.lost.isReserved)
        #expect(DirectoryID(UniqueID(high: 0, low: 99)).isReserved)
        #expect(!DirectoryID(UniqueID(high: 0, low: 100)).isReserved)
        #expect(!DirectoryID(UniqueID(high: 1, low: 0)).isReserved)
    }

    @Test("IDs are ordered by their bits")
    func order() {
        #expect(UniqueID(high: 0, low: .max) < UniqueID(high: 1, low: 0))
        #expect(TopicID.none < TopicID.clusterMetadata)
    }
}
