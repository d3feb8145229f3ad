//! What one configuration key is: its name, type, bounds, default and meaning.
//!
//! Owns the checking of a value against its definition, with messages in the form Kafka's clients show. Never reads a
//! file, the environment or the cluster's state.

use std::fmt;

/// The type of a key's value, with its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A 16-bit number within bounds, both inclusive.
    Short(i64, i64),
    /// A 32-bit number within bounds, both inclusive.
    Int(i64, i64),
    /// A 64-bit number within bounds, both inclusive.
    Long(i64, i64),
    /// A fraction within bounds, both inclusive.
    Double(f64, f64),
    /// Any text.
    String,
    /// Text that is never shown again.
    Password,
    /// One of the words named.
    OneOf(&'static [&'static str]),
    /// Words separated by commas.
    List,
    /// Words separated by commas, each one of those named.
    ListOf(&'static [&'static str]),
}

/// When a change of the key takes effect (KIP-226).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// At the next start.
    ReadOnly,
    /// At once, for one broker or for all.
    ClusterWide,
}

/// A configuration key.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Kafka's name for it.
    pub name: &'static str,
    /// Type and bounds.
    pub kind: Kind,
    /// What holds where nothing is set; `None` is Kafka's null.
    pub default: Option<&'static str>,
    /// When a change takes effect.
    pub update: Update,
    /// What it does, in a sentence or two.
    pub doc: &'static str,
}

impl Definition {
    pub(crate) const fn new(
        name: &'static str,
        kind: Kind,
        default: Option<&'static str>,
        update: Update,
        doc: &'static str,
    ) -> Self {
        Self { name, kind, default, update, doc }
    }

    /// Whether the value must not be shown.
    pub fn is_sensitive(&self) -> bool {
        matches!(self.kind, Kind::Password)
    }

    /// Whether the value is a list that APPEND and SUBTRACT apply to (KIP-339).
    pub fn is_list(&self) -> bool {
        matches!(self.kind, Kind::List | Kind::ListOf(_))
    }

    /// Checks `value` and gives it back without the white space around it.
    pub fn check<'v>(&self, value: &'v str) -> Result<&'v str, ConfigError> {
        let value = value.trim();
        let wrong = |reason: String| ConfigError { key: self.name.to_owned(), value: self.shown(value), reason };
        match self.kind {
            Kind::Boolean => {
                if !matches!(value.to_ascii_lowercase().as_str(), "true" | "false") {
                    return Err(wrong("Expected value to be either true or false".into()));
                }
            }
            Kind::Short(min, max) => self.check_number(value, min, max, "SHORT")?,
            Kind::Int(min, max) => self.check_number(value, min, max, "INT")?,
            Kind::Long(min, max) => self.check_number(value, min, max, "LONG")?,
            Kind::Double(min, max) => {
                let number: f64 = value.parse().map_err(|_| wrong("Not a number of type DOUBLE".into()))?;
                if !(min..=max).contains(&number) {
                    return Err(wrong(format!("Value must be between {min} and {max}")));
                }
            }
            Kind::OneOf(words) => {
                if !words.contains(&value) {
                    return Err(wrong(format!("String must be one of: {}", words.join(", "))));
                }
            }
            Kind::ListOf(words) => {
                if let Some(word) = list(value).find(|word| !words.contains(word)) {
                    return Err(wrong(format!("\"{word}\" is not one of: {}", words.join(", "))));
                }
            }
            Kind::String | Kind::Password | Kind::List => {}
        }
        Ok(value)
    }

    fn check_number(&self, value: &str, min: i64, max: i64, type_name: &str) -> Result<(), ConfigError> {
        let reason = match value.parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => return Ok(()),
            Ok(number) if number < min => format!("Value must be at least {min}"),
            Ok(_) => format!("Value must be no more than {max}"),
            Err(_) => format!("Not a number of type {type_name} between {min} and {max}"),
        };
        Err(ConfigError { key: self.name.to_owned(), value: value.to_owned(), reason })
    }

    fn shown(&self, value: &str) -> String {
        if self.is_sensitive() { "[hidden]".to_owned() } else { value.to_owned() }
    }
}

/// The words of a list value.
pub fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// A value that its key does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The key that was set.
    pub key: String,
    /// What it was set to.
    pub value: String,
    /// Why that cannot be, with the allowed range.
    pub reason: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invalid value {} for configuration {}: {}", self.value, self.key, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(kind: Kind) -> Definition {
        Definition::new("some.key", kind, None, Update::ReadOnly, "")
    }

    #[track_caller]
    fn check(kind: Kind, value: &str, expected: Result<&str, &str>) {
        let found = definition(kind).check(value).map_err(|e| e.reason);
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    #[test]
    fn numbers_are_bounded_and_the_bound_is_named() {
        check(Kind::Int(1, 9), " 9 ", Ok("9"));
        check(Kind::Int(1, 9), "0", Err("Value must be at least 1"));
        check(Kind::Int(1, 9), "10", Err("Value must be no more than 9"));
        check(Kind::Long(0, 9), "many", Err("Not a number of type LONG between 0 and 9"));
    }

    #[test]
    fn words_must_be_known() {
        check(Kind::OneOf(&["a", "b"]), "b", Ok("b"));
        check(Kind::OneOf(&["a", "b"]), "c", Err("String must be one of: a, b"));
        check(Kind::ListOf(&["a", "b"]), "a, b", Ok("a, b"));
        check(Kind::ListOf(&["a", "b"]), "a,c", Err("\"c\" is not one of: a, b"));
    }

    #[test]
    fn a_password_is_not_repeated_in_its_error() {
        let wrong = definition(Kind::Password).shown("secret");
        assert_eq!(wrong, "[hidden]");
    }
}
