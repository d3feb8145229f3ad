//! Which assignment protocols all members share, and the vote among them.

use std::collections::BTreeMap;

use weir_protocol::messages::StrBytes;

use super::member::{Member, Protocol};

/// How many members offer each protocol; counts are never zero.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct SupportedProtocols {
    counts: BTreeMap<StrBytes, usize>,
}

impl SupportedProtocols {
    pub(super) fn add(&mut self, offered: &[Protocol]) {
        for protocol in offered {
            *self.counts.entry(protocol.name.clone()).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, offered: &[Protocol]) {
        for protocol in offered {
            if let Some(count) = self.counts.get_mut(&protocol.name) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&protocol.name);
                }
            }
        }
    }

    /// Whether `members` members all offer `name`.
    pub(super) fn is_offered_by_all(&self, name: &StrBytes, members: usize) -> bool {
        self.counts.get(name).copied().unwrap_or(0) == members
    }

    /// Each member votes for the first of its protocols that all others share; the most votes win, and of equals the
    /// alphabetically first. `None` if nothing is shared, which joining prevents.
    pub(super) fn select<'a>(&self, members: impl ExactSizeIterator<Item = &'a Member>) -> Option<StrBytes> {
        let count = members.len();
        let mut votes: BTreeMap<&StrBytes, usize> = BTreeMap::new();
        for member in members {
            let choice = member.protocols.iter().find(|offered| self.is_offered_by_all(&offered.name, count))?;
            *votes.entry(&choice.name).or_default() += 1;
        }
        votes.into_iter().rev().max_by_key(|(_, votes)| *votes).map(|(name, _)| name.clone())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::member::MemberTimeouts;
    use super::*;
    use crate::group::ids::MemberId;

    fn member(id: &str, protocols: &[&'static str]) -> Member {
        Member {
            id: MemberId::from(id),
            instance_id: None,
            client_id: StrBytes::new(),
            client_host: StrBytes::new(),
            timeouts: MemberTimeouts { rebalance_ms: 0, session_ms: 0 },
            protocols: protocols
                .iter()
                .map(|name| Protocol { name: StrBytes::from_static_str(name), metadata: Bytes::new() })
                .collect(),
            assignment: Bytes::new(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: false,
        }
    }

    fn select(offers: &[&[&'static str]]) -> Option<String> {
        let members: Vec<Member> = offers.iter().enumerate().map(|(i, offer)| member(&i.to_string(), offer)).collect();
        let mut supported = SupportedProtocols::default();
        members.iter().for_each(|member| supported.add(&member.protocols));
        supported.select(members.iter()).map(|name| name.to_string())
    }

    #[test]
    fn the_protocol_with_most_votes_wins() {
        assert_eq!(
            select(&[&["range", "sticky"], &["sticky", "range"], &["sticky", "range"]]).as_deref(),
            Some("sticky")
        );
        assert_eq!(
            select(&[&["range", "sticky"], &["range", "sticky"], &["sticky", "range"]]).as_deref(),
            Some("range")
        );
    }

    #[test]
    fn a_protocol_that_one_member_lacks_cannot_win() {
        assert_eq!(select(&[&["sticky", "range"], &["sticky", "range"], &["range"]]).as_deref(), Some("range"));
    }

    #[test]
    fn equal_votes_go_to_the_first_by_name() {
        assert_eq!(select(&[&["b", "a"], &["a", "b"]]).as_deref(), Some("a"));
    }

    #[test]
    fn nothing_shared_selects_nothing() {
        assert_eq!(select(&[&["a"], &["b"]]), None);
    }
}
