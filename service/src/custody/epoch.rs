//! The rollback counter between the store and the devices outside it.
//!
//! The store writes epoch e + 1 durably, then the devices are raised, then it serves. A device that is away neither
//! vouches nor locks out; one that has counted past this copy of the store shows that the copy is an old one. While the
//! store is open its devices are looked at every few seconds ([`Custody::look`]), so that one that comes back is compared
//! at once.

use super::leaf::ConfiguredLeaf;
use super::{Custody, Error};
use std::collections::BTreeSet;
use std::sync::Arc;
use strongroom_keystore::{Barrier, Change, Device, DeviceId, Reading};
use strongroom_unseal::{Leaf, LeafStanding, Standing};

impl Custody {
    /// What the devices of the head say, as far as they are at hand.
    pub(super) async fn read_counters(
        &self,
        cluster: [u8; 16],
        known: &[DeviceId],
        standing: &Standing,
    ) -> Vec<Reading> {
        let mut readings = Vec::new();
        for id in known {
            let Some(device) = self.counting_device(*id, standing) else { continue };
            match device.count_of(cluster, *id).await {
                Ok(counter) => readings.push(Reading { id: *id, counter }),
                Err(error) => tracing::warn!(leaf = device.name(), "the device does not confirm the epoch: {error}"),
            }
        }
        readings
    }

    /// Raises devices to the counters that the store has just written; gives what was raised.
    pub(super) async fn raise_devices(
        &self,
        cluster: [u8; 16],
        targets: &[Device],
        standing: &Standing,
    ) -> Vec<Reading> {
        let mut done = Vec::new();
        for target in targets {
            let Some(device) = self.counting_device(target.id, standing) else { continue };
            match device.raise(cluster, *target).await {
                Ok(()) => done.push(*target),
                Err(error) => tracing::warn!(leaf = device.name(), "the device's counter was not raised: {error}"),
            }
        }
        done
    }

    /// Raises the epoch of an open store with the devices at hand.
    pub(super) async fn raise(&self, barrier: &Barrier) -> Result<(), Error> {
        let (cluster, standing) = {
            let state = self.state.lock();
            let (Some(open), Some(standing)) = (&state.open, &state.standing) else { return Ok(()) };
            (open.cluster, standing.clone())
        };
        let known: Vec<DeviceId> = barrier.integrity()?.devices.iter().map(|device| device.id).collect();
        let readings = self.read_counters(cluster, &known, &standing).await;
        let targets = barrier.raise(readings).await?;
        let done = self.raise_devices(cluster, &targets, &standing).await;
        barrier.raised(&done)?;
        Ok(())
    }

    /// Looks at the devices of an open store: whether one has counted past it, and whether one has come back. What came
    /// back is brought up to date, and counts from then on.
    ///
    /// # Errors
    /// [`Error::Rollback`] when a device has counted past this store: seal. Anything else may pass: log it and go on.
    pub async fn look(&self, barrier: &Barrier) -> Result<(), Error> {
        let _act = self.act.lock().await;
        let (cluster, standing, was_away) = {
            let state = self.state.lock();
            let (Some(open), Some(standing)) = (&state.open, &state.standing) else { return Ok(()) };
            (open.cluster, standing.clone(), state.away.clone())
        };
        let mut away = BTreeSet::new();
        for device in &self.devices {
            if standing.leaves.iter().any(|leaf| leaf.name == device.name())
                && let Err(error) = device.identity().await
            {
                if !was_away.contains(device.name()) {
                    tracing::warn!(leaf = device.name(), "the device went away: {error}");
                }
                away.insert(device.name().to_owned());
            }
        }
        self.state.lock().away.clone_from(&away);
        for known in barrier.integrity()?.devices {
            let Some(device) = self.counting_device(known.id, &standing) else { continue };
            if away.contains(device.name()) {
                continue;
            }
            // One that cannot be read vouches for nothing, and says so at the next raise.
            if let Ok(counter) = device.count_of(cluster, known.id).await
                && counter > known.counter
            {
                let (device, stored) = (known.id.to_string(), known.counter);
                return Err(strongroom_keystore::Error::RollbackDetected { device, counter, stored }.into());
            }
        }
        let back: Vec<&String> = was_away.difference(&away).collect();
        for leaf in &back {
            tracing::info!(leaf = leaf.as_str(), "the device is back");
        }
        // A leaf that is behind and at hand although nobody saw it go: it was away at init or at the unseal.
        let left_behind = standing.leaves.iter().any(|leaf| is_behind(leaf, &standing) && !away.contains(&leaf.name));
        if back.is_empty() && !left_behind {
            return Ok(());
        }
        let brought_up = self.bring_up(barrier).await;
        if !back.is_empty() {
            self.raise(barrier).await?;
        }
        brought_up
    }

    /// Brings leaves that were away when the root key was dealt up to date, if they are back; their devices count from
    /// then on.
    pub(super) async fn bring_up(&self, barrier: &Barrier) -> Result<(), Error> {
        let (cluster, generation, rows, root) = {
            let state = self.state.lock();
            let Some(open) = &state.open else { return Ok(()) };
            if !behind(state.standing.as_ref()) {
                return Ok(());
            }
            (open.cluster, open.generation, open.rows.clone(), open.root.clone())
        };
        let leaves: Vec<&dyn Leaf> = self.devices.iter().map(|device| &**device as &dyn Leaf).collect();
        let (change, absent) = strongroom_unseal::bring_up(&rows, cluster, generation, &root, &leaves).await?;
        for absent in &absent {
            tracing::debug!(leaf = absent.leaf, "still away, not brought up to date: {}", absent.error);
        }
        if change.put.is_empty() && change.delete.is_empty() {
            return Ok(());
        }
        let mut rows = rows;
        change.apply(&mut rows);
        let standing = strongroom_unseal::standing(&rows, cluster, &leaves)?;
        let mut devices: Vec<Device> = (barrier.integrity()?.devices.iter())
            .map(|device| Device { id: device.id, counter: device.counter })
            .collect();
        for leaf in standing.leaves.iter().filter(|leaf| leaf.kind.counts() && leaf.error.is_none()) {
            let id = DeviceId(leaf.device.0);
            let Some(device) = self.device_of(&leaf.name) else { continue };
            if !devices.iter().any(|known| known.id == id)
                && let Ok(counter) = device.count(cluster).await
            {
                devices.push(Device { id, counter });
            }
        }
        let change = Change {
            put: change.put.into_iter().map(|row| (row.name, row.bytes)).collect(),
            delete: change.delete,
            devices: Some(devices),
            ..Change::default()
        };
        barrier.change(change).await?;
        let mut state = self.state.lock();
        if let Some(open) = &mut state.open {
            open.rows = rows;
        }
        if let Some(known) = &mut state.standing {
            let latest = known.generation;
            for leaf in &mut known.leaves {
                let was_behind = leaf.generation.is_none_or(|held| held < latest);
                if let Some(now) = standing.leaves.iter().find(|now| now.name == leaf.name)
                    && was_behind
                    && now.generation == Some(latest)
                {
                    // With who the device is: one that was away at init is known only now.
                    *leaf = LeafStanding { satisfied: true, healthy: Some(true), error: None, ..now.clone() };
                    tracing::info!(leaf = leaf.name, "brought up to date");
                }
            }
        }
        Ok(())
    }

    fn counting_device(&self, id: DeviceId, standing: &Standing) -> Option<&Arc<ConfiguredLeaf>> {
        let leaf = standing.leaves.iter().find(|leaf| leaf.device.0 == id.0 && leaf.kind.counts())?;
        self.device_of(&leaf.name)
    }
}

fn behind(standing: Option<&Standing>) -> bool {
    standing.is_some_and(|standing| standing.leaves.iter().any(|leaf| is_behind(leaf, standing)))
}

fn is_behind(leaf: &LeafStanding, standing: &Standing) -> bool {
    leaf.generation.is_none_or(|held| held < standing.generation)
}
