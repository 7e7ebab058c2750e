/// Bytes of a file as they may stand in a message: at most 40, in quotes, everything unprintable as `?`.
public func quotedText(_ bytes: ArraySlice<UInt8>) -> String {
    let printable = bytes.prefix(40).map {
        $0 >= 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") ? $0 : UInt8(ascii: "?")
    }
    return "\"\(String(decoding: printable, as: UTF8.self))\(bytes.count > 40 ? "..." : "")\""
}
