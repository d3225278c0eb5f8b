//! The checked-in list of recorded steps that are not served yet: step × reason × what will serve it.
//!
//! It keeps both sides honest: a listed step that passes fails the suite, and so does an unlisted one that does not.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// The list by (file, step id).
pub struct Exceptions(BTreeMap<(String, String), Exception>);

/// Why a step is not served yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Exception {
    /// What is missing.
    pub reason: String,
    /// Which later work will serve it.
    pub served_by: String,
}

impl Exceptions {
    /// Reads a file of tab-separated lines `file step reason served-by`; `#` begins a comment.
    ///
    /// # Panics
    /// When a line is malformed or stands twice.
    pub fn load(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut held = BTreeMap::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let parts: Vec<&str> = line.split('\t').collect();
            let [file, step, reason, served_by] = parts[..] else { panic!("line {}: four fields wanted", number + 1) };
            let exception = Exception { reason: reason.to_owned(), served_by: served_by.to_owned() };
            let twice = held.insert((file.to_owned(), step.to_owned()), exception);
            assert!(twice.is_none(), "line {}: {file} {step} stands twice", number + 1);
        }
        Exceptions(held)
    }

    /// The exception of one step.
    pub fn get(&self, file: &str, step: &str) -> Option<&Exception> {
        self.0.get(&(file.to_owned(), step.to_owned()))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&(String, String), &Exception)> {
        self.0.iter()
    }

    /// The list as text, for rewriting it after a change.
    pub fn render(entries: &BTreeMap<(String, String), Exception>) -> String {
        let mut out = String::from(
            "# Recorded steps that are not served yet. Tab-separated: file, step, reason, what will serve it.\n\
             # A listed step that passes fails the suite, and so does an unlisted one that fails: tests/wire.rs.\n",
        );
        for ((file, step), exception) in entries {
            let _ = writeln!(out, "{file}\t{step}\t{}\t{}", exception.reason, exception.served_by);
        }
        out
    }
}
