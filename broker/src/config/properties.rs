//! Reads Java `.properties` text, the form of Kafka's `server.properties`.
//!
//! Comments (`#`, `!`), `=`, `:` or white space between key and value, lines continued by a backslash, and the escapes
//! `\t \n \r \f \\ \uXXXX`. A key given twice keeps its last value, as in Java.

/// Reads `text` into pairs in the order they stand.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, PropertiesError> {
    let mut pairs = Vec::new();
    for (number, line) in logical_lines(text) {
        let (key, value) = split(&line);
        let key = unescape(key).ok_or(PropertiesError { line: number })?;
        let value = unescape(value).ok_or(PropertiesError { line: number })?;
        pairs.push((key, value));
    }
    Ok(pairs)
}

/// A `\u` escape without four hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: a \\u must be followed by four hexadecimal digits")]
pub struct PropertiesError {
    /// The line, counted from one.
    pub line: usize,
}

/// Lines without comments and blanks, those that end in an odd number of backslashes joined to the next.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let (number, mut whole) = match open.take() {
            Some(begun) => begun,
            None if line.is_empty() || line.starts_with(['#', '!']) => continue,
            None => (index + 1, String::new()),
        };
        let backslashes = line.len() - line.trim_end_matches('\\').len();
        if backslashes % 2 == 1 {
            whole.push_str(&line[..line.len() - 1]);
            open = Some((number, whole));
        } else {
            whole.push_str(line);
            lines.push((number, whole));
        }
    }
    lines.extend(open);
    lines
}

/// The key ends at the first unescaped `=`, `:` or white space.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line
        .char_indices()
        .find(|&(_, c)| {
            let ends = !escaped && (c == '=' || c == ':' || c.is_whitespace());
            escaped = c == '\\' && !escaped;
            ends
        })
        .map_or(line.len(), |(at, _)| at);
    let rest = line[end..].trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start();
    (&line[..end], value)
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('f') => plain.push('\x0c'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = (digits.len() == 4).then(|| u32::from_str_radix(&digits, 16).ok())??;
                plain.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => plain.push(other),
            None => {}
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let found = parse(text).unwrap();
        let found: Vec<_> = found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn keys_and_values_part_at_any_of_javas_separators() {
        check("a=1\nb: 2\nc 3\n d = 4 5 \n", &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4 5 ")]);
    }

    #[test]
    fn comments_and_blank_lines_say_nothing() {
        check("# a=1\n\n  ! b=2\nc=\n", &[("c", "")]);
    }

    #[test]
    fn a_backslash_at_the_end_joins_the_next_line() {
        check("a=1,\\\n   2\nb=x\\\\\nc=y", &[("a", "1,2"), ("b", "x\\"), ("c", "y")]);
    }

    #[test]
    fn escapes_are_javas() {
        check("a\\=b=\\u0041\\tz", &[("a=b", "A\tz")]);
        assert_eq!(parse("\nx=\\u00"), Err(PropertiesError { line: 2 }));
    }
}
