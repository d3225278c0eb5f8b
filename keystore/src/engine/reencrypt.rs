//! Re-encryption: every row that an older term sealed is sealed anew, in the background, over restarts.

use super::{Shared, Verification};
use crate::format::names::RowKey;
use crate::format::row;
use crate::storage::Table;
use crate::{Error, MountId, index, view};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use strongroom_secret::SecretBytes;

/// Where the job keeps its own row.
const MOUNT: MountId = view::SYSTEM;
const PATH: &str = "reencryption";
const FORMAT: u8 = 1;
/// Rows looked at in one step, and committed together.
const STEP: usize = 64;

/// How far a re-encryption has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The least term that a row may have afterwards.
    pub term: u32,
    /// Rows looked at so far.
    pub seen: u64,
    /// Rows sealed anew so far.
    pub resealed: u64,
    /// Where it goes on: the first half byte of row keys runs from 0 to 15, evenly over the store's directories.
    pub(crate) next: Option<RowKey>,
}

/// A re-encryption under way. It may be dropped at any time; [`crate::Barrier::reencryption`] goes on where it was.
pub struct Reencryption {
    shared: Arc<Shared>,
    progress: Progress,
}

impl Progress {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT, self.next.is_some().into()];
        out.extend(self.next.unwrap_or(RowKey::FIRST).0);
        out.extend(self.term.to_be_bytes());
        out.extend(self.seen.to_be_bytes());
        out.extend(self.resealed.to_be_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Progress> {
        let mut fields = crate::format::Fields(bytes);
        let (format, more, next) = (fields.u8().ok()?, fields.u8().ok()?, RowKey(fields.array().ok()?));
        let progress = Progress {
            next: (more == 1).then_some(next),
            term: fields.u32().ok()?,
            seen: fields.u64().ok()?,
            resealed: fields.u64().ok()?,
        };
        (format == FORMAT && fields.end().is_ok()).then_some(progress)
    }
}

impl Reencryption {
    /// Goes on with the job that was begun, or begins one for the current term.
    pub(crate) fn open(shared: Arc<Shared>) -> Result<Reencryption, Error> {
        let begun = shared.get(MOUNT, PATH)?.and_then(|row| Progress::decode(row.value.expose()));
        let term = shared.state()?.head.term;
        let fresh = Progress { term, seen: 0, resealed: 0, next: Some(RowKey::FIRST) };
        // One that has ended, or that an even later rotation has overtaken, begins again.
        let progress = begun.filter(|begun| begun.next.is_some() && begun.term == term).unwrap_or(fresh);
        Ok(Reencryption { shared, progress })
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// One step: some rows, sealed anew in one commit with the progress. `None` when every row has been seen.
    pub async fn step(&mut self) -> Result<Option<Progress>, Error> {
        let Some(from) = self.progress.next else { return Ok(None) };
        let term = self.progress.term;
        let (rows, old) = self.shared.look(|state| {
            let last = RowKey([0xff; 32]);
            let rows = index::rows(&state.overlay, &state.tree(&self.shared), &from, &last, STEP)?;
            let mut old = Vec::new();
            for (key, mac) in &rows {
                let stored = state.snapshot.get(Table::Rows, &key.0)?;
                // What is missing or malformed is for `row` to name.
                if stored.is_none_or(|stored| row::term(&stored).map_or(true, |sealed| sealed < term)) {
                    old.push((*key, *mac, state.row(key, mac, &|| key.to_string())?));
                }
            }
            Ok((rows, old))
        })?;
        let mut progress = self.progress;
        progress.seen += rows.len() as u64;
        progress.next = if rows.len() < STEP { None } else { rows[STEP - 1].0.next() };
        let bytes = old.iter().map(|(.., opened)| opened.value.len() + 512).sum();
        let weight = (old.len() + 1, bytes);
        let commit = self.shared.submit(weight, move |draft| {
            for (key, mac, opened) in old {
                // A row that changed meanwhile was sealed under the current term then.
                progress.resealed += u64::from(draft.reseal(key, mac, opened)?);
            }
            draft.put(MOUNT, PATH, &SecretBytes::from_slice(&progress.encode()))?;
            Ok(progress)
        });
        self.progress = commit.await?.0;
        Ok(Some(self.progress))
    }

    /// The proof at the end: a full authenticated walk, which counts rows by term. Blocks for as long as that takes.
    ///
    /// Rows below [`Progress::term`] in [`Verification::terms`] would be rows that were missed.
    pub fn prove(&self) -> Result<Verification, Error> {
        self.shared.verify(|_| ControlFlow::Continue(()))
    }

    /// Takes the keys of terms that seal no row any more out of the keyring, after a walk of [`Reencryption::prove`] that
    /// found nothing wrong.
    pub async fn retire(&self, proof: &Verification) -> Result<(), Error> {
        if !proof.problems.is_empty() || self.progress.next.is_some() {
            return Err(Error::Format("terms are retired only after a complete re-encryption and a clean walk".into()));
        }
        let terms: BTreeMap<u32, u64> = proof.terms.clone();
        let least = self.progress.term;
        self.shared
            .submit((1, 1024), move |draft| draft.retire(|term| term >= least || terms.contains_key(&term)))
            .await?;
        Ok(())
    }
}
