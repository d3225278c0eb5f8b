//! What the configuration says about a device, parsed.

use crate::pin::PinLedger;
use crate::{Error, Mechanism, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use strongroom_secret::{Key, SecretBytes, purposes};

/// How a device's worker behaves. The defaults are the configuration's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `max_parallel`: threads and sessions for this device. Two keep a library busy; more help only slow mechanisms.
    pub threads: usize,
    /// Calls that may wait. One more is refused at once as [`Error::Busy`].
    pub queue: usize,
    /// `timeout`: how long one call may take. One that takes longer marks the device as away until it returns.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { threads: 2, queue: 256, timeout: Duration::from_secs(10) }
    }
}

impl Limits {
    /// Checks the ranges: 1 to 64 threads, a queue of 1 to 65,536, a timeout from 1 ms to an hour.
    pub fn checked(self) -> Result<Self> {
        if !(1..=64).contains(&self.threads) {
            return Err(Error::Config(format!("max_parallel = {} is not within 1 to 64", self.threads)));
        }
        if !(1..=65_536).contains(&self.queue) {
            return Err(Error::Config(format!("a queue of {} is not within 1 to 65536", self.queue)));
        }
        if !(Duration::from_millis(1)..=Duration::from_secs(3600)).contains(&self.timeout) {
            return Err(Error::Config(format!("timeout = {:?} is not within 1ms to 1h", self.timeout)));
        }
        Ok(self)
    }
}

/// Which token of a library: `slot`, `token_label` or `token_serial`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TokenName {
    /// The slot's number: it can change when tokens are added, so the serial is kept from the first login on.
    Slot(u64),
    /// CK_TOKEN_INFO.label
    Label(String),
    /// CK_TOKEN_INFO.serialNumber
    Serial(String),
}

impl std::fmt::Display for TokenName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TokenName::Slot(slot) => write!(f, "in slot {slot}"),
            TokenName::Label(label) => write!(f, "with label {label:?}"),
            TokenName::Serial(serial) => write!(f, "with serial {serial:?}"),
        }
    }
}

/// A token behind a PKCS#11 library.
pub struct Pkcs11Config {
    /// `lib`: the module's file.
    pub library: PathBuf,
    /// Which of its tokens.
    pub token: TokenName,
    /// `pin`: the user's PIN. Kept as long as the seal is configured, because reconnecting needs it.
    pub pin: SecretBytes,
    /// `mechanism` and `rsa_oaep_hash`: only this one, or the best that the key and the token have.
    pub mechanism: Option<Mechanism>,
    /// Where refused PINs are remembered.
    pub ledger: Arc<dyn PinLedger>,
}

/// The software token: `seal "static"`.
pub struct SoftConfig {
    /// `current_key_id`
    pub current_key_id: String,
    /// `current_key`: 32 bytes.
    pub current_key: Key<SoftKey, 32>,
    /// `previous_key_id` and `previous_key`: opens what it sealed, and seals nothing new.
    pub previous: Option<(String, Key<SoftKey, 32>)>,
}

purposes! {
    /// The key of a software token.
    SoftKey = "strongroom static seal";
}

impl Mechanism {
    /// Reads `mechanism` (name or number of PKCS#11, or the name that listings show) and `rsa_oaep_hash`.
    pub fn from_config(mechanism: &str, rsa_oaep_hash: Option<&str>) -> Result<Mechanism> {
        let word = mechanism.trim().to_ascii_lowercase();
        let number = match word.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => word.parse().ok(),
        };
        let name = word.strip_prefix("ckm_").unwrap_or(&word).replace('_', "-");
        match (number, name.as_str()) {
            (Some(0x1087), _) | (_, "aes-gcm") => Ok(Mechanism::AesGcm),
            (Some(0x0009), _) | (_, "rsa-pkcs-oaep" | "rsa-oaep") => match rsa_oaep_hash {
                None | Some("sha256") => Ok(Mechanism::RsaOaepSha256),
                Some("sha1") => Ok(Mechanism::RsaOaepSha1),
                Some(other) => Err(Error::Config(format!("rsa_oaep_hash = {other:?} is neither sha256 nor sha1"))),
            },
            (_, "rsa-oaep-sha256") => Ok(Mechanism::RsaOaepSha256),
            (_, "rsa-oaep-sha1") => Ok(Mechanism::RsaOaepSha1),
            (Some(0x1082 | 0x1085), _) | (_, "aes-cbc" | "aes-cbc-pad") => Err(Error::Config(format!(
                "mechanism {mechanism:?} does not authenticate what it encrypts: use CKM_AES_GCM"
            ))),
            (Some(0x0001), _) | (_, "rsa-pkcs") => {
                Err(Error::Config(format!("mechanism {mechanism:?} leaks through its padding: use CKM_RSA_PKCS_OAEP")))
            }
            _ => Err(Error::Config(format!("mechanism {mechanism:?} is neither CKM_AES_GCM nor CKM_RSA_PKCS_OAEP"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mechanisms_are_read_as_vault_writes_them() {
        for word in ["0x1087", "4231", "CKM_AES_GCM", "aes-gcm"] {
            assert_eq!(Mechanism::from_config(word, None), Ok(Mechanism::AesGcm), "{word}");
        }
        for word in ["0x0009", "9", "CKM_RSA_PKCS_OAEP", "rsa-oaep-sha256"] {
            assert_eq!(Mechanism::from_config(word, None), Ok(Mechanism::RsaOaepSha256), "{word}");
        }
        assert_eq!(Mechanism::from_config("CKM_RSA_PKCS_OAEP", Some("sha1")), Ok(Mechanism::RsaOaepSha1));
        assert_eq!(Mechanism::from_config("rsa-oaep-sha1", None), Ok(Mechanism::RsaOaepSha1));
    }

    #[test]
    fn cbc_pkcs1_and_nonsense_are_refused_with_a_reason() {
        for (word, reason) in [
            ("CKM_AES_CBC_PAD", "does not authenticate"),
            ("0x1082", "does not authenticate"),
            ("CKM_RSA_PKCS", "padding"),
            ("0x1", "padding"),
            ("", "neither"),
            ("CKM_DES3_ECB", "neither"),
        ] {
            let error = Mechanism::from_config(word, None).unwrap_err();
            assert!(matches!(&error, Error::Config(text) if text.contains(reason)), "{word}: {error}");
        }
        assert!(Mechanism::from_config("CKM_RSA_PKCS_OAEP", Some("md5")).is_err());
    }

    #[test]
    fn limits_have_ranges() {
        let good = Limits::default();
        assert_eq!(good.checked(), Ok(good));
        for bad in [
            Limits { threads: 0, ..good },
            Limits { threads: 65, ..good },
            Limits { queue: 0, ..good },
            Limits { timeout: Duration::ZERO, ..good },
            Limits { timeout: Duration::from_secs(3601), ..good },
        ] {
            assert!(matches!(bad.checked(), Err(Error::Config(_))), "{bad:?}");
        }
    }
}
