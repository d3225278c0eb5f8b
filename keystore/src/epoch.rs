//! The rollback counter: what devices outside the store say about this copy of it.
//!
//! The head holds for each device the counter that it was last asked to reach, H. H + 1 is written durably, *then* the device
//! is raised to it, *then* the store serves. A device that counts more than the head says has seen a later copy of this
//! store. One that counts less was not raised after the last write: the store stopped in between, or the device went away.
//! No H is ever written twice, so of two heads that ask a device for the same counter neither is older than its last raise
//! (`docs/decisions/0013-epoch.md`).

use crate::Error;

/// A device that can count, by the id it was enrolled under.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(pub [u8; 16]);

impl std::fmt::Display for DeviceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeviceId({self})")
    }
}

/// A device and its counter: in the head, the one that it was last asked to reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Device {
    /// Which device.
    pub id: DeviceId,
    /// The counter.
    pub counter: u64,
}

/// What a device says its counter is, now.
pub type Reading = Device;

/// How far a device may be behind its head entry and still vouch: raises that were begun and not finished. One further
/// behind was reset, or is another; it is to be enrolled again.
pub(crate) const BEHIND: u64 = 16;

/// Compares the devices of a head with what those at hand say, and asks each that vouches for its next counter.
///
/// What comes back are the counters to raise the devices to, by more than one step if earlier raises were not finished,
/// once the head is durable. A device that is away, or too far behind, keeps its entry and vouches for nothing.
pub(crate) fn raise(known: &mut [Device], readings: &[Reading]) -> Result<Vec<Device>, Error> {
    let ahead = readings.iter().find_map(|reading| {
        let device = known.iter().find(|device| device.id == reading.id)?;
        (reading.counter > device.counter).then_some((reading, device.counter))
    });
    if let Some((reading, stored)) = ahead {
        return Err(Error::RollbackDetected { device: reading.id.to_string(), counter: reading.counter, stored });
    }
    let mut targets = Vec::new();
    for device in known {
        // Of several readings of one device the highest counts: a counter only rises.
        let reading = readings.iter().filter(|reading| reading.id == device.id).map(|reading| reading.counter).max();
        if let Some(counter) = reading
            && device.counter - counter <= BEHIND
            && let Some(next) = device.counter.checked_add(1)
        {
            device.counter = next;
            targets.push(*device);
        }
    }
    Ok(targets)
}

#[cfg(test)]
mod tests;
