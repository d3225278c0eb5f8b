//! A leaf that is a key of a device: `pkcs11`, `static`, and whatever else [`strongroom_hsm`] drives.

use super::{Answer, Enrolment, Leaf, LeafError};
use crate::tree::Kind;
use strongroom_hsm::{Device, DevicePin, Error, KeyName, Sealed};
use strongroom_secret::SecretBytes;

/// One key of one device.
pub struct DeviceLeaf {
    name: String,
    kind: Kind,
    device: Device,
    key: KeyName,
}

impl DeviceLeaf {
    /// The key `key` of `device` as the leaf `name`. The device's threads do the work; nothing is sent to it yet.
    pub fn new(name: &str, kind: Kind, device: Device, key: KeyName) -> Self {
        DeviceLeaf { name: name.to_owned(), kind, device, key }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

impl Leaf for DeviceLeaf {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn enrol(&self) -> Answer<'_, Enrolment> {
        let key = self.key.clone();
        let call = self.device.call(move |token| Ok((token.enrol(&key)?, token.identity()?)));
        Box::pin(async move {
            let (pin, identity) = call.await.map_err(blame)?;
            let text = format!("{} {} serial {}", identity.manufacturer, identity.model, identity.serial);
            Ok(Enrolment { device: pin.device, text, pin: pin.encode() })
        })
    }

    fn prove<'a>(&'a self, pin: &'a [u8]) -> Answer<'a, ()> {
        Box::pin(async move {
            let pin = DevicePin::decode(pin).map_err(blame)?;
            self.device.prove(self.key.clone(), pin).await.map_err(blame)
        })
    }

    fn seal<'a>(&'a self, aad: &'a [u8], portion: &'a SecretBytes) -> Answer<'a, Vec<u8>> {
        Box::pin(async move {
            let portion = SecretBytes::from_slice(portion.expose());
            let sealed = self.device.seal(self.key.clone(), aad.to_vec(), portion).await.map_err(blame)?;
            Ok(sealed.encode())
        })
    }

    fn open<'a>(&'a self, aad: &'a [u8], sealed: &'a [u8]) -> Answer<'a, SecretBytes> {
        Box::pin(async move {
            let sealed = Sealed::decode(sealed).map_err(blame)?;
            self.device.open(self.key.clone(), aad.to_vec(), sealed).await.map_err(blame)
        })
    }
}

fn blame(error: Error) -> LeafError {
    let text = error.to_string();
    match error {
        Error::Away(_) | Error::Busy { .. } => LeafError::Away(text),
        Error::WrongToken(_) => LeafError::Other(text),
        Error::Rejected => LeafError::Rejected(text),
        _ => LeafError::Refused(text),
    }
}
