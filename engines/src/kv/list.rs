//! Names in a directory, and the paths of all that lies below it.

use std::collections::VecDeque;
use strongroom_mount::{Ctx, Error, Fields, Kind, Param, Response};

/// What a list takes.
pub(super) const PARAMS: &[Param] = &[
    Param::input("after", Kind::String, "The name after which the list begins."),
    Param::input("limit", Kind::Int, "How many names at most; all of them if left out."),
];

/// Names directly in `directory` of the rows under `root`, in order; 404 when there are none.
pub(super) async fn list(cx: &Ctx<'_>, root: &str, directory: &str, fields: &Fields) -> Result<Response, Error> {
    let (after, limit) = page(fields)?;
    Response::keys(&cx.view.list(&below(root, directory), after.as_deref(), limit).await?)
}

/// The paths of everything below `directory`, relative to it: its own names first, then those of each directory in turn.
pub(super) async fn scan(cx: &Ctx<'_>, root: &str, directory: &str, fields: &Fields) -> Result<Response, Error> {
    let (after, limit) = page(fields)?;
    let top = below(root, directory);
    let mut found = Vec::new();
    // Until the path that the page before ended with was seen, nothing is on this page.
    let mut begun = after.is_none();
    let mut directories = VecDeque::from([String::new()]);
    'walk: while let Some(directory) = directories.pop_front() {
        for name in cx.view.list(&format!("{top}/{directory}"), None, usize::MAX).await? {
            let path = format!("{directory}{name}");
            if name.ends_with('/') {
                directories.push_back(path);
            } else if begun {
                found.push(path);
                if found.len() == limit {
                    break 'walk;
                }
            } else {
                begun = after.as_deref() == Some(path.as_str());
            }
        }
    }
    Response::keys(&found)
}

fn below(root: &str, directory: &str) -> String {
    match directory.trim_end_matches('/') {
        "" => root.to_owned(),
        directory => format!("{root}/{directory}"),
    }
}

fn page(fields: &Fields) -> Result<(Option<String>, usize), Error> {
    let after = fields.string("after")?.filter(|after| !after.is_empty()).map(|after| after.into_owned());
    let limit = match fields.int("limit")?.unwrap_or(0) {
        limit @ 1.. => usize::try_from(limit).unwrap_or(usize::MAX),
        _ => usize::MAX,
    };
    Ok((after, limit))
}
