//! A batch made ready by its caller: rows are sealed before the committer sees them.

use super::{Shared, State};
use crate::batch::Batch;
use crate::format::names::RowKey;
use crate::format::row;
use crate::{Error, MountId, Version};
use strongroom_secret::SecretBytes;

/// A batch whose rows are sealed.
pub(crate) struct Write {
    /// The generation of the names key that `changes` have their keys from.
    pub(super) names: u8,
    pub(super) changes: Vec<Change>,
    pub(super) expected: Vec<(MountId, String, Option<Version>)>,
}

pub(super) struct Change {
    pub(super) key: RowKey,
    pub(super) mount: MountId,
    pub(super) path: String,
    /// `None` deletes.
    pub(super) value: Option<Sealed>,
}

pub(super) struct Sealed {
    /// Kept until the commit, for the case that the keyring rotates before.
    plaintext: SecretBytes,
    term: u32,
    stored: Vec<u8>,
}

impl Write {
    /// Seals the rows of a batch under the current term.
    pub(crate) fn new(shared: &Shared, batch: Batch) -> Result<Write, Error> {
        if let Some(error) = batch.error {
            return Err(error);
        }
        let state = shared.state()?;
        let mut changes = Vec::with_capacity(batch.changes.len());
        for change in batch.changes {
            let key = state.keys.names.row(change.mount, &change.path);
            let value =
                change.value.map(|value| Sealed::new(&state, &key, change.mount, &change.path, value)).transpose()?;
            changes.push(Change { key, mount: change.mount, path: change.path, value });
        }
        let expected =
            batch.expected.into_iter().map(|expected| (expected.mount, expected.path, expected.version)).collect();
        Ok(Write { names: state.head.names, changes, expected })
    }

    /// A copy, for a commit that may have to be tried again.
    pub(crate) fn copy(&self) -> Write {
        let change = |change: &Change| Change {
            key: change.key,
            mount: change.mount,
            path: change.path.clone(),
            value: change.value.as_ref().map(Sealed::copy),
        };
        Write { names: self.names, changes: self.changes.iter().map(change).collect(), expected: self.expected.clone() }
    }

    /// Rows and bytes, for the bounds of a group.
    pub(crate) fn weight(&self) -> (usize, usize) {
        let bytes = |change: &Change| change.value.as_ref().map_or(64, |value| value.stored.len());
        (self.changes.len(), self.changes.iter().map(bytes).sum())
    }
}

impl Sealed {
    pub(super) fn new(
        state: &State,
        key: &RowKey,
        mount: MountId,
        path: &str,
        plaintext: SecretBytes,
    ) -> Result<Sealed, Error> {
        let (term, term_key) = state.keyring.current();
        let cluster = &state.keys.authority.cluster;
        let stored = row::seal(term, &term_key.prepared, cluster, key, (mount, path), plaintext.expose())?;
        Ok(Sealed { plaintext, term, stored })
    }

    fn copy(&self) -> Sealed {
        let plaintext = SecretBytes::from_slice(self.plaintext.expose());
        Sealed { plaintext, term: self.term, stored: self.stored.clone() }
    }

    /// The plaintext, to be sealed under another name.
    pub(super) fn plaintext(self) -> SecretBytes {
        self.plaintext
    }

    /// The stored row if it is sealed under `term`, else the plaintext.
    pub(super) fn under(self, term: u32) -> Result<Vec<u8>, SecretBytes> {
        if self.term == term { Ok(self.stored) } else { Err(self.plaintext) }
    }
}
