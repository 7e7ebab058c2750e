internal import Glibc

/// The environment variables of the process.
public enum ProcessEnvironment {
    /// Nil when there is no such variable.
    public static func value(_ name: String) -> String? {
        guard let text = getenv(name) else { return nil }
        return String(cString: text)
    }
}
