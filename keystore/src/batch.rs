//! Changes that happen together or not at all.

use crate::barrier::Inner;
use crate::{Error, MountId, Version, View};
use std::sync::Arc;
use strongroom_secret::SecretBytes;

/// The largest value, in bytes: a stored row is at most 1 MiB.
pub const MAX_VALUE: usize = (1 << 20) - 8192;

/// Changes that happen together or not at all; they may span views of one store.
///
/// Later changes of one path win over earlier ones. A path or value that cannot be stored is reported by the commit.
#[derive(Default)]
pub struct Batch {
    pub(crate) changes: Vec<Change>,
    pub(crate) expected: Vec<Expected>,
    pub(crate) error: Option<Error>,
    pub(crate) store: Option<Arc<Inner>>,
    pressing: bool,
}

pub(crate) struct Change {
    pub(crate) mount: MountId,
    pub(crate) path: String,
    /// `None` deletes.
    pub(crate) value: Option<SecretBytes>,
}

pub(crate) struct Expected {
    pub(crate) mount: MountId,
    pub(crate) path: String,
    pub(crate) version: Option<Version>,
}

impl Batch {
    /// No changes yet.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Whether nothing would change and nothing is expected.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.expected.is_empty() && self.error.is_none()
    }

    /// Writes a row.
    pub fn put(&mut self, view: &View, path: &str, value: &[u8]) -> &mut Self {
        if value.len() > MAX_VALUE {
            self.fail(Error::TooLarge { size: value.len(), limit: MAX_VALUE });
            return self;
        }
        if let Some(path) = self.place(view, path) {
            self.changes.push(Change { mount: view.mount(), path, value: Some(SecretBytes::from_slice(value)) });
        }
        self
    }

    /// Deletes a row; deleting what is absent is fine.
    pub fn delete(&mut self, view: &View, path: &str) -> &mut Self {
        if let Some(path) = self.place(view, path) {
            self.changes.push(Change { mount: view.mount(), path, value: None });
        }
        self
    }

    /// The commit fails with [`Error::Conflict`] unless the row still has this version (`None`: is still absent).
    pub fn expect(&mut self, view: &View, path: &str, version: Option<Version>) -> &mut Self {
        if let Some(path) = self.place(view, path) {
            self.expected.push(Expected { mount: view.mount(), path, version });
        }
        self
    }

    /// Marks it as one that must go through on a full disk: a revocation, or what makes room. It may use the space that the
    /// store keeps back for that. A batch that only deletes needs no mark.
    pub fn press(&mut self) -> &mut Self {
        self.pressing = true;
        self
    }

    pub(crate) fn pressing(&self) -> bool {
        self.pressing || self.changes.iter().all(|change| change.value.is_none())
    }

    fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }

    fn place(&mut self, view: &View, path: &str) -> Option<String> {
        let store = self.store.get_or_insert_with(|| view.inner().clone());
        if !Arc::ptr_eq(store, view.inner()) {
            self.fail(Error::Format("a batch cannot span two stores".into()));
            return None;
        }
        view.row(path).map_err(|error| self.fail(error)).ok()
    }
}
