//! Verified reads.

use super::Shared;
use crate::format::names::RowKey;
use crate::{Error, MountId, Row, Version, index};
use std::sync::Arc;
use strongroom_secret::SecretBytes;

/// Rows that a list opens at a time.
const BATCH: usize = 256;

impl Shared {
    /// The row as it is now, or `None` where the index proves that there is none.
    pub(crate) fn get(&self, mount: MountId, path: &str) -> Result<Option<Row>, Error> {
        self.look(|state| {
            let Some((key, mac)) = state.find_path(self, mount, path)? else { return Ok(None) };
            let copy =
                |value: &SecretBytes| Row { value: SecretBytes::from_slice(value.expose()), version: Version(mac) };
            if let Some((held, value)) = self.row_shard(&key).lock().get(&key)
                && held == mac
            {
                return Ok(Some(copy(&value)));
            }
            let value = Arc::new(state.row(&key, &mac, &|| path.to_owned())?.value);
            let weight = 64 + value.len();
            let row = copy(&value);
            self.row_shard(&key).lock().insert(key, (mac, value), weight);
            Ok(Some(row))
        })
    }

    pub(crate) fn exists(&self, mount: MountId, path: &str) -> Result<bool, Error> {
        self.look(|state| Ok(state.find_path(self, mount, path)?.is_some()))
    }

    /// The key of a row, for its counter.
    pub(crate) fn key(&self, mount: MountId, path: &str) -> Result<RowKey, Error> {
        Ok(self.state()?.keys.names.row(mount, path))
    }

    /// Names in a directory, sorted; those after `after`, at most `limit`.
    pub(crate) fn list(
        &self,
        mount: MountId,
        dir: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, Error> {
        let names = self.names(mount, dir)?;
        let start = after.map_or(0, |after| names.partition_point(|name| name.as_str() <= after));
        Ok(names[start..].iter().take(limit).cloned().collect())
    }

    /// All names in a directory, sorted. Hidden names have no order, so every row of it is opened once per change.
    fn names(&self, mount: MountId, dir: &str) -> Result<Arc<Vec<String>>, Error> {
        // The names that are current now; every change of the directory moves their counter.
        let dir_key = self.state()?.keys.names.current.1.dir(mount, dir);
        // Read before the rows: a commit in between makes the list stale, never wrongly fresh.
        let counter = self.counter(self.dir_shard(&dir_key));
        if let Some((held, names)) = self.lists.lock().get(&dir_key)
            && held == counter
        {
            return Ok(names);
        }
        let names = self.look(|state| {
            let mut names = Vec::new();
            for half in state.keys.names.dirs(mount, dir) {
                let mut next = Some(RowKey::first_in(&half));
                let last = RowKey::last_in(&half);
                while let Some(from) = next {
                    let rows = index::rows(&state.overlay, &state.tree(self), &from, &last, BATCH)?;
                    for (key, mac) in &rows {
                        let opened = state.row(key, mac, &|| format!("{key} in directory {dir:?}"))?;
                        let name = if dir.is_empty() { &opened.path } else { &opened.path[dir.len() + 1..] };
                        names.push(name.to_owned());
                    }
                    next = if rows.len() < BATCH { None } else { rows[BATCH - 1].0.next() };
                    next = next.filter(|next| *next <= last);
                }
            }
            names.sort_unstable();
            Ok(Arc::new(names))
        })?;
        let weight = names.iter().map(|name| 24 + name.len()).sum::<usize>() + 64;
        if weight < super::LIST_CACHE / 4 {
            self.lists.lock().insert(dir_key, (counter, names.clone()), weight);
        }
        Ok(names)
    }
}
