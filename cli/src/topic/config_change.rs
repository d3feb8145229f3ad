//! `NAME=VALUE` on the command line.

use std::str::FromStr;

/// A config's name and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NameValue {
    pub(super) name: String,
    pub(super) value: String,
}

impl FromStr for NameValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok(Self { name: name.trim().to_owned(), value: value.to_owned() })
            }
            _ => Err("write NAME=VALUE, such as retention.ms=3600000".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_be_empty_or_hold_an_equals_sign() {
        let parse = |text: &str| text.parse::<NameValue>().map(|it| (it.name, it.value));
        assert_eq!(parse("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(parse("a="), Ok(("a".to_owned(), String::new())));
        assert!(parse("a").is_err() && parse("=b").is_err());
    }
}
