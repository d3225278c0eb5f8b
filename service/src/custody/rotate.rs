//! Rotation of the root key while the store is open: a new root key, new keyslots for the leaves at hand, and a way on for
//! those that are away, all of it in one commit.
//!
//! Custodians are not asked: they hold a key of their own, which lies sealed under the root key
//! (docs/decisions/0021-custodians-hold-a-key-of-their-own.md), so their shares stay good.

use super::{Custody, Error, OpenState};
use std::sync::Arc;
use strongroom_keystore::{Barrier, Change};
use strongroom_unseal::{Custodians, Kind, Leaf, LeafError, Rotation, Standing, catch_up};

/// What came of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootRotated {
    /// The generation of the new root key.
    pub generation: u32,
    /// Leaves that were away, and why. They are brought up to date when they return.
    pub absent: Vec<(String, String)>,
    /// Leaves whose time to come back by themselves has run out: only while another leaf holds the store open are they
    /// brought up to date.
    pub skipped: Vec<String>,
    /// What an operator should know beside that, one text each.
    pub warnings: Vec<String>,
}

impl Custody {
    /// Makes a new root key and deals it over the stored tree.
    ///
    /// A crash before the commit leaves the old root key and its keyslots, one after it the new: there is nothing in
    /// between. The epoch is raised afterwards, so that no copy from before is accepted.
    ///
    /// # Errors
    /// [`Error::Away`] when the leaves at hand do not open the tree: nothing has changed then. Those of the store.
    pub async fn rotate_root(&self, barrier: &Barrier) -> Result<RootRotated, Error> {
        let _act = self.act.lock().await;
        let (cluster, generation, rows, root, tree, recovery) = {
            let state = self.state.lock();
            let open = state.open.as_ref().ok_or_else(|| Error::Request("Vault is sealed".into()))?;
            let (rows, root, tree) = (open.rows.clone(), open.root.clone(), open.tree.clone());
            (open.cluster, open.generation, rows, root, tree, open.recovery)
        };
        let shamir = tree.leaves().iter().filter(|leaf| leaf.kind() == Kind::Shamir);
        let custodians =
            shamir.map(|leaf| Custodians::load(&rows, cluster, leaf.name())).collect::<Result<Vec<_>, _>>()?;
        let mut leaves: Vec<&dyn Leaf> = self.devices.iter().map(|device| &**device as &dyn Leaf).collect();
        leaves.extend(custodians.iter().map(|leaf| leaf as &dyn Leaf));
        let now = self.clock.now().unix();
        let rotation = Rotation {
            cluster,
            rows: &rows,
            generation,
            root: &root,
            tree: &tree,
            leaves: &leaves,
            now,
            age: catch_up::DEFAULT_AGE,
            revoking: false,
        };
        let rotated = rotation.rotate().await;
        custodians.iter().for_each(Custodians::reset);
        let rotated = rotated?;

        let mut next = rows;
        rotated.change.apply(&mut next);
        let change = Change {
            put: rotated.change.put.into_iter().map(|row| (row.name, row.bytes)).collect(),
            delete: rotated.change.delete,
            root: Some((&rotated.root, rotated.generation)),
            ..Change::default()
        };
        barrier.change(change).await?;

        let absent: Vec<(String, LeafError)> =
            rotated.absent.into_iter().map(|absent| (absent.leaf, absent.error)).collect();
        let standing = self.standing_after(strongroom_unseal::standing(&next, cluster, &leaves)?, &absent);
        let (generation, root) = (rotated.generation, Arc::new(rotated.root));
        self.opened(OpenState { cluster, tree, generation, root, rows: next, recovery }, standing);
        tracing::info!(generation, "the root key was rotated");
        for (leaf, error) in &absent {
            tracing::warn!(leaf, "away while the root key was rotated, to be brought up to date: {error}");
        }
        for leaf in &rotated.skipped {
            tracing::error!(leaf, "its catch-up record is too old: it no longer opens the store by itself");
        }
        let mut warnings = Vec::new();
        if let Err(error) = self.raise(barrier).await {
            tracing::error!("the epoch was not raised after the rotation: {error}");
            warnings.push("the epoch was not raised: a copy of the store from before is still accepted".to_owned());
        }
        let absent = absent.into_iter().map(|(leaf, error)| (leaf, error.to_string())).collect();
        Ok(RootRotated { generation, absent, skipped: rotated.skipped, warnings })
    }

    /// The leaves of the new generation: those that sealed are well, those that were away are behind.
    fn standing_after(&self, mut standing: Standing, absent: &[(String, LeafError)]) -> Standing {
        let mut state = self.state.lock();
        for leaf in &mut standing.leaves {
            let before =
                state.standing.as_ref().and_then(|known| known.leaves.iter().find(|old| old.name == leaf.name));
            match absent.iter().find(|(name, _)| *name == leaf.name) {
                Some((_, error)) => {
                    (leaf.healthy, leaf.error) = (Some(false), Some(LeafError::Behind(standing.generation)));
                    state.history.entry(leaf.name.clone()).or_default().last_error = Some(error.to_string());
                }
                None => {
                    leaf.satisfied = before.is_some_and(|before| before.satisfied) || leaf.kind != Kind::Shamir;
                    leaf.healthy = (leaf.kind != Kind::Shamir).then_some(true);
                }
            }
        }
        (standing.satisfied, standing.needed) = (true, None);
        standing
    }
}
