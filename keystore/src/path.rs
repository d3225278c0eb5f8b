//! The path of a row inside its mount, parsed once.

use crate::Error;

/// The longest path, in bytes.
pub const MAX_PATH: usize = 4096;

/// Checks a row's path: components separated by single slashes, none empty, none ending the path.
pub(crate) fn check(path: &str) -> Result<(), Error> {
    let reason = if path.is_empty() {
        "it is empty"
    } else if path.len() > MAX_PATH {
        "it is longer than 4096 bytes"
    } else if path.split('/').any(str::is_empty) {
        "it has an empty component"
    } else if path.contains('\0') {
        "it holds a zero byte"
    } else {
        return Ok(());
    };
    Err(Error::BadPath { path: path.chars().take(200).collect(), reason })
}

/// A directory's path without its closing slash: "" is the view itself.
pub(crate) fn directory(dir: &str) -> Result<&str, Error> {
    let dir = dir.strip_suffix('/').unwrap_or(dir);
    if !dir.is_empty() {
        check(dir)?;
    }
    Ok(dir)
}

/// `name` inside `dir`, where "" is the root.
pub(crate) fn join(dir: &str, name: &str) -> String {
    match (dir, name) {
        ("", name) => name.to_owned(),
        (dir, "") => dir.to_owned(),
        (dir, name) => format!("{dir}/{name}"),
    }
}

/// The directory and the last component of a path.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_no_row_can_have_are_refused() {
        for bad in ["", "/a", "a/", "a//b", "a\0", &"x".repeat(MAX_PATH + 1)] {
            assert!(matches!(check(bad), Err(Error::BadPath { .. })), "{bad:?}");
        }
        for good in ["a", "a/b", "a b/ü", ".", &"x".repeat(MAX_PATH)] {
            check(good).unwrap();
        }
    }

    #[test]
    fn a_directory_may_end_in_a_slash() {
        assert_eq!(directory("a/b/").unwrap(), "a/b");
        assert_eq!(directory("").unwrap(), "");
        assert!(directory("a//").is_err());
    }

    #[test]
    fn join_and_split_are_inverse() {
        for path in ["a", "a/b", "a/b/c"] {
            let (dir, name) = split(path);
            assert_eq!(join(dir, name), path);
        }
    }
}
