//! The checked-in table of cases that a token cannot pass.

/// One line of `skips.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// The token's name.
    pub token: String,
    /// The case's name.
    pub case: String,
    /// The mechanism or feature that is missing.
    pub mechanism: String,
    /// A text that the failing case prints: it must fail for this and nothing else.
    pub error: String,
    /// Why, for people.
    pub reason: String,
}

/// The table.
///
/// # Panics
/// When the file is not `[[skip]]` tables of the five keys, each a plain string.
pub fn skips() -> Vec<Skip> {
    parse(include_str!("../skips.toml")).unwrap_or_else(|line| panic!("skips.toml, line {line}: cannot be read"))
}

/// The subset of TOML that the table needs; the number of the first line that is not in it otherwise.
fn parse(text: &str) -> Result<Vec<Skip>, usize> {
    let mut tables: Vec<(usize, Vec<(&str, &str)>)> = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
        } else if line == "[[skip]]" {
            tables.push((number, Vec::new()));
        } else {
            let (key, value) = line.split_once(" = ").ok_or(number)?;
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).ok_or(number)?;
            tables.last_mut().ok_or(number)?.1.push((key, value));
        }
    }
    tables
        .into_iter()
        .map(|(number, table)| match table[..] {
            [("token", token), ("case", case), ("mechanism", mechanism), ("error", error), ("reason", reason)]
                if !error.is_empty() && !reason.is_empty() =>
            {
                Ok(Skip {
                    token: token.into(),
                    case: case.into(),
                    mechanism: mechanism.into(),
                    error: error.into(),
                    reason: reason.into(),
                })
            }
            _ => Err(number),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_without_all_its_keys_is_refused_by_line() {
        let whole = "[[skip]]\ntoken = \"a\"\ncase = \"b\"\nmechanism = \"c\"\nerror = \"d\"\nreason = \"e\"\n";
        assert_eq!(parse(whole).unwrap().len(), 1);
        assert_eq!(parse(&whole.replace("\"d\"", "\"\"")), Err(1));
        assert_eq!(parse("\n[[skip]]\ntoken = \"a\"\n"), Err(2));
        assert_eq!(parse("token = \"a\"\n"), Err(1));
        assert_eq!(parse("# only this\n"), Ok(vec![]));
    }

    /// Both ways: a line that names no case or token skips nothing, and hides that.
    #[test]
    fn the_table_names_cases_and_tokens_that_exist() {
        for skip in skips() {
            assert!(crate::cases::NAMES.contains(&skip.case.as_str()), "{} is no case", skip.case);
            assert!(crate::Kind::ALL.iter().any(|kind| kind.name() == skip.token), "{} is no token", skip.token);
        }
    }
}
