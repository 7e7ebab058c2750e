public import ClusterMetadata

/// Follows the committed metadata. Called on the controller's lane, in the order of the log; hands what it
/// hears on to where it is needed.
public protocol MetadataObserver: AnyObject {
    /// Records were committed. Comes before whoever asked for them is answered.
    func metadataAdvanced(_ update: MetadataUpdate)
}
