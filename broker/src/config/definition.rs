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
    /// A 32-bit number within bounds, both inclusive, or the one named first.
    IntOr(i64, i64, i64),
    /// A 64-bit number within bounds, both inclusive.
    Long(i64, i64),
    /// A fraction within bounds, both inclusive.
    Double(f64, f64),
    /// Any text.
    String,
    /// Text that is never shown again.
    Password,
    /// The name of a class of the JVM's.
    Class,
    /// One of the words named.
    OneOf(&'static [&'static str]),
    /// One of the words named, in capitals or not.
    OneOfAnyCase(&'static [&'static str]),
    /// Words separated by commas.
    List,
    /// Words separated by commas, each one of those named.
    ListOf(&'static [&'static str]),
    /// Pairs of partition and broker, or `*` for all (KIP-73).
    ThrottledReplicas,
    /// `earliest`, `latest`, or `by_duration:` and a duration in ISO-8601 (KIP-932).
    ShareOffsetReset,
}

/// When a change of the key takes effect (KIP-226).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// At the next start.
    ReadOnly,
    /// At once, for one broker alone.
    PerBroker,
    /// At once, for one broker or for all.
    ClusterWide,
}

/// Whether anything here acts on the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It does what its documentation says.
    Acts,
    /// It is taken and shown, for Kafka's tools and files know it, and changes nothing: why.
    None(&'static str),
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
    /// Whether it has an effect.
    pub effect: Effect,
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
        Self { name, kind, default, update, effect: Effect::Acts, doc }
    }

    /// The key, taken without effect because of `why`.
    pub(crate) const fn without_effect(mut self, why: &'static str) -> Self {
        self.effect = Effect::None(why);
        self
    }

    /// What it does, or that it does nothing.
    pub fn documentation(&self) -> String {
        match self.effect {
            Effect::Acts => self.doc.to_owned(),
            Effect::None(why) => format!("{} Taken without effect: {why}.", self.doc),
        }
    }

    /// Whether the value must not be shown.
    pub fn is_sensitive(&self) -> bool {
        matches!(self.kind, Kind::Password)
    }

    /// Whether the value is a list that APPEND and SUBTRACT apply to (KIP-339).
    pub fn is_list(&self) -> bool {
        matches!(self.kind, Kind::List | Kind::ListOf(_) | Kind::ThrottledReplicas)
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
            Kind::IntOr(other, ..) if value.parse() == Ok(other) => {}
            Kind::IntOr(other, min, max) => {
                let number: i32 = value.parse().map_err(|_| wrong("Not a number of type INT".into()))?;
                if !(min..=max).contains(&i64::from(number)) {
                    return Err(wrong(format!("Value must be between {min} and {max} or equal to {other}")));
                }
            }
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
            Kind::OneOfAnyCase(words) => {
                if !words.iter().any(|word| word.eq_ignore_ascii_case(value)) {
                    return Err(wrong(format!("String must be one of (case insensitive): {}", words.join(", "))));
                }
            }
            Kind::ListOf(words) => {
                if list(value).any(|word| !words.contains(&word)) {
                    return Err(wrong(format!("String must be one of: {}", words.join(", "))));
                }
            }
            Kind::ThrottledReplicas => {
                if value != "*" && !list(value).all(is_replica) {
                    let form = "[partitionId]:[brokerId],[partitionId]:[brokerId],...";
                    let reason = format!(
                        "{} must be the literal '*' or a list of replicas in the following format: {form}",
                        self.name
                    );
                    return Err(ConfigError { value: format!("[{value}]"), ..wrong(reason) });
                }
            }
            Kind::ShareOffsetReset => {
                let duration = value.strip_prefix("by_duration:");
                if !matches!(value, "earliest" | "latest") && !duration.is_some_and(is_duration) {
                    return Err(wrong(format!(
                        "Invalid value `{value}` for configuration {}. The value must be either 'earliest', 'latest' or of the \
                         format 'by_duration:<PnDTnHnMn.nS>'.",
                        self.name
                    )));
                }
            }
            Kind::String | Kind::Password | Kind::Class | Kind::List => {}
        }
        Ok(value)
    }

    fn check_number(&self, value: &str, min: i64, max: i64, type_name: &str) -> Result<(), ConfigError> {
        let reason = match value.parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => return Ok(()),
            Ok(number) if number < min => format!("Value must be at least {min}"),
            Ok(_) => format!("Value must be no more than {max}"),
            Err(_) => format!("Not a number of type {type_name}"),
        };
        Err(ConfigError { key: self.name.to_owned(), value: value.to_owned(), reason })
    }

    fn shown(&self, value: &str) -> String {
        if self.is_sensitive() { "[hidden]".to_owned() } else { value.to_owned() }
    }
}

/// A duration of days and less that is not negative, `P1DT2H30M` say.
fn is_duration(text: &str) -> bool {
    let Some(text) = text.strip_prefix('P') else { return false };
    let (days, time) = text.split_once('T').map_or((text, None), |(days, time)| (days, Some(time)));
    let has_parts = |mut text: &str, units: &str| {
        let mut units = units.chars();
        while let Some(end) = text.find(|c: char| c.is_ascii_alphabetic()) {
            let number = text[..end].parse::<f64>().is_ok_and(|number| number >= 0.0);
            if !number || !units.any(|unit| text[end..].starts_with(unit)) {
                return false;
            }
            text = &text[end + 1..];
        }
        text.is_empty()
    };
    let says_something = !days.is_empty() || time.is_some();
    says_something && has_parts(days, "D") && time.is_none_or(|time| !time.is_empty() && has_parts(time, "HMS"))
}

/// `partition:broker`.
fn is_replica(pair: &str) -> bool {
    let is_number = |text: &str| text.parse::<i32>().is_ok_and(|number| number >= 0);
    pair.split_once(':').is_some_and(|(partition, broker)| is_number(partition) && is_number(broker))
}

impl fmt::Display for Kind {
    /// The values it takes, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Boolean => f.write_str("true, false"),
            Kind::Short(min, max) | Kind::Int(min, max) | Kind::Long(min, max) => write_range(f, *min, *max),
            Kind::IntOr(other, min, max) => write!(f, "{other}, {min} to {max}"),
            Kind::Double(min, max) => write!(f, "{min} to {max}"),
            Kind::String => f.write_str("text"),
            Kind::Password => f.write_str("secret"),
            Kind::Class => f.write_str("class"),
            Kind::OneOf(words) | Kind::OneOfAnyCase(words) => f.write_str(&words.join(", ")),
            Kind::List => f.write_str("list"),
            Kind::ListOf(words) => write!(f, "list of {}", words.join(", ")),
            Kind::ShareOffsetReset => f.write_str("earliest, latest, by_duration:PnDTnHnMn.nS"),
            Kind::ThrottledReplicas => f.write_str("*, or list of partition:broker"),
        }
    }
}

fn write_range(f: &mut fmt::Formatter<'_>, min: i64, max: i64) -> fmt::Result {
    // Kafka takes -1 for no limit and, where an operator would never think of it, everything below as well.
    const LOWEST_INT: i64 = -(i32::MAX as i64);
    match (min, max) {
        (..=LOWEST_INT, _) => f.write_str("number"),
        (_, i64::MAX) => write!(f, "{min} or more"),
        (_, max) if max == i64::from(i32::MAX) => write!(f, "{min} or more"),
        _ => write!(f, "{min} to {max}"),
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
        check(Kind::Long(0, 9), "many", Err("Not a number of type LONG"));
        check(Kind::IntOr(-1, 1, 9), "-1", Ok("-1"));
        check(Kind::IntOr(-1, 1, 9), "0", Err("Value must be between 1 and 9 or equal to -1"));
    }

    #[test]
    fn words_must_be_known() {
        check(Kind::OneOf(&["a", "b"]), "b", Ok("b"));
        check(Kind::OneOf(&["a", "b"]), "c", Err("String must be one of: a, b"));
        check(Kind::ThrottledReplicas, "0:1, 1:2", Ok("0:1, 1:2"));
        check(Kind::OneOfAnyCase(&["a", "b"]), "B", Ok("B"));
        check(Kind::ListOf(&["a", "b"]), "a, b", Ok("a, b"));
        check(Kind::ListOf(&["a", "b"]), "a,c", Err("String must be one of: a, b"));
    }

    #[test]
    fn a_duration_is_as_iso_8601_writes_it() {
        for good in ["P1D", "PT1H", "P1DT2H30M", "PT0.5S"] {
            assert!(is_duration(good), "{good}");
        }
        for bad in ["", "P", "PT", "1H", "PT1", "PT1D", "P1H", "PT1S1M", "PT-1S", "PTxS"] {
            assert!(!is_duration(bad), "{bad}");
        }
    }

    #[test]
    fn a_password_is_not_repeated_in_its_error() {
        let wrong = definition(Kind::Password).shown("secret");
        assert_eq!(wrong, "[hidden]");
    }
}
