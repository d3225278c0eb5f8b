//! The head: the one record that vouches for everything else (`docs/formats/head.md`).

use super::names::RowKey;
use super::{Fields, Mac, Malformed};
use crate::{Device, DeviceId, Error};
use strongroom_clock::Timestamp;
use strongroom_secret::aead::AeadKey;
use strongroom_secret::mac::HmacKey;
use strongroom_secret::{digest, kdf, random};

strongroom_secret::purposes! {
    /// The key of one version of the head.
    HeadVersion = "strongroom head";
}

/// The part in clear, which nobody vouches for until it has been compared with the sealed part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clear {
    /// The cluster's id.
    pub cluster: [u8; 16],
    /// The rollback counter.
    pub epoch: u64,
    /// Four words for people, as indices into the list of [`super::words`].
    pub words: [u16; 4],
}

/// The sealed part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// The least version of the program that may open this store.
    pub minimum: u32,
    /// The number of the commit that wrote this head.
    pub sequence: u64,
    /// The MAC of the index's root node; `None` when the index is empty.
    pub root: Option<Mac>,
    /// The first page of the journal.
    pub first: u64,
    /// The last page of the journal; one less than the first when there is none.
    pub last: u64,
    /// The MAC of the last page.
    pub last_mac: Mac,
    /// The rollback counter.
    pub epoch: u64,
    /// Journal entries of pages up to the mark, of keys before the cursor, lie in the index already.
    pub cursor: RowKey,
    /// See `cursor`.
    pub mark: u64,
    /// The latest time that the store has seen.
    pub clock: Timestamp,
    /// The generation of the names key.
    pub names: u8,
    /// The generation of the root key.
    pub generation: u32,
    /// HMAC over the register, which lists the clear rows.
    pub register: [u8; 32],
    /// The current term.
    pub term: u32,
    /// Rows sealed under the current term so far.
    pub operations: u64,
    /// Rows in the store, markers of directories included.
    pub rows: u64,
    /// The devices that confirm the epoch, with the counter that each was last asked to reach.
    pub devices: Vec<Device>,
}

const FORMAT: u8 = 1;
const CLEAR: usize = 1 + 16 + 8 + 8;
/// The sealed part is padded to a multiple of this.
const STEP: usize = 512;
/// The most devices that a head holds.
pub const MOST_DEVICES: usize = 256;

impl Head {
    /// The plaintext of the sealed part, padded.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(STEP);
        // Format and minimum version stay where they are in every later format, so that an old program can say
        // what it needs.
        out.push(FORMAT);
        out.extend(self.minimum.to_be_bytes());
        out.extend(self.sequence.to_be_bytes());
        out.push(self.root.is_some().into());
        out.extend(self.root.unwrap_or_default());
        out.extend(self.first.to_be_bytes());
        out.extend(self.last.to_be_bytes());
        out.extend(self.last_mac);
        out.extend(self.epoch.to_be_bytes());
        out.extend(self.cursor.0);
        out.extend(self.mark.to_be_bytes());
        out.extend(self.clock.unix_nanos().to_be_bytes());
        out.push(self.names);
        out.extend(self.generation.to_be_bytes());
        out.extend(self.register);
        out.extend(self.term.to_be_bytes());
        out.extend(self.operations.to_be_bytes());
        out.extend(self.rows.to_be_bytes());
        // MOST_DEVICES is checked where devices are enrolled.
        out.extend(u16::try_from(self.devices.len()).expect("few devices").to_be_bytes());
        for device in &self.devices {
            out.extend(device.id.0);
            out.extend(device.counter.to_be_bytes());
        }
        out.resize(out.len().next_multiple_of(STEP), 0);
        out
    }

    /// Reads the plaintext of the sealed part.
    pub fn decode(bytes: &[u8]) -> Result<Head, Malformed> {
        let mut fields = Fields(bytes);
        if fields.u8()? != FORMAT {
            return Err(Malformed("its format is not known"));
        }
        let minimum = fields.u32()?;
        let sequence = fields.u64()?;
        let root = match (fields.u8()?, fields.array()?) {
            (1, mac) => Some(mac),
            (0, mac) if mac == [0; 16] => None,
            _ => return Err(Malformed("its root is neither there nor not")),
        };
        let (first, last, last_mac) = (fields.u64()?, fields.u64()?, fields.array()?);
        // The number of pages is bounded, so that a reader knows how much it is asked to read.
        if first == 0 || last < first - 1 || last == u64::MAX || last - (first - 1) > 1 << 24 {
            return Err(Malformed("its journal has no bounds"));
        }
        let epoch = fields.u64()?;
        let (cursor, mark) = (RowKey(fields.array()?), fields.u64()?);
        let clock = Timestamp::from_unix_nanos(fields.i64()?);
        let (names, generation, register) = (fields.u8()?, fields.u32()?, fields.array()?);
        let (term, operations, rows) = (fields.u32()?, fields.u64()?, fields.u64()?);
        let count = usize::from(fields.u16()?);
        if count > MOST_DEVICES {
            return Err(Malformed("it has too many devices"));
        }
        let mut devices = Vec::with_capacity(count);
        for _ in 0..count {
            devices.push(Device { id: DeviceId(fields.array()?), counter: fields.u64()? });
        }
        fields.zeros()?;
        Ok(Head {
            minimum,
            sequence,
            root,
            first,
            last,
            last_mac,
            epoch,
            cursor,
            mark,
            clock,
            names,
            generation,
            register,
            term,
            operations,
            rows,
            devices,
        })
    }

    /// The least program version of a sealed part, whatever its format.
    pub fn minimum(bytes: &[u8]) -> Result<u32, Malformed> {
        let mut fields = Fields(bytes);
        fields.u8()?;
        fields.u32()
    }

    /// What the clear part says of this head.
    pub fn clear(&self, cluster: &[u8; 16]) -> Clear {
        Clear { cluster: *cluster, epoch: self.epoch, words: words(cluster, self) }
    }
}

/// The stored head: clear part, then the sealed part under a key of its own version.
pub fn seal(key: &HmacKey, cluster: &[u8; 16], head: &Head) -> Result<Vec<u8>, Error> {
    seal_encoded(key, &head.clear(cluster), &head.encode())
}

/// The same of a plaintext that is ready.
pub(crate) fn seal_encoded(key: &HmacKey, clear: &Clear, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
    let cluster = &clear.cluster;
    let mut out = Vec::with_capacity(CLEAR + 44 + STEP);
    out.push(FORMAT);
    out.extend(clear.cluster);
    out.extend(clear.epoch.to_be_bytes());
    clear.words.iter().for_each(|word| out.extend(word.to_be_bytes()));
    let salt: [u8; 16] = random::array()?;
    out.extend(salt);
    version_key(key, cluster, &salt).seal(&aad(cluster), plaintext, &mut out).map_err(|_| Error::Random)?;
    Ok(out)
}

/// Reads the clear part of a stored head.
pub fn clear(stored: &[u8]) -> Result<Clear, Malformed> {
    let mut fields = Fields(stored);
    if fields.u8()? != FORMAT {
        return Err(Malformed("its format is not known"));
    }
    let clear = Clear {
        cluster: fields.array()?,
        epoch: fields.u64()?,
        words: [fields.u16()?, fields.u16()?, fields.u16()?, fields.u16()?],
    };
    if clear.words.iter().any(|word| *word >= 2048) {
        return Err(Malformed("its words are not on the list"));
    }
    Ok(clear)
}

/// Opens the sealed part of a stored head, and gives its plaintext.
pub fn open(key: &HmacKey, cluster: &[u8; 16], stored: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut fields = Fields(stored);
    fields.bytes(CLEAR)?;
    let salt: [u8; 16] = fields.array()?;
    version_key(key, cluster, &salt)
        .open(&aad(cluster), fields.0)
        .map(|plaintext| plaintext.expose().to_vec())
        .map_err(|_| Malformed("its sealed part does not open"))
}

/// 44 bits of SHA-256 over cluster ‖ epoch ‖ sequence ‖ root, as four numbers below 2,048.
fn words(cluster: &[u8; 16], head: &Head) -> [u16; 4] {
    let root = head.root.unwrap_or_default();
    let hash = digest::sha256(&[cluster, &head.epoch.to_be_bytes(), &head.sequence.to_be_bytes(), &root]);
    // The first eight of 32 bytes.
    let bits = u64::from_be_bytes(hash[..8].try_into().expect("8 of 32 bytes"));
    std::array::from_fn(|at| (bits >> (53 - 11 * at) & 0x7ff) as u16)
}

fn version_key(key: &HmacKey, cluster: &[u8; 16], salt: &[u8; 16]) -> AeadKey {
    AeadKey::new(kdf::derive::<HeadVersion, 32>(key, &[cluster, salt]).expose())
}

/// "SRh1" ‖ cluster.
fn aad(cluster: &[u8; 16]) -> [u8; 20] {
    let mut aad = [0; 20];
    aad[..4].copy_from_slice(b"SRh1");
    aad[4..].copy_from_slice(cluster);
    aad
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn sample() -> Head {
        Head {
            minimum: 1,
            sequence: 77,
            root: Some([1; 16]),
            first: 3,
            last: 5,
            last_mac: [2; 16],
            epoch: 4,
            cursor: RowKey([3; 32]),
            mark: 4,
            clock: Timestamp::from_unix(1_800_000_000),
            names: 1,
            generation: 1,
            register: [4; 32],
            term: 1,
            operations: 9,
            rows: 8,
            devices: vec![Device { id: DeviceId([5; 16]), counter: 6 }],
        }
    }

    #[test]
    fn a_head_round_trips_and_no_flipped_bit_is_taken() {
        let (key, cluster, head) = (HmacKey::new(&[1; 32]), [9; 16], sample());
        let stored = seal(&key, &cluster, &head).unwrap();
        assert_eq!(clear(&stored).unwrap(), head.clear(&cluster));
        assert_eq!(Head::decode(&open(&key, &cluster, &stored).unwrap()), Ok(head.clone()));
        for at in 0..stored.len() {
            let mut other = stored.clone();
            other[at] ^= 1;
            let seen = clear(&other).is_ok_and(|seen| seen == head.clear(&cluster));
            assert!(!seen || open(&key, &cluster, &other).is_err(), "byte {at}");
        }
        for len in 0..stored.len() {
            assert!(open(&key, &cluster, &stored[..len]).is_err());
        }
        assert!(open(&key, &[8; 16], &stored).is_err());
    }

    #[test]
    fn the_words_move_with_epoch_sequence_root_and_cluster() {
        let head = sample();
        let mut others = [head.clone(), head.clone(), head.clone()];
        others[0].epoch += 1;
        others[1].sequence += 1;
        others[2].root = None;
        for other in others {
            assert_ne!(other.clear(&[9; 16]).words, head.clear(&[9; 16]).words);
        }
        assert_ne!(head.clear(&[8; 16]).words, head.clear(&[9; 16]).words);
    }

    #[test]
    fn heads_without_sense_are_refused() {
        for (change, what) in [
            ((|head: &mut Head| head.first = 0) as fn(&mut Head), "bounds"),
            (|head| head.last = 1, "bounds"),
            (|head| head.last = u64::MAX, "bounds"),
            (|head| head.devices = vec![Device { id: DeviceId([0; 16]), counter: 0 }; 257], "devices"),
        ] {
            let mut head = sample();
            change(&mut head);
            assert!(Head::decode(&head.encode()).unwrap_err().to_string().contains(what));
        }
        let mut bytes = sample().encode();
        *bytes.last_mut().unwrap() = 1;
        assert!(Head::decode(&bytes).is_err());
        let mut later = sample().encode();
        later[0] = 200;
        later[4] = 9;
        assert!(Head::decode(&later).is_err());
        assert_eq!(Head::minimum(&later), Ok(9), "a later format still says what it needs");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            for bytes in [bytes.clone(), [vec![FORMAT], bytes].concat()] {
                let _ = clear(&bytes);
                let _ = Head::minimum(&bytes);
                prop_assert!(open(&HmacKey::new(&[1; 32]), &[0; 16], &bytes).is_err());
                if let Ok(head) = Head::decode(&bytes) {
                    prop_assert!(head.encode().starts_with(bytes.trim_ascii_end()) || bytes.len() < 512);
                }
            }
        }
    }
}
