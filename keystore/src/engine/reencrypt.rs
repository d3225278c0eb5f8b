//! Re-encryption: every row that an older term sealed, or that has its name under an older names key, is sealed anew under
//! its present name, in the background, over restarts.

use super::draft::Resealed;
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
const FORMAT: u8 = 2;
/// Without names: the names key had its first generation then.
const TERMS_ONLY: u8 = 1;
/// Rows looked at in one step, and committed together.
const STEP: usize = 64;

/// How far a re-encryption has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The least term that a row may have afterwards.
    pub term: u32,
    /// The generation of the names key that every row has its name under afterwards.
    pub names: u8,
    /// Rows looked at so far; one that gets a new name may be seen again under it.
    pub seen: u64,
    /// Rows sealed anew so far.
    pub resealed: u64,
    /// Of these, rows that got a new name.
    pub renamed: u64,
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
        out.push(self.names);
        out.extend(self.seen.to_be_bytes());
        out.extend(self.resealed.to_be_bytes());
        out.extend(self.renamed.to_be_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Progress> {
        let mut fields = crate::format::Fields(bytes);
        let (format, more, next) = (fields.u8().ok()?, fields.u8().ok()?, RowKey(fields.array().ok()?));
        if format != FORMAT && format != TERMS_ONLY {
            return None;
        }
        let progress = Progress {
            next: (more == 1).then_some(next),
            term: fields.u32().ok()?,
            names: if format == FORMAT { fields.u8().ok()? } else { 1 },
            seen: fields.u64().ok()?,
            resealed: fields.u64().ok()?,
            renamed: if format == FORMAT { fields.u64().ok()? } else { 0 },
        };
        fields.end().is_ok().then_some(progress)
    }
}

impl Reencryption {
    /// Goes on with the job that was begun, or begins one for the current term.
    pub(crate) fn open(shared: Arc<Shared>) -> Result<Reencryption, Error> {
        let begun = shared.get(MOUNT, PATH)?.and_then(|row| Progress::decode(row.value.expose()));
        let (term, names) = {
            let head = &shared.state()?.head;
            (head.term, head.names)
        };
        let fresh = Progress { term, names, seen: 0, resealed: 0, renamed: 0, next: Some(RowKey::FIRST) };
        // One that has ended, or that an even later rotation has overtaken, begins again.
        let progress =
            begun.filter(|begun| begun.next.is_some() && (begun.term, begun.names) == (term, names)).unwrap_or(fresh);
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
            let two_names = state.keyring.older_names_generation().is_some();
            for (key, mac) in &rows {
                let stored = state.snapshot.get(Table::Rows, &key.0)?;
                // What is missing or malformed is for `row` to name.
                let sealed_before = stored.is_none_or(|stored| row::term(&stored).map_or(true, |sealed| sealed < term));
                // The path lies inside the row, so while there are two names keys every row is opened.
                if sealed_before || two_names {
                    let opened = state.row(key, mac, &|| key.to_string())?;
                    if sealed_before || state.keys.names.row(opened.mount, &opened.path) != *key {
                        old.push((*key, *mac, opened));
                    }
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
                // A row that changed meanwhile was sealed under the current term and name then.
                let done = draft.reseal(key, mac, opened)?;
                progress.resealed += u64::from(done.is_some());
                progress.renamed += u64::from(done == Some(Resealed::Renamed));
            }
            draft.put(MOUNT, PATH, &SecretBytes::from_slice(&progress.encode()))?;
            Ok(progress)
        });
        self.progress = commit.await?.0;
        Ok(Some(self.progress))
    }

    /// The proof at the end: a full authenticated walk, which counts rows by term and by names key. Blocks for as long as
    /// that takes.
    ///
    /// Rows below [`Progress::term`] in [`Verification::terms`], or below [`Progress::names`] in [`Verification::names`],
    /// would be rows that were missed.
    pub fn prove(&self) -> Result<Verification, Error> {
        self.shared.verify(|_| ControlFlow::Continue(()))
    }

    /// Takes the keys of terms that seal no row any more out of the keyring, and the older names key if no row has its name
    /// under it, after a walk of [`Reencryption::prove`] that
    /// found nothing wrong.
    pub async fn retire(&self, proof: &Verification) -> Result<(), Error> {
        if !proof.problems.is_empty() || self.progress.next.is_some() {
            return Err(Error::Format("terms are retired only after a complete re-encryption and a clean walk".into()));
        }
        let terms: BTreeMap<u32, u64> = proof.terms.clone();
        let (least, names) = (self.progress.term, self.progress.names);
        // No row gets a name under an older key than the current one, so what the walk did not find cannot be there now.
        let renamed = proof.names.range(..names).next().is_none();
        self.shared
            .submit((1, 1024), move |draft| {
                draft.retire(|term| term >= least || terms.contains_key(&term), renamed.then_some(names))
            })
            .await?;
        Ok(())
    }
}
