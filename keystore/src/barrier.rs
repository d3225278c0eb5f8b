//! The unsealed store.

use crate::engine::{Custody, Reencryption, Shared, TermLimits, Verification, Write};
use crate::{Batch, Device, DeviceId, Error, Layer, MountId, Reading, Sequence, View};
use std::ops::ControlFlow;
use std::sync::Arc;
use strongroom_clock::Timestamp;
use strongroom_secret::key::RootKey;

/// The unsealed store; clones share it. It ends with [`Barrier::close`], or with the last handle and view.
#[derive(Clone)]
pub struct Barrier(Arc<Inner>);

/// What handles hold; the committer's thread ends when the last of them goes.
pub(crate) struct Inner(Arc<Shared>);

/// The current term.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyStatus {
    /// Its number, from 1.
    pub term: u32,
    /// When it became the current one.
    pub installed: Timestamp,
    /// Rows sealed under it so far.
    pub operations: u64,
    /// Rows at which it is replaced.
    pub limit: u64,
    /// Terms in the keyring.
    pub terms: usize,
    /// The generation of the names key.
    pub names: u8,
    /// Whether rows may still have names under the names key before.
    pub renaming: bool,
}

/// What the store knows of its own integrity.
#[derive(Clone, Debug)]
pub struct Integrity {
    /// The cluster's id.
    pub cluster: [u8; 16],
    /// The last commit.
    pub sequence: Sequence,
    /// The rollback counter.
    pub epoch: u64,
    /// The four words of the last commit.
    pub words: [&'static str; 4],
    /// The root key's generation.
    pub generation: u32,
    /// The least program version that may open the store.
    pub minimum: u32,
    /// The devices that the head knows.
    pub devices: Vec<DeviceStatus>,
    /// Whether at least one of them vouches for this copy. If not, a rollback would not be seen.
    pub protected: bool,
    /// Rows in the tree; changes that are still in the journal apart.
    pub rows: u64,
    /// Changes in the journal.
    pub journal_entries: usize,
    /// Pages of the journal.
    pub journal_pages: u64,
    /// Changes of the storage that were caught since the store was unsealed.
    pub alarms: u64,
    /// The latest of them.
    pub latest: Vec<Alarm>,
    /// Why nothing is written any more until the store is opened again: a commit failed, or the storage was taken away.
    pub failed: Option<String>,
}

/// A change of the storage that was caught.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alarm {
    /// When.
    pub at: Timestamp,
    /// The layer that caught it.
    pub layer: Layer,
    /// Which row.
    pub name: String,
    /// What did not hold.
    pub reason: String,
}

/// A device that confirms the epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceStatus {
    /// Which device.
    pub id: DeviceId,
    /// The counter that it was last asked to reach.
    pub counter: u64,
    /// When it last reached what it was asked for, since the store was unsealed: a copy older than this is refused.
    pub raised: Option<Timestamp>,
}

/// A change of what custody guards; all of it happens in one commit.
#[derive(Default)]
pub struct Change<'a> {
    /// Clear rows to write.
    pub put: Vec<(String, Vec<u8>)>,
    /// Clear rows to delete.
    pub delete: Vec<String>,
    /// A new root key and its generation.
    pub root: Option<(&'a RootKey, u32)>,
    /// The devices from now on, each with the counter that it has; all of them.
    pub devices: Option<Vec<Device>>,
    /// The least program version that may open the store from now on.
    pub minimum: Option<u32>,
}

impl Barrier {
    pub(crate) fn serve(shared: Arc<Shared>, done: &[Reading]) -> Result<Barrier, Error> {
        shared.start()?;
        let barrier = Barrier(Arc::new(Inner(shared)));
        barrier.raised(done)?;
        Ok(barrier)
    }

    /// Storage of one mount. Sixteen bytes of 0xff are the store's own and belong to no mount.
    pub fn view(&self, mount: MountId) -> View {
        View::new(self.0.clone(), mount)
    }

    /// Seals: waits for a commit in flight, forgets every key, and has every view answer [`Error::Sealed`].
    ///
    /// For a clean stop, [`Barrier::raise`] first.
    pub fn close(&self) {
        self.0.0.seal();
    }

    /// Looks whether the storage is still where it was: every commit does, and a server does it also when nothing is written.
    /// Once it is not, nothing is written any more until a restart, and reads go on.
    pub fn check(&self) -> Result<(), Error> {
        self.0.0.state()?;
        self.0.0.check()
    }

    /// The current term.
    pub fn key_status(&self) -> Result<KeyStatus, Error> {
        let state = self.0.0.state()?;
        let (term, key) = state.keyring.current();
        Ok(KeyStatus {
            term,
            installed: key.created,
            operations: state.head.operations,
            limit: self.0.0.limits().operations,
            terms: state.keyring.terms.len(),
            names: state.keyring.names_generation(),
            renaming: state.keyring.older_names_generation().is_some(),
        })
    }

    /// A fresh term, under which everything is sealed from now on; what older terms sealed stays readable.
    pub async fn rotate(&self) -> Result<u32, Error> {
        Ok(self.0.0.submit((1, 1024), |draft| draft.rotate()).await?.0)
    }

    /// Sets when the keyring rotates by itself, until the store is closed; before that [`crate::Options`] say it.
    pub fn limit_terms(&self, limits: TermLimits) {
        self.0.0.set_limits(limits);
    }

    /// A fresh names key; gives its generation. A [`Barrier::reencryption`] must follow, which renames every row and takes the
    /// older key out; there is no further rotation before its end.
    pub async fn rotate_names(&self) -> Result<u8, Error> {
        Ok(self.0.0.submit((1, 1024), |draft| draft.rotate_names()).await?.0)
    }

    /// The job that seals anew what older terms have sealed, and renames what has its name under an older names key: the one
    /// that was begun, or a new one.
    pub fn reencryption(&self) -> Result<Reencryption, Error> {
        Reencryption::open(self.0.0.clone())
    }

    /// Walks every node, page, row and clear row, and names what is wrong. Blocks; `progress` may stop it.
    pub fn verify(&self, progress: impl FnMut(&Verification) -> ControlFlow<()>) -> Result<Verification, Error> {
        self.0.0.verify(progress)
    }

    /// Changes what custody guards, in one commit. A raise should follow, so that no copy from before is accepted.
    pub async fn change(&self, change: Change<'_>) -> Result<Sequence, Error> {
        let mut custody = Custody {
            rows: (change.delete.into_iter().map(|name| (name, None)))
                .chain(change.put.into_iter().map(|(name, row)| (name, Some(row))))
                .collect(),
            devices: change.devices,
            minimum: change.minimum,
            ..Custody::default()
        };
        if let Some((root, generation)) = change.root {
            custody.root(root, &self.0.0.state()?.keys.authority.cluster, generation);
        }
        Ok(self.0.0.submit_pressing((16, 1 << 16), move |draft| draft.custody(&custody)).await?.1)
    }

    /// Writes the next epoch durably and says which device is to be raised to which counter. After raising them the
    /// caller says so with [`Barrier::raised`].
    ///
    /// `readings` are the counters of the devices at hand. One that is ahead of the store is a rollback, or another copy
    /// that serves.
    pub async fn raise(&self, readings: Vec<Reading>) -> Result<Vec<Device>, Error> {
        Ok(self.0.0.submit_pressing((1, 1024), move |draft| draft.raise(&readings)).await?.0)
    }

    /// Takes note of the counters that devices have reached.
    pub fn raised(&self, done: &[Reading]) -> Result<(), Error> {
        let known = &self.0.0.state()?.head.devices;
        let now = self.0.0.options.clock.now();
        let mut raised = self.0.0.devices.lock();
        raised.extend(done.iter().filter(|reading| known.contains(reading)).map(|reading| (reading.id, now)));
        Ok(())
    }

    /// What the store knows of its own integrity, without a walk.
    pub fn integrity(&self) -> Result<Integrity, Error> {
        let state = self.0.0.state()?;
        let (head, cluster) = (&state.head, state.keys.authority.cluster);
        let raised = self.0.0.devices.lock().clone();
        let devices: Vec<_> = (head.devices.iter())
            .map(|device| DeviceStatus {
                id: device.id,
                counter: device.counter,
                raised: raised.get(&device.id).copied(),
            })
            .collect();
        let alarms = self.0.0.alarms.lock();
        let latest = alarms.latest.iter().filter_map(|(at, error)| match error {
            Error::Integrity { layer, name, reason } => {
                Some(Alarm { at: *at, layer: *layer, name: name.clone(), reason: reason.clone() })
            }
            _ => None,
        });
        Ok(Integrity {
            cluster,
            sequence: Sequence(head.sequence),
            epoch: head.epoch,
            words: crate::format::words(head.clear(&cluster).words),
            generation: head.generation,
            minimum: head.minimum,
            protected: devices.iter().any(|device| device.raised.is_some()),
            devices,
            rows: head.rows,
            journal_entries: state.overlay.len(),
            journal_pages: head.last + 1 - head.first,
            alarms: alarms.count,
            latest: latest.collect(),
            failed: self.0.0.why_poisoned().map(|error| error.to_string()),
        })
    }
}

impl Inner {
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    pub(crate) async fn commit(&self, batch: Batch) -> Result<Sequence, Error> {
        let pressing = batch.pressing();
        let write = Write::new(&self.0, batch)?;
        if pressing {
            return Ok(self.0.submit_pressing(write.weight(), move |draft| draft.write(write.copy())).await?.1);
        }
        Ok(self.0.submit(write.weight(), |draft| draft.write(write)).await?.1)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.0.queue.close();
    }
}
