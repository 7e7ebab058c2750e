import SimulationKit
import SystemIO
import Testing

@Suite("The simulated disk as a file system")
struct SimulatedDiskConformanceTests {
    @Test("It does what every file system must do", arguments: FileSystemConformance.all)
    func conformance(_ check: FileSystemConformance) throws {
        let process = SimulatedDisk(seed: 11).mount()
        try process.createDirectory("/root")
        try check.run(on: process, root: "/root")
    }
}
