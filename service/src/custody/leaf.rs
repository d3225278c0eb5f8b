//! A configured leaf that is a device, or that cannot be one: switched off, or configured so that no device would do.

use strongroom_hsm::{CounterName, Device, Health};
use strongroom_secret::SecretBytes;
use strongroom_unseal::leaf::{Answer, DeviceLeaf, Enrolment};
use strongroom_unseal::{DeviceId, Kind, Leaf, LeafError};

/// A leaf of the configuration.
pub(crate) struct ConfiguredLeaf {
    name: String,
    kind: Kind,
    /// `Err`: what everybody who asks it is told.
    device: Result<DeviceLeaf, LeafError>,
}

impl ConfiguredLeaf {
    pub(super) fn new(name: &str, kind: Kind, device: Result<DeviceLeaf, LeafError>) -> Self {
        ConfiguredLeaf { name: name.to_owned(), kind, device }
    }

    /// How the device is doing; `None` where there is none.
    pub(super) fn health(&self) -> Option<Health> {
        self.device.as_ref().ok().map(|leaf| leaf.device().health())
    }

    /// The id of the token that is there now.
    pub(super) async fn identity(&self) -> Result<DeviceId, LeafError> {
        self.device()?.identity().await.map(|identity| identity.device_id()).map_err(told)
    }

    /// The counter of this cluster on the device; zero where it was never raised.
    pub(super) async fn count(&self, cluster: [u8; 16]) -> Result<u64, LeafError> {
        self.device()?.counter_read(CounterName(cluster)).await.map(Option::unwrap_or_default).map_err(told)
    }

    /// What the device counts for other stores: each cluster's id and its counter.
    pub(super) async fn counts_of_others(&self, own: [u8; 16]) -> Result<Vec<([u8; 16], u64)>, LeafError> {
        let counters = self.device()?.counters().await.map_err(told)?;
        Ok(counters.into_iter().map(|(name, value)| (name.0, value)).filter(|(cluster, _)| *cluster != own).collect())
    }

    /// The counter, if the device that is there now is `known`: another one's count says nothing about this store.
    pub(super) async fn count_of(
        &self,
        cluster: [u8; 16],
        known: strongroom_keystore::DeviceId,
    ) -> Result<u64, LeafError> {
        self.is(known).await?;
        self.count(cluster).await
    }

    /// Raises the counter of the device that `target` names.
    pub(super) async fn raise(&self, cluster: [u8; 16], target: strongroom_keystore::Device) -> Result<(), LeafError> {
        self.is(target.id).await?;
        self.device()?.counter_raise(CounterName(cluster), target.counter).await.map_err(told)
    }

    async fn is(&self, known: strongroom_keystore::DeviceId) -> Result<(), LeafError> {
        match self.identity().await? {
            DeviceId(id) if id == known.0 => Ok(()),
            other => Err(LeafError::Other(format!("device {other} is there, and {known} was enrolled: put it back"))),
        }
    }

    /// Lets the next login be tried although the PIN was refused before.
    pub(crate) fn permit_login(&self) {
        if let Ok(device) = self.device() {
            device.permit_login();
        }
    }

    fn leaf(&self) -> Result<&DeviceLeaf, LeafError> {
        self.device.as_ref().map_err(Clone::clone)
    }

    fn device(&self) -> Result<&Device, LeafError> {
        self.leaf().map(DeviceLeaf::device)
    }
}

impl Leaf for ConfiguredLeaf {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn enrol(&self) -> Answer<'_, Enrolment> {
        match self.leaf() {
            Ok(leaf) => leaf.enrol(),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn prove<'a>(&'a self, pin: &'a [u8]) -> Answer<'a, ()> {
        match self.leaf() {
            Ok(leaf) => leaf.prove(pin),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn seal<'a>(&'a self, aad: &'a [u8], portion: &'a SecretBytes) -> Answer<'a, Vec<u8>> {
        match self.leaf() {
            Ok(leaf) => leaf.seal(aad, portion),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn open<'a>(&'a self, aad: &'a [u8], sealed: &'a [u8]) -> Answer<'a, SecretBytes> {
        match self.leaf() {
            Ok(leaf) => leaf.open(aad, sealed),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

/// A device's error in the words of the seal tree.
pub(super) fn told(error: strongroom_hsm::Error) -> LeafError {
    let text = error.to_string();
    match error {
        strongroom_hsm::Error::Away(_) | strongroom_hsm::Error::Busy { .. } => LeafError::Away(text),
        strongroom_hsm::Error::WrongToken(_) => LeafError::Other(text),
        strongroom_hsm::Error::Rejected => LeafError::Rejected(text),
        _ => LeafError::Refused(text),
    }
}
