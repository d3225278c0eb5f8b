//! Which files make up a configuration.

use std::path::{Path, PathBuf};
use strongroom_hcl::Body;

/// The files behind `paths`: a file is itself, a directory its `*.hcl` and `*.json` in the order of their names.
pub(super) fn files(paths: &[PathBuf], mistakes: &mut Vec<String>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    if paths.is_empty() {
        mistakes.push("no configuration was given: use -config=PATH, or -dev to try things out".into());
    }
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        match directory(path) {
            Ok(found) if found.is_empty() => {
                mistakes.push(format!("{}: the directory has no *.hcl or *.json file", path.display()));
            }
            Ok(found) => files.extend(found),
            Err(error) => mistakes.push(format!("{}: {error}", path.display())),
        }
    }
    files
}

/// Reads and parses one file.
pub(super) fn read(file: &Path) -> Result<Body, String> {
    let text = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Body::parse(&file.display().to_string(), text).map_err(|mistake| mistake.to_string())
}

fn directory(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let file = entry?.path();
        let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let wanted = matches!(file.extension().and_then(|end| end.to_str()), Some("hcl" | "json"));
        if wanted && !hidden && file.is_file() {
            found.push(file);
        }
    }
    found.sort();
    Ok(found)
}
