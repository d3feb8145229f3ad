//! The kinds of group that `__consumer_offsets` can hold (Kafka's `Group.GroupType`).

/// What protocol a group's members speak.
///
/// Only classic groups exist yet; consumer (KIP-848), share (KIP-932) and streams (KIP-1071) groups get a variant here
/// and in [`Group`](super::state::Group) each, with operations of their own beside those of classic groups.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum GroupType {
    /// JoinGroup and SyncGroup: assignments are computed by the leading member.
    Classic,
}

impl GroupType {
    /// Kafka's name, as ListGroups prints it.
    pub fn name(self) -> &'static str {
        match self {
            GroupType::Classic => "classic",
        }
    }

    /// Whether a type filter of ListGroups, in any case, names this type.
    pub fn is_named(self, filter: &str) -> bool {
        filter.trim().eq_ignore_ascii_case(self.name())
    }
}
