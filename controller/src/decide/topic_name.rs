//! Which names topics may have (Kafka's `Topic`).

use weir_protocol::error_code::ErrorCode;

use super::ApiError;

/// The longest name that a topic may have: with a partition number it must fit a folder's name.
pub const MAX_TOPIC_NAME_LENGTH: usize = 249;

/// The topic of the metadata log itself, which is not a topic.
pub const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

/// Checks a topic's name by itself, whatever other topics there are.
pub fn check_topic_name(name: &str) -> Result<(), ApiError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    // Kafka counts UTF-16 units; a name that is longer in bytes only is refused for its characters.
    let length = name.encode_utf16().count();
    let reason = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." => "'.' is not allowed".to_owned(),
        ".." => "'..' is not allowed".to_owned(),
        _ if length > MAX_TOPIC_NAME_LENGTH => {
            format!("the length of '{name}' is longer than the max allowed length {MAX_TOPIC_NAME_LENGTH}")
        }
        _ if !name.bytes().all(legal) => {
            format!("'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
        }
        _ => return Ok(()),
    };
    Err(ApiError::new(ErrorCode::InvalidTopicException, format!("Topic name is invalid: {reason}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str) -> String {
        check_topic_name(name).unwrap_err().message.unwrap()
    }

    #[test]
    fn letters_digits_dots_underscores_and_dashes_make_a_name() {
        for name in ["a", "Orders-2.eu_west", "__consumer_offsets", "...", &"x".repeat(249)] {
            assert_eq!(check_topic_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn other_names_are_refused_with_kafkas_words() {
        assert_eq!(refusal(""), "Topic name is invalid: the empty string is not allowed");
        assert_eq!(refusal("."), "Topic name is invalid: '.' is not allowed");
        assert_eq!(refusal(".."), "Topic name is invalid: '..' is not allowed");
        let long = "x".repeat(250);
        let expected =
            format!("Topic name is invalid: the length of '{long}' is longer than the max allowed length 249");
        assert_eq!(refusal(&long), expected);
        for name in ["a b", "a/b", "naïve", "a\0"] {
            assert_eq!(
                refusal(name),
                format!(
                    "Topic name is invalid: '{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
                )
            );
        }
    }
}
