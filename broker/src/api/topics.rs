//! What several APIs must know of topics' names.

/// The longest name, so that a partition's folder fits in a file name.
const MAX_TOPIC_NAME_LENGTH: usize = 249;

/// The coordinators' topics: clients may read them but not make them by accident.
const INTERNAL_TOPICS: &[&str] = &["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// Whether the topic is a coordinator's.
pub(super) fn is_internal(name: &str) -> bool {
    INTERNAL_TOPICS.contains(&name)
}

/// Whether a topic may have this name: letters, digits, '.', '_' and '-', and not a folder's own name.
pub(super) fn is_valid_topic_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= MAX_TOPIC_NAME_LENGTH
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}
