import KafkaProtocol
import Testing

@testable import Coordinators

extension GroupMachine {
    /// What is wrong with the state by itself; nil when nothing is.
    func fault() -> String? {
        for (id, group) in groups {
            if let fault = group.fault() { return "\(id) (\(group.state)): \(fault)" }
        }
        return nil
    }
}

extension ClassicGroup {
    func fault() -> String? {
        let all = members.all
        if all.filter({ $0.joining != nil }).count != joiningCount { return "joining members miscounted" }
        if all.contains(where: { members.place(of: $0.id).map { members[$0].id } != members[$0.id]?.id }) {
            return "members not found by their IDs"
        }
        if !pendingSyncs.isSubset(of: all.map(\.id)) { return "syncs of strangers are waited for" }
        if pendingJoins.keys.contains(where: members.contains) { return "a member is to join" }
        let statics = all.compactMap { member in member.instanceID.map { ($0, member.id) } }
        if Dictionary(statics, uniquingKeysWith: { $1 }) != staticMembers { return "static members differ" }
        if statics.count != staticMembers.count { return "two members of one instance ID" }
        if !all.isEmpty && leaderID.map(members.contains) != true { return "the leader is no member" }
        if all.isEmpty && leaderID != nil { return "a leader of nobody" }
        let common = all.dropFirst().reduce(Set(all.first?.protocols.map(\.name) ?? [])) {
            $0.intersection($1.protocols.map(\.name))
        }
        if !all.isEmpty && common.isEmpty { return "no protocol that all know" }
        for name in common where !supports(protocolType ?? "", [ClassicProtocol(name: name, metadata: [])]) {
            return "\(name) is known by all, and miscounted"
        }
        switch state {
        case .empty: return all.isEmpty ? nil : "members"
        case .preparingRebalance:
            if joinTimer == nil { return "nothing ends it" }
            return all.contains { $0.syncing != nil } ? "a sync waits" : nil
        case .completingRebalance:
            if syncTimer == nil { return "nothing ends it" }
            return joiningCount > 0 ? "a join waits" : nil
        case .stable:
            if all.contains(where: { $0.timer == nil }) { return "a session without end" }
            return all.contains { $0.joining != nil || $0.syncing != nil } ? "somebody waits" : nil
        case .dead: return "dead, and kept"
        }
    }
}
