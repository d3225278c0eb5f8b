//! The software token behind the `static` seal: AES-256-GCM under a key from the configuration.
//!
//! It protects against nobody who reads the configuration, counts nothing (it would count in the store it is to watch),
//! and makes no keys.

use crate::config::{SoftConfig, SoftKey};
use crate::{
    CounterName, DevicePin, Error, Hsm, Identity, KeyInfo, KeyKind, KeyName, Mechanism, MechanismInfo, NewKey, Proof,
    Result, Sealed, proof, sealed,
};
use strongroom_secret::aead::AeadKey;
use strongroom_secret::{Key, SecretBytes};

/// A token of one key, or of two while the key is being replaced.
pub struct Soft {
    current: Held,
    previous: Option<Held>,
}

struct Held {
    id: String,
    key: AeadKey,
}

impl Soft {
    /// Prepares the keys. Ids are 1 to 64 printable ASCII characters, and different.
    pub fn new(config: SoftConfig) -> Result<Self> {
        let current = Held::new(config.current_key_id, config.current_key, "current_key")?;
        let previous = config.previous.map(|(id, key)| Held::new(id, key, "previous_key")).transpose()?;
        if previous.as_ref().is_some_and(|previous| previous.id == current.id) {
            return Err(Error::Config(format!("current_key_id and previous_key_id are both {:?}", current.id)));
        }
        Ok(Soft { current, previous })
    }

    /// The name of the key that seals.
    pub fn current(&self) -> KeyName {
        KeyName::Label(self.current.id.clone())
    }

    fn held(&self, id: &[u8]) -> Option<&Held> {
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten().find(|held| held.id.as_bytes() == id)
    }

    fn named(&self, name: &KeyName) -> Result<&Held> {
        let id = match name {
            KeyName::Label(label) => label.as_bytes(),
            KeyName::Id(id) => id,
        };
        self.held(id).ok_or_else(|| Error::NotFound(format!("the static seal has no key {name}")))
    }
}

impl Held {
    fn new(id: String, key: Key<SoftKey, 32>, word: &str) -> Result<Self> {
        if id.is_empty() || id.len() > 64 || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::Config(format!("{word}_id {id:?} is not 1 to 64 printable ASCII characters")));
        }
        Ok(Held { id, key: AeadKey::new(key.expose()) })
    }

    fn info(&self) -> KeyInfo {
        let id = self.id.clone().into_bytes();
        KeyInfo { label: self.id.clone(), id, kind: KeyKind::Aes256, weakness: None }
    }
}

impl Hsm for Soft {
    /// The serial is the current key's id, so replacing the key makes another device of it.
    fn identity(&self) -> Result<Identity> {
        Ok(Identity {
            manufacturer: "Strongroom".into(),
            model: "static".into(),
            serial: self.current.id.clone(),
            label: self.current.id.clone(),
            firmware: (0, 0),
        })
    }

    fn mechanisms(&self) -> Result<Vec<MechanismInfo>> {
        Ok(vec![MechanismInfo { code: 0x1087, name: "CKM_AES_GCM".into(), key_sizes: (32, 32), hardware: false }])
    }

    fn keys(&self) -> Result<Vec<KeyInfo>> {
        Ok([Some(&self.current), self.previous.as_ref()].into_iter().flatten().map(Held::info).collect())
    }

    fn generate_key(&self, new: &NewKey) -> Result<KeyInfo> {
        Err(Error::Unsupported(format!(
            "a static seal makes no keys: put one for {:?} into the configuration",
            new.label()
        )))
    }

    fn key(&self, name: &KeyName) -> Result<KeyInfo> {
        Ok(self.named(name)?.info())
    }

    fn seal(&self, key: &KeyName, aad: &[u8], secret: &SecretBytes) -> Result<Sealed> {
        let held = self.named(key)?;
        let framed = sealed::frame(aad, secret)?;
        let mut blob = Vec::new();
        held.key.seal(aad, framed.expose(), &mut blob).map_err(|_| Error::Away("AES-GCM failed".into()))?;
        Ok(Sealed { mechanism: Mechanism::SoftAesGcm, key_id: held.id.clone().into_bytes(), blob })
    }

    /// The key is found by the sealed value's key id: `key` names the current one, what it replaced opens too.
    fn open(&self, key: &KeyName, aad: &[u8], sealed: &Sealed) -> Result<SecretBytes> {
        self.named(key)?;
        let held = self.held(&sealed.key_id).ok_or_else(|| {
            let id = String::from_utf8_lossy(&sealed.key_id);
            Error::NotFound(format!("this was sealed under static key {id:?}, which is not configured"))
        })?;
        if sealed.mechanism != Mechanism::SoftAesGcm {
            return Err(Error::Rejected);
        }
        let framed = held.key.open(aad, &sealed.blob).map_err(|_| Error::Rejected)?;
        crate::sealed::unframe(aad, &framed)
    }

    fn enrol(&self, key: &KeyName) -> Result<DevicePin> {
        proof::probe(self, key)
    }

    fn prove(&self, key: &KeyName, pin: &DevicePin) -> Result<()> {
        pin.check_identity(self)?;
        match &pin.proof {
            Proof::Probe { sealed, answer } => proof::check_probe(self, key, pin.device, sealed, answer),
            Proof::PublicKey { .. } => Err(proof::other_key(key)),
        }
    }

    fn counter_read(&self, _: &CounterName) -> Result<Option<u64>> {
        Err(no_counter())
    }

    fn counters(&self) -> Result<Vec<(CounterName, u64)>> {
        Err(no_counter())
    }

    fn counter_raise(&self, _: &CounterName, _: u64) -> Result<()> {
        Err(no_counter())
    }

    /// There is no login.
    fn permit_login(&self) {}
}

fn no_counter() -> Error {
    Error::Unsupported("a static seal has no counter".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Key<SoftKey, 32> {
        Key::from_slice(&[byte; 32]).unwrap()
    }

    fn soft(id: &str, byte: u8, previous: Option<(&str, u8)>) -> Soft {
        Soft::new(SoftConfig {
            current_key_id: id.into(),
            current_key: key(byte),
            previous: previous.map(|(id, byte)| (id.into(), key(byte))),
        })
        .unwrap()
    }

    #[test]
    fn a_sealed_secret_opens_in_its_place_only() {
        let token = soft("k1", 1, None);
        let sealed = token.seal(&token.current(), b"slot 1", &SecretBytes::from_slice(b"root")).unwrap();
        assert!(token.open(&token.current(), b"slot 1", &sealed).unwrap().same_as(b"root"));
        assert_eq!(token.open(&token.current(), b"slot 2", &sealed).err(), Some(Error::Rejected));
        for at in 0..sealed.blob.len() {
            let mut changed = sealed.clone();
            changed.blob[at] ^= 1;
            assert_eq!(token.open(&token.current(), b"slot 1", &changed).err(), Some(Error::Rejected), "byte {at}");
        }
        let other = Sealed { mechanism: Mechanism::AesGcm, ..sealed };
        assert_eq!(token.open(&token.current(), b"slot 1", &other).err(), Some(Error::Rejected));
    }

    #[test]
    fn a_replaced_key_still_opens_and_a_forgotten_one_does_not() {
        let old = soft("k1", 1, None);
        let sealed = old.seal(&old.current(), b"a", &SecretBytes::from_slice(b"root")).unwrap();
        let both = soft("k2", 2, Some(("k1", 1)));
        assert!(both.open(&both.current(), b"a", &sealed).unwrap().same_as(b"root"));
        let gone = soft("k2", 2, None);
        assert!(matches!(gone.open(&gone.current(), b"a", &sealed), Err(Error::NotFound(text)) if text.contains("k1")));
        assert!(matches!(
            gone.seal(&KeyName::Label("k1".into()), b"", &SecretBytes::from_slice(b"x")),
            Err(Error::NotFound(_))
        ));
    }

    #[test]
    fn the_enrolled_key_proves_itself_and_another_under_its_name_does_not() {
        let token = soft("k1", 1, None);
        let pin = DevicePin::decode(&token.enrol(&token.current()).unwrap().encode()).unwrap();
        token.prove(&token.current(), &pin).unwrap();
        let impostor = soft("k1", 9, None);
        assert!(matches!(impostor.prove(&impostor.current(), &pin), Err(Error::WrongToken(_))));
        let stranger = soft("k3", 1, None);
        assert!(matches!(stranger.prove(&stranger.current(), &pin), Err(Error::WrongToken(_))));
    }

    #[test]
    fn it_neither_counts_nor_makes_keys() {
        let token = soft("k1", 1, None);
        let counter = CounterName([1; 16]);
        assert!(matches!(token.counter_read(&counter), Err(Error::Unsupported(_))));
        assert!(matches!(token.counter_raise(&counter, 1), Err(Error::Unsupported(_))));
        let new = NewKey::new("k2", KeyKind::Aes256).unwrap();
        assert!(matches!(token.generate_key(&new), Err(Error::Unsupported(_))));
    }

    #[test]
    fn two_keys_of_one_id_and_bad_ids_are_refused() {
        for (id, previous) in [("k", Some(("k".to_string(), key(2)))), ("", None), ("a b", None)] {
            let config = SoftConfig { current_key_id: id.into(), current_key: key(1), previous };
            assert!(matches!(Soft::new(config), Err(Error::Config(_))), "{id:?}");
        }
    }
}
