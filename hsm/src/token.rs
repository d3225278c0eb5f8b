//! The one joint: what a token can do for us, in PKCS#11's words.

use crate::{DevicePin, KeyInfo, KeyName, NewKey, Result, Sealed};
use std::fmt;
use strongroom_secret::SecretBytes;
use strongroom_secret::digest::sha256;

/// One token. Every call is synchronous, may take as long as the device does, and may come from any thread.
///
/// An implementation finds, logs in to and repairs its own connection, so a call on a token that was away and is back
/// succeeds. It must not: try a PIN that was refused before; return a plaintext that it did not authenticate; answer
/// for another token than the one configured; make a key that can leave the device; take a lock that outlives the call.
pub trait Hsm: Send + Sync {
    /// Who this is. PKCS#11: C_GetTokenInfo; no login is needed.
    fn identity(&self) -> Result<Identity>;

    /// What the token says it can do, in the order in which it says so.
    fn mechanisms(&self) -> Result<Vec<MechanismInfo>>;

    /// Every secret and private key that the user of this token sees, weak ones included.
    fn keys(&self) -> Result<Vec<KeyInfo>>;

    /// Makes a key on the device that never leaves it, and reads its attributes back. Refuses an existing label.
    fn generate_key(&self, new: &NewKey) -> Result<KeyInfo>;

    /// Finds a key and checks it. Refuses a missing, a duplicated and a weak one.
    fn key(&self, name: &KeyName) -> Result<KeyInfo>;

    /// Seals `secret` under `key` for the place that `aad` names, and opens it again before it answers.
    fn seal(&self, key: &KeyName, aad: &[u8], secret: &SecretBytes) -> Result<Sealed>;

    /// Opens what [`Hsm::seal`] made under the same key and `aad`. Every failure to decrypt is `Rejected`.
    fn open(&self, key: &KeyName, aad: &[u8], sealed: &Sealed) -> Result<SecretBytes>;

    /// Records what this token is and something that only the holder of `key` can answer.
    fn enrol(&self, key: &KeyName) -> Result<DevicePin>;

    /// Whether this is the enrolled token: by identity first, then by the proof. `WrongToken` where it is not.
    fn prove(&self, key: &KeyName, pin: &DevicePin) -> Result<()>;

    /// The value of a counter on the token, or `None` where it was never raised.
    fn counter_read(&self, counter: &CounterName) -> Result<Option<u64>>;

    /// Every counter of ours on the token whose value can be read, in order of name.
    fn counters(&self) -> Result<Vec<(CounterName, u64)>>;

    /// Raises a counter to `to`, durably, and creates it where it is missing. Refuses to go back; `to` again is no error.
    fn counter_raise(&self, counter: &CounterName, to: u64) -> Result<()>;

    /// Lets the next login be tried although the PIN was refused before. Only an operator's order may call this.
    fn permit_login(&self);
}

/// A counter's name on a token: the cluster's id, so that several clusters can share one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterName(pub [u8; 16]);

/// Who a token says it is. Texts are trimmed of padding; anything that is not printable ASCII was replaced by `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// CK_TOKEN_INFO.manufacturerID
    pub manufacturer: String,
    /// CK_TOKEN_INFO.model
    pub model: String,
    /// CK_TOKEN_INFO.serialNumber
    pub serial: String,
    /// CK_TOKEN_INFO.label: can be changed by whoever initialises a token, so it identifies nothing.
    pub label: String,
    /// CK_TOKEN_INFO.firmwareVersion
    pub firmware: (u8, u8),
}

impl Identity {
    /// The identifier by which the store knows this device: manufacturer, model and serial, not label or firmware.
    pub fn device_id(&self) -> DeviceId {
        let length = |text: &str| (text.len() as u32).to_be_bytes();
        let digest = sha256(&[
            b"strongroom device 1",
            &length(&self.manufacturer),
            self.manufacturer.as_bytes(),
            &length(&self.model),
            self.model.as_bytes(),
            &length(&self.serial),
            self.serial.as_bytes(),
        ]);
        // 16 of 32 bytes.
        DeviceId(digest[..16].try_into().expect("16 of 32 bytes"))
    }
}

/// SHA-256("strongroom device 1" ‖ { length u32 ‖ text } of manufacturer, model, serial), first 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(pub [u8; 16]);

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceId({self})")
    }
}

/// One mechanism of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MechanismInfo {
    /// CK_MECHANISM_TYPE
    pub code: u64,
    /// The name in PKCS#11, such as `CKM_AES_GCM`, or the code in hexadecimal.
    pub name: String,
    /// Smallest and largest key, in the unit that PKCS#11 gives this mechanism.
    pub key_sizes: (u64, u64),
    /// CKF_HW: the device itself does this, not its library.
    pub hardware: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(manufacturer: &str, model: &str, serial: &str) -> Identity {
        Identity {
            manufacturer: manufacturer.into(),
            model: model.into(),
            serial: serial.into(),
            label: "root".into(),
            firmware: (2, 4),
        }
    }

    #[test]
    fn a_device_id_depends_on_maker_model_and_serial_and_their_borders() {
        let id = identity("SoftHSM project", "SoftHSM v2", "0011").device_id();
        assert_eq!(id.to_string(), "0570d59537b75b55624e472ab00e7e92");
        let mut relabelled = identity("SoftHSM project", "SoftHSM v2", "0011");
        relabelled.label = "other".into();
        relabelled.firmware = (9, 9);
        assert_eq!(relabelled.device_id(), id);
        assert_ne!(identity("SoftHSM project", "SoftHSM v2", "0012").device_id(), id);
        assert_ne!(identity("SoftHSM project", "SoftHSM v20", "011").device_id(), id);
    }
}
