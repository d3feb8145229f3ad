//! Which of several brokers leads, coordinates or controls, and how often that has changed: as it happens to be, and no outcome.
//!
//! A single broker does everything itself and in its first epoch; there such numbers are compared. Among several they are taken out behind
//! the words that announce them, and everything around them is still compared: that somebody leads, over how many replicas.

/// What stands for a number.
const ANY: &str = "N";

/// The words before one number.
const BEFORE_A_NUMBER: [&str; 14] = [
    // Brokers.
    "controller ",
    "coordinator ",
    "leader ",
    "Leader: ",
    "HOST:PORT (",
    "HOST:PORT (id: ",
    "rack: zone-",
    // The size of an in-sync set, which a broker that is restarted leaves.
    "/isr ",
    // Leader epochs.
    ") epoch ",
    "] epoch ",
    "epoch Optional[",
    "partitionLeaderEpoch: ",
    "\"leaderEpoch\":",
    "leaderEpoch=",
];
/// An epoch where it follows who leads.
const EPOCH_OF_A_LEADER: &str = "isFenced: false)], epoch=";
/// The words before a list of brokers whose number counts, and of one whose number does not.
const BEFORE_REPLICAS: &str = "Replicas: ";
const BEFORE_IN_SYNC: &str = "Isr: ";

/// `outcome` without what says which broker does something.
pub(super) fn wherever(outcome: &str) -> String {
    let mut plain = outcome.to_owned();
    for words in BEFORE_A_NUMBER.into_iter().chain([EPOCH_OF_A_LEADER]) {
        plain = replace(&plain, words, |c| c.is_ascii_digit(), |_| ANY.to_owned());
    }
    let is_list = |c: char| c.is_ascii_digit() || c == ',';
    let anyone = |list: &str| vec![ANY; list.split(',').count()].join(",");
    let plain = replace(&plain, BEFORE_REPLICAS, is_list, anyone);
    replace(&plain, BEFORE_IN_SYNC, is_list, |_| ANY.to_owned())
}

/// Replaces what follows `words`, where something does that is all of `these`.
fn replace(text: &str, words: &str, these: impl Fn(char) -> bool, by: impl Fn(&str) -> String) -> String {
    let mut parts = text.split(words);
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(words);
        let end = part.find(|c| !these(c)).unwrap_or(part.len());
        let (found, rest) = part.split_at(end);
        if !found.is_empty() {
            plain.push_str(&by(found));
        }
        plain.push_str(rest);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leads_is_taken_out_and_that_somebody_does_is_kept() {
        let described = "Partition: 0 Leader: 3 Replicas: 3,1,2 Isr: 3,1 Elr: LastKnownElr:";
        assert_eq!(wherever(described), "Partition: 0 Leader: N Replicas: N,N,N Isr: N Elr: LastKnownElr:");
        assert_eq!(wherever("Leader: none Replicas: 3 Isr: "), "Leader: none Replicas: N Isr: ");
        assert_eq!(wherever("leader -1, voters [1, 2, 3]"), "leader -1, voters [1, 2, 3]");
    }

    #[test]
    fn epochs_are_taken_out_and_that_none_is_known_is_kept() {
        assert_eq!(wherever("4 at -1 epoch Optional[12]"), "4 at -1 epoch Optional[N]");
        assert_eq!(
            wherever("{offset=4, leaderEpoch=null}, {offset=4, leaderEpoch=3}"),
            "{offset=4, leaderEpoch=null}, {offset=4, leaderEpoch=N}"
        );
        let leader = "leader=Optional[HOST:PORT (id: 3 rack: zone-3 isFenced: false)], epoch=1}}";
        assert_eq!(wherever(leader), "leader=Optional[HOST:PORT (id: N rack: zone-N isFenced: false)], epoch=N}}");
    }

    #[test]
    fn other_numbers_are_left_alone() {
        let producer = "id known true epoch 0 sequence 2 coordinator epoch OptionalInt.empty";
        assert_eq!(wherever(producer), producer);
    }
}
