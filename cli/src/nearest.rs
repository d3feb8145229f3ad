//! Which known names come close to a mistyped one. Pure.

/// How many names are worth showing.
const SHOWN: usize = 3;

/// The known names nearest to `name`, nearest first; none that differs in more than a third of its letters.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let allowed = (name.chars().count() / 3).max(1);
    let near =
        known.into_iter().map(|known| (distance(name, known), known)).filter(|(distance, _)| *distance <= allowed);
    let mut near: Vec<_> = near.collect();
    near.sort();
    near.into_iter().take(SHOWN).map(|(_, known)| known.to_owned()).collect()
}

/// Letters to insert, delete or replace (Levenshtein), case ignored.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.to_lowercase().chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        let cases = [("", "", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3), ("A", "a", 0)];
        for (left, right, edits) in cases {
            assert_eq!(distance(left, right), edits, "{left} {right}");
        }
    }

    #[test]
    fn only_near_names_are_shown_nearest_first() {
        let known = ["greetings", "greeting", "orders"];
        assert_eq!(nearest("greting", known), ["greeting", "greetings"]);
        assert!(nearest("payments", known).is_empty());
    }
}
