//! The known name nearest to a mistyped one.

/// Names longer than this are not compared, so that a hostile key costs nothing.
const LENGTH_LIMIT: usize = 64;

/// The name among `known` with the smallest Levenshtein distance to `name`, if a third of its letters or fewer differ.
pub(crate) fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let letters: Vec<char> = name.chars().take(LENGTH_LIMIT + 1).collect();
    if letters.len() > LENGTH_LIMIT {
        return None;
    }
    let near = |candidate: &&'static str| {
        let distance = distance(&letters, candidate);
        let bound = (letters.len().max(candidate.chars().count()) / 3).max(1);
        (distance <= bound).then_some((distance, *candidate))
    };
    known.iter().filter_map(near).min().map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, one row at a time.
fn distance(a: &[char], b: &str) -> usize {
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (line, letter) in b.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for column in 1..row.len() {
            let substitution = diagonal + usize::from(a[column - 1] != letter);
            diagonal = row[column];
            row[column] = substitution.min(diagonal + 1).min(row[column - 1] + 1);
        }
    }
    row[a.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let table = [("", "", 0), ("", "abc", 3), ("abc", "abc", 0), ("kitten", "sitting", 3), ("flaw", "lawn", 2)];
        for (a, b, expected) in table {
            assert_eq!(distance(&a.chars().collect::<Vec<_>>(), b), expected, "{a} {b}");
        }
    }

    #[test]
    fn near_and_far() {
        let known = ["capabilities", "comment", "policy", "listener", "lib"];
        assert_eq!(nearest("capability", &known), Some("capabilities"));
        assert_eq!(nearest("polices", &known), Some("policy"));
        assert_eq!(nearest("Listener", &known), Some("listener"));
        assert_eq!(nearest("lbi", &known), None);
        assert_eq!(nearest("li", &known), Some("lib"));
        assert_eq!(nearest("telemetry", &known), None);
        assert_eq!(nearest(&"a".repeat(1 << 16), &known), None);
    }
}
