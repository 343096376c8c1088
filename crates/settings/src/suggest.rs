//! Suggestions for misspelled names.

/// The known name that is nearest to `name`, if one is near enough to be meant.
pub(super) fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let enough = (name.chars().count() / 3).max(1);
    known
        .map(|known| (distance(name, &known), known))
        .filter(|(distance, _)| *distance <= enough)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// Characters to insert, delete or replace (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut above_left = i;
        let mut left = i + 1;
        for (b, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let above = *cell;
            let replaced = above_left + usize::from(a != *b);
            left = replaced.min(above + 1).min(left + 1);
            above_left = above;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
            ("group_kay", "group_key", 1),
            ("idscope", "id_scope", 1),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn only_what_is_near_is_meant() {
        let known = || {
            ["id_scope", "group_key", "ca"]
                .map(str::to_owned)
                .into_iter()
        };
        assert_eq!(nearest("idscope", known()).as_deref(), Some("id_scope"));
        assert_eq!(nearest("grupkey", known()).as_deref(), Some("group_key"));
        assert_eq!(nearest("colour", known()), None);
        assert_eq!(nearest("", known()), None);
    }
}
