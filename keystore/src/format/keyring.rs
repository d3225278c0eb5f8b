//! The keyring, sealed under the root key with a commitment to it (`docs/formats/keyring.md`).

use super::names::{Names, Naming};
use super::{Fields, Malformed};
use crate::Error;
use std::collections::BTreeMap;
use strongroom_clock::Timestamp;
use strongroom_secret::aead::AeadKey;
use strongroom_secret::key::RootKey;
use strongroom_secret::mac::HmacKey;
use strongroom_secret::{Key, SecretBytes, kdf, random};
use subtle::ConstantTimeEq;

strongroom_secret::purposes! {
    /// A barrier key: the keys of rows are derived from it.
    Term = "strongroom term";
    /// Hides names.
    NamesKey = "strongroom names";
    /// Authenticates rows, nodes, pages and clear rows.
    IndexKey = "strongroom index";
    /// The keys of heads are derived from it.
    HeadKey = "strongroom head key";
    /// Seals the keyring; derived from the root key, so that the root itself need not be kept.
    KeyringKey = "strongroom keyring";
}

/// Of the row.
const FORMAT: u8 = 1;
/// Of the plaintext: with one names key, and with two.
const ONE_NAMES_KEY: u8 = 1;
const TWO_NAMES_KEYS: u8 = 2;
/// The least program that reads a keyring with two names keys.
pub(crate) const TWO_NAMES_KEYS_SINCE: u32 = 2;
const HEADER: usize = 1 + 4 + 16;
/// The plaintext is padded to a multiple of this.
const STEP: usize = 1024;
/// The most terms of a keyring.
pub const MOST_TERMS: usize = 16_384;

/// One barrier key.
pub struct TermKey {
    /// When it became the current one.
    pub created: Timestamp,
    key: Key<Term>,
    /// Prepared for derivation.
    pub(crate) prepared: HmacKey,
}

/// Every key below the root.
pub struct Keyring {
    /// Barrier keys by term; the last is the current one.
    pub terms: BTreeMap<u32, TermKey>,
    names_generation: u8,
    names_key: Key<NamesKey>,
    /// The names key before, until no row has a name under it.
    older_names: Option<(u8, Key<NamesKey>)>,
    index_key: Key<IndexKey>,
    head_key: Key<HeadKey>,
}

impl TermKey {
    fn new(created: Timestamp, key: Key<Term>) -> TermKey {
        let prepared = HmacKey::new(key.expose());
        TermKey { created, key, prepared }
    }
}

impl Keyring {
    /// Fresh keys, and the first term.
    pub fn generate(now: Timestamp) -> Result<Keyring, Error> {
        Ok(Keyring {
            terms: [(1, TermKey::new(now, Key::generate()?))].into(),
            names_generation: 1,
            names_key: Key::generate()?,
            older_names: None,
            index_key: Key::generate()?,
            head_key: Key::generate()?,
        })
    }

    /// This keyring and a fresh term after its last.
    pub fn rotated(&self, now: Timestamp) -> Result<Keyring, Error> {
        if self.terms.len() >= MOST_TERMS {
            return Err(Error::Format("the keyring is full: re-encrypt, so that old terms can be retired".into()));
        }
        let mut next = self.copy();
        let term = self.current().0.checked_add(1).ok_or(Error::Format("no term is left".into()))?;
        next.terms.insert(term, TermKey::new(now, Key::generate()?));
        Ok(next)
    }

    /// This keyring without the terms that `keep` refuses; the current one always stays.
    pub fn retired(&self, keep: impl Fn(u32) -> bool) -> Keyring {
        let (mut next, current) = (self.copy(), self.current().0);
        next.terms.retain(|term, _| *term == current || keep(*term));
        next
    }

    /// This keyring and a fresh names key after its last, which stays beside it.
    pub fn renamed(&self) -> Result<Keyring, Error> {
        if self.older_names.is_some() {
            return Err(Error::Format("rows still have names under the older names key: re-encrypt first".into()));
        }
        let generation = self.names_generation.checked_add(1);
        let generation = generation.ok_or(Error::Format("no generation of the names key is left".into()))?;
        let mut next = self.copy();
        let older = std::mem::replace(&mut next.names_key, Key::generate()?);
        next.older_names = Some((std::mem::replace(&mut next.names_generation, generation), older));
        Ok(next)
    }

    /// This keyring without the older names key.
    pub fn without_older_names(&self) -> Keyring {
        Keyring { older_names: None, ..self.copy() }
    }

    /// The current term.
    pub fn current(&self) -> (u32, &TermKey) {
        // Every constructor makes a term, `retired` keeps one, and `decode` refuses a keyring without.
        self.terms.last_key_value().map(|(term, key)| (*term, key)).expect("a keyring has a term")
    }

    /// The generation of the names key.
    pub fn names_generation(&self) -> u8 {
        self.names_generation
    }

    /// The generation of the names key before, while rows may have names under it.
    pub fn older_names_generation(&self) -> Option<u8> {
        self.older_names.as_ref().map(|(generation, _)| *generation)
    }

    pub(crate) fn names(&self) -> Naming {
        let older = self.older_names.as_ref().map(|(generation, key)| (*generation, Names::new(key.expose())));
        Naming { current: (self.names_generation, Names::new(self.names_key.expose())), older }
    }

    pub(crate) fn index(&self) -> HmacKey {
        HmacKey::new(self.index_key.expose())
    }

    pub(crate) fn head(&self) -> HmacKey {
        HmacKey::new(self.head_key.expose())
    }

    /// The keyring's row: sealed under `key`, to which it commits.
    pub fn seal(&self, key: &Key<KeyringKey>, cluster: &[u8; 16], generation: u32) -> Result<Vec<u8>, Error> {
        Keyring::seal_encoded(key, cluster, generation, &self.encode())
    }

    /// A keyring's row with another format in it.
    #[cfg(feature = "faults")]
    pub(super) fn forged(
        key: &Key<KeyringKey>,
        cluster: &[u8; 16],
        generation: u32,
        stored: &[u8],
        format: u8,
    ) -> Result<Vec<u8>, Error> {
        let plaintext = Keyring::unsealed(key, cluster, stored)?;
        let other = SecretBytes::filled(plaintext.len(), |out| {
            out.copy_from_slice(plaintext.expose());
            out[0] = format;
        });
        Keyring::seal_encoded(key, cluster, generation, &other)
    }

    fn seal_encoded(
        key: &Key<KeyringKey>,
        cluster: &[u8; 16],
        generation: u32,
        plaintext: &SecretBytes,
    ) -> Result<Vec<u8>, Error> {
        let mut out = vec![FORMAT];
        out.extend(generation.to_be_bytes());
        out.extend(random::array::<16>()?);
        // HEADER bytes, as just written.
        let header: [u8; HEADER] = out[..].try_into().expect("a header");
        let (sealing, commitment) = version_keys(key, cluster, &header);
        out.extend(commitment);
        sealing.seal(&aad(cluster, &header), plaintext.expose(), &mut out).map_err(|_| Error::Random)?;
        Ok(out)
    }

    /// Opens a keyring's row with `key`. The commitment is checked first, so that a row opens under one key only.
    pub fn open(key: &Key<KeyringKey>, cluster: &[u8; 16], stored: &[u8]) -> Result<Keyring, Error> {
        Keyring::decode(Keyring::unsealed(key, cluster, stored)?.expose()).map_err(malformed)
    }

    /// The head key of a keyring whose format this program does not know, so that it can read in the head which program
    /// it takes. `None` when the format is known.
    pub(crate) fn later_head(
        key: &Key<KeyringKey>,
        cluster: &[u8; 16],
        stored: &[u8],
    ) -> Result<Option<HmacKey>, Error> {
        let plaintext = Keyring::unsealed(key, cluster, stored)?;
        let mut fields = Fields(plaintext.expose());
        if fields.u8().map_err(malformed)? <= TWO_NAMES_KEYS {
            return Ok(None);
        }
        fields.bytes(1 + 2 * 32).map_err(malformed)?;
        let head: Key<HeadKey> = decode_key(&mut fields).map_err(malformed)?;
        Ok(Some(HmacKey::new(head.expose())))
    }

    fn unsealed(key: &Key<KeyringKey>, cluster: &[u8; 16], stored: &[u8]) -> Result<SecretBytes, Error> {
        generation(stored).map_err(malformed)?;
        let mut fields = Fields(stored);
        let header: [u8; HEADER] = fields.array().map_err(malformed)?;
        let stored_commitment: [u8; 32] = fields.array().map_err(malformed)?;
        let (sealing, commitment) = version_keys(key, cluster, &header);
        if !bool::from(commitment.ct_eq(&stored_commitment)) {
            return Err(Error::WrongRoot);
        }
        sealing
            .open(&aad(cluster, &header), fields.0)
            .map_err(|_| malformed(Malformed("it does not open under the key that it commits to")))
    }

    fn copy(&self) -> Keyring {
        let copied = |key: &Key<Term>| Key::filled(|out| *out = *key.expose());
        let older = |(generation, key): &(u8, Key<NamesKey>)| (*generation, Key::filled(|out| *out = *key.expose()));
        Keyring {
            terms: (self.terms.iter())
                .map(|(term, held)| (*term, TermKey::new(held.created, copied(&held.key))))
                .collect(),
            names_generation: self.names_generation,
            names_key: Key::filled(|out| *out = *self.names_key.expose()),
            older_names: self.older_names.as_ref().map(older),
            index_key: Key::filled(|out| *out = *self.index_key.expose()),
            head_key: Key::filled(|out| *out = *self.head_key.expose()),
        }
    }

    fn encode(&self) -> SecretBytes {
        let older = if self.older_names.is_some() { 1 + 32 } else { 0 };
        let used = 1 + 1 + 3 * 32 + older + 4 + self.terms.len() * (4 + 8 + 32);
        SecretBytes::filled(used.next_multiple_of(STEP), |mut out| {
            let mut put = |bytes: &[u8]| {
                let (field, rest) = std::mem::take(&mut out).split_at_mut(bytes.len());
                field.copy_from_slice(bytes);
                out = rest;
            };
            // The keys up to the head key stay where they are in every later format.
            put(&[if older > 0 { TWO_NAMES_KEYS } else { ONE_NAMES_KEY }, self.names_generation]);
            put(self.names_key.expose());
            put(self.index_key.expose());
            put(self.head_key.expose());
            if let Some((generation, key)) = &self.older_names {
                put(&[*generation]);
                put(key.expose());
            }
            put(&(self.terms.len() as u32).to_be_bytes());
            for (term, held) in &self.terms {
                put(&term.to_be_bytes());
                put(&held.created.unix_nanos().to_be_bytes());
                put(held.key.expose());
            }
        })
    }

    fn decode(bytes: &[u8]) -> Result<Keyring, Malformed> {
        let mut fields = Fields(bytes);
        let format = fields.u8()?;
        let names_generation = fields.u8()?;
        let names_key = decode_key(&mut fields)?;
        let (index_key, head_key) = (decode_key(&mut fields)?, decode_key(&mut fields)?);
        let older_names = match format {
            ONE_NAMES_KEY => None,
            TWO_NAMES_KEYS => Some((fields.u8()?, decode_key(&mut fields)?)),
            _ => return Err(Malformed("its format is not known")),
        };
        if older_names.as_ref().is_some_and(|(older, _)| *older >= names_generation) {
            return Err(Malformed("its names keys are not in order"));
        }
        let count = fields.u32()? as usize;
        if count == 0 || count > MOST_TERMS {
            return Err(Malformed("it has no terms, or too many"));
        }
        let mut terms = BTreeMap::new();
        for _ in 0..count {
            let (term, created) = (fields.u32()?, Timestamp::from_unix_nanos(fields.i64()?));
            if terms.last_key_value().is_some_and(|(last, _)| *last >= term) {
                return Err(Malformed("its terms are not in order"));
            }
            terms.insert(term, TermKey::new(created, decode_key(&mut fields)?));
        }
        fields.zeros()?;
        Ok(Keyring { terms, names_generation, names_key, older_names, index_key, head_key })
    }
}

fn decode_key<P: strongroom_secret::Purpose>(fields: &mut Fields<'_>) -> Result<Key<P>, Malformed> {
    Key::from_slice(fields.bytes(32)?).ok_or(Malformed("it is too short"))
}

fn malformed(error: Malformed) -> Error {
    Error::Integrity { layer: crate::Layer::Keyring, name: "keyring".into(), reason: error.to_string() }
}

/// The root key's generation that a keyring's row names.
pub fn generation(stored: &[u8]) -> Result<u32, Malformed> {
    let mut fields = Fields(stored);
    if fields.u8()? != FORMAT {
        return Err(Malformed("its format is not known"));
    }
    fields.u32()
}

/// The key that seals the keyring: derived from the root key, the cluster and the root's generation.
pub fn keyring_key(root: &RootKey, cluster: &[u8; 16], generation: u32) -> Key<KeyringKey> {
    kdf::derive(&HmacKey::new(root.expose()), &[cluster, &generation.to_be_bytes()])
}

/// One derivation gives both the sealing key and the commitment, so that no other key can have this commitment.
fn version_keys(key: &Key<KeyringKey>, cluster: &[u8; 16], header: &[u8; HEADER]) -> (AeadKey, [u8; 32]) {
    let both = kdf::derive_bytes(&HmacKey::new(key.expose()), b"strongroom keyring version", &[cluster, header], 64);
    // 64 bytes were asked for.
    let (sealing, commitment) = both.expose().split_first_chunk::<32>().expect("64 bytes");
    (AeadKey::new(sealing), commitment.try_into().expect("the other 32 bytes"))
}

/// "SRk1" ‖ cluster ‖ header.
fn aad(cluster: &[u8; 16], header: &[u8; HEADER]) -> [u8; 20 + HEADER] {
    let mut aad = [0; 20 + HEADER];
    aad[..4].copy_from_slice(b"SRk1");
    aad[4..20].copy_from_slice(cluster);
    aad[20..].copy_from_slice(header);
    aad
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The keyring of the document's example.
    pub(in crate::format) fn sample() -> Keyring {
        fn key<P: strongroom_secret::Purpose>(byte: u8) -> Key<P> {
            Key::filled(|out| *out = [byte; 32])
        }
        let terms = [(1, TermKey::new(Timestamp::from_unix(1_800_000_000), key(0x55)))].into();
        Keyring {
            terms,
            names_generation: 1,
            names_key: key(0x22),
            older_names: None,
            index_key: key(0x33),
            head_key: key(0x44),
        }
    }

    /// The document's keyring with two names keys.
    pub(in crate::format) fn renamed() -> Keyring {
        let (older, fresh) = (Key::filled(|out| *out = [0x22; 32]), Key::filled(|out| *out = [0x23; 32]));
        Keyring { names_generation: 2, names_key: fresh, older_names: Some((1, older)), ..sample() }
    }

    impl Keyring {
        pub(in crate::format) fn same_as(&self, other: &Keyring) -> bool {
            self.encode().same_as(other.encode().expose())
        }
    }

    fn key(byte: u8) -> Key<KeyringKey> {
        keyring_key(&Key::filled(|out| *out = [byte; 32]), &[9; 16], 1)
    }

    #[test]
    fn a_keyring_opens_under_its_own_key_only() {
        let ring = Keyring::generate(Timestamp::from_unix(5)).unwrap().rotated(Timestamp::from_unix(6)).unwrap();
        let stored = ring.seal(&key(1), &[9; 16], 1).unwrap();
        let opened = Keyring::open(&key(1), &[9; 16], &stored).unwrap();
        assert!(opened.encode().same_as(ring.encode().expose()));
        assert_eq!(opened.current().0, 2);
        assert_eq!(opened.terms[&1].created, Timestamp::from_unix(5));
        assert!(matches!(Keyring::open(&key(2), &[9; 16], &stored), Err(Error::WrongRoot)));
        assert!(matches!(Keyring::open(&key(1), &[8; 16], &stored), Err(Error::WrongRoot)));
        for at in 0..stored.len() {
            let mut other = stored.clone();
            other[at] ^= 1;
            assert!(Keyring::open(&key(1), &[9; 16], &other).is_err(), "byte {at}");
            assert!(Keyring::open(&key(1), &[9; 16], &stored[..at]).is_err(), "{at} bytes");
        }
        assert_ne!(stored, ring.seal(&key(1), &[9; 16], 1).unwrap(), "a fresh salt each time");
    }

    #[test]
    fn retiring_keeps_the_current_term() {
        let ring = Keyring::generate(Timestamp::from_unix(5)).unwrap().rotated(Timestamp::from_unix(6)).unwrap();
        assert_eq!(ring.retired(|_| false).terms.keys().copied().collect::<Vec<_>>(), [2]);
        assert_eq!(ring.retired(|term| term == 1).terms.len(), 2);
    }

    #[test]
    fn a_names_key_is_replaced_and_the_older_one_stays_until_it_is_taken_out() {
        let ring = Keyring::generate(Timestamp::from_unix(5)).unwrap();
        let renamed = ring.renamed().unwrap();
        assert_eq!((renamed.names_generation(), renamed.older_names_generation()), (2, Some(1)));
        assert!(renamed.renamed().is_err(), "not a third");
        let stored = renamed.seal(&key(1), &[9; 16], 1).unwrap();
        let opened = Keyring::open(&key(1), &[9; 16], &stored).unwrap();
        assert!(opened.same_as(&renamed));
        let (mount, naming) = (crate::MountId([1; 16]), opened.names());
        let (now, before) = (naming.row(mount, "a/b"), naming.older_row(mount, "a/b").unwrap());
        assert_eq!(before, ring.names().row(mount, "a/b"));
        assert_eq!(naming.generation(&now, mount, "a/b"), Some(2));
        assert_eq!(naming.generation(&before, mount, "a/b"), Some(1));
        assert_eq!(naming.generation(&before, mount, "a/c"), None);
        let alone = opened.without_older_names();
        assert_eq!((alone.names_generation(), alone.older_names_generation()), (2, None));
        assert_eq!(alone.encode().expose()[0], ONE_NAMES_KEY);
        let last = Keyring { names_generation: 255, ..ring.copy() };
        assert!(last.renamed().is_err());
        let mut disordered = renamed.encode().expose().to_vec();
        disordered[1] = 1;
        assert_eq!(Keyring::decode(&disordered).err(), Some(Malformed("its names keys are not in order")));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            for bytes in [bytes.clone(), [vec![FORMAT], bytes.clone()].concat(), [vec![TWO_NAMES_KEYS], bytes].concat()] {
                let _ = Keyring::decode(&bytes);
                prop_assert!(Keyring::open(&key(1), &[9; 16], &bytes).is_err());
            }
        }
    }
}
