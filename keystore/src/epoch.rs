//! The rollback counter: what devices outside the store say about this copy of it.

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

/// A device and the counter that the head last asked it to reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Device {
    /// Which device.
    pub id: DeviceId,
    /// The counter.
    pub counter: u64,
}

/// What a device says its counter is, now.
pub type Reading = Device;
