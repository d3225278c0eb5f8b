//! The process's environment, as data, so that a test can bring its own.

use std::collections::BTreeMap;

/// Environment variables by name; values that are not UTF-8 count as not set.
#[derive(Default, Clone)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The environment of this process, as it is now.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of `name`, unless it is not set or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The first of `names` that is set, with its name.
    pub fn first<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Option<(&'a str, &str)> {
        names.into_iter().find_map(|name| Some((name, self.get(name)?)))
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Environment(pairs.into_iter().collect())
    }
}
