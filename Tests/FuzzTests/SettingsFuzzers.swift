internal import Base
internal import Settings

/// A broker's file under any bytes: what is taken can be read setting by setting, told to clients, and taken
/// again.
let settingsFuzzers = [
    Fuzzer(
        name: "server-properties",
        seeds: {
            [
                "node.id=1\nprocess.roles=broker,controller\nlisteners=PLAINTEXT://:9092,C://[::1]:9093\n",
                "controller.listener.names=C\ncontroller.quorum.voters=1@localhost:9093\nlog.roll.hours:2\n",
                "log.retention.minutes = 5\nlog.cleanup.policy=compact,\\\n  delete\nnum.io.threads=8\n",
                "max.connections.per.ip.overrides=a:1,b:2\nlog.cleaner.io.max.bytes.per.second=1e6\n",
            ].map { Array($0.utf8) }
        }, run: fuzzServerProperties)
]

private func fuzzServerProperties(_ input: [UInt8]) throws {
    let values = try SettingValues.starting(file: input).values
    let topic = TopicSettingValues(broker: values, own: [:], replicationFactor: 1)
    for report in values.reports() + topic.reports() {
        guard let value = report.value else { continue }
        guard (try? report.descriptor.check(value)) != nil else {
            throw FuzzFailure("\(report.name) holds \(value), which it does not take")
        }
    }
    let again = SettingValues().replacing(.file, with: values.texts(in: .file))
    guard again.refused.isEmpty, again.values.texts(in: .file) == values.texts(in: .file) else {
        throw FuzzFailure("what a file said is not taken a second time")
    }
    _ = try ListenerPlan(values)
}
