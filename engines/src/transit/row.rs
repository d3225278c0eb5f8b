//! The stored form of a key: `docs/formats/transit-key.md`.

use super::key::{Copied, Policy, TransitKey};
use super::key_type::KeyType;
use super::usage::Counters;
use super::version::{Material, Version};
use std::collections::BTreeMap;
use std::sync::Arc;
use strongroom_clock::Timestamp;
use strongroom_mount::Error;
use strongroom_secret::SecretBytes;
use zeroize::Zeroizing;

const FORMAT: u8 = 1;

const DERIVED: u8 = 1;
const CONVERGENT: u8 = 1 << 1;
const EXPORTABLE: u8 = 1 << 2;
const PLAINTEXT_BACKUP: u8 = 1 << 3;
const DELETION_ALLOWED: u8 = 1 << 4;
const IMPORTED: u8 = 1 << 5;
const IMPORTED_ROTATION: u8 = 1 << 6;
const SOFT_DELETED: u8 = 1 << 7;

/// A key as the bytes of its row.
pub(crate) fn encode(key: &TransitKey) -> Result<Zeroizing<Vec<u8>>, Error> {
    let policy = &key.policy;
    let size: usize = key.versions.values().map(|version| 26 + lengths(version)).sum();
    // Room for all of it at once: growing would leave copies behind.
    let mut out = Zeroizing::new(Vec::with_capacity(73 + size));
    let flags = [
        (policy.derived, DERIVED),
        (policy.convergent, CONVERGENT),
        (policy.exportable, EXPORTABLE),
        (policy.plaintext_backup, PLAINTEXT_BACKUP),
        (policy.deletion_allowed, DELETION_ALLOWED),
        (policy.imported, IMPORTED),
        (policy.imported_rotation, IMPORTED_ROTATION),
        (policy.soft_deleted, SOFT_DELETED),
    ];
    let flags = flags.iter().filter(|flag| flag.0).fold(0, |bits, flag| bits | flag.1);
    out.extend_from_slice(&[FORMAT, policy.kind.number(), flags]);
    out.extend_from_slice(&policy.id);
    for number in [policy.latest, policy.min_decryption, policy.min_encryption, policy.min_available] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&policy.auto_rotate.to_be_bytes());
    out.extend_from_slice(&policy.key_size.to_be_bytes());
    for copied in [policy.backed_up, policy.restored] {
        let copied = copied.unwrap_or(Copied { time: Timestamp::default(), version: 0 });
        out.extend_from_slice(&copied.time.unix_nanos().to_be_bytes());
        out.extend_from_slice(&copied.version.to_be_bytes());
    }
    out.extend_from_slice(&count(key.versions.len())?.to_be_bytes());
    for (number, version) in &key.versions {
        out.extend_from_slice(&number.to_be_bytes());
        out.extend_from_slice(&version.created.unix_nanos().to_be_bytes());
        out.extend_from_slice(&version.counter.used().to_be_bytes());
        let parts = [
            version.material.secret.as_ref().map_or(&[][..], |secret| secret.expose()),
            &version.material.public,
            version.hmac.as_ref().map_or(&[][..], |key| key.expose()),
        ];
        for part in parts {
            let len = u16::try_from(part.len()).map_err(|_| Error::us("key material longer than 65535 bytes"))?;
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(part);
        }
    }
    Ok(out)
}

fn lengths(version: &Version) -> usize {
    let secret = |held: &Option<SecretBytes>| held.as_ref().map_or(0, SecretBytes::len);
    secret(&version.material.secret) + version.material.public.len() + secret(&version.hmac)
}

fn count(len: usize) -> Result<u32, Error> {
    u32::try_from(len).map_err(|_| Error::us("more versions than a row can count"))
}

/// A key from the bytes of its row. `counters` keeps the counts of its versions.
pub(crate) fn decode(row: &[u8], counters: &Counters) -> Result<TransitKey, Error> {
    let mut reader = Reader(row);
    read(&mut reader, counters)
        .filter(|_| reader.0.is_empty())
        .ok_or_else(|| Error::us("a key's row does not follow its format"))
}

fn read(reader: &mut Reader<'_>, counters: &Counters) -> Option<TransitKey> {
    let [format, kind, flags] = reader.array::<3>()?;
    if format != FORMAT {
        return None;
    }
    let kind = KeyType::from_number(kind)?;
    let mut policy = Policy {
        derived: flags & DERIVED != 0,
        convergent: flags & CONVERGENT != 0,
        exportable: flags & EXPORTABLE != 0,
        plaintext_backup: flags & PLAINTEXT_BACKUP != 0,
        deletion_allowed: flags & DELETION_ALLOWED != 0,
        imported: flags & IMPORTED != 0,
        imported_rotation: flags & IMPORTED_ROTATION != 0,
        soft_deleted: flags & SOFT_DELETED != 0,
        ..Policy::new(reader.array()?, kind)
    };
    policy.latest = reader.u32()?;
    policy.min_decryption = reader.u32()?;
    policy.min_encryption = reader.u32()?;
    policy.min_available = reader.u32()?;
    policy.auto_rotate = u64::from_be_bytes(reader.array()?);
    policy.key_size = u16::from_be_bytes(reader.array()?);
    policy.backed_up = reader.copied()?;
    policy.restored = reader.copied()?;
    let count = reader.u32()?;
    let mut versions = BTreeMap::new();
    for _ in 0..count {
        let number = reader.u32()?;
        let created = Timestamp::from_unix_nanos(i64::from_be_bytes(reader.array()?));
        let used = u64::from_be_bytes(reader.array()?);
        let secret = reader.part()?;
        let public = reader.part()?.to_vec();
        let hmac = reader.part()?;
        let held = |part: &[u8]| (!part.is_empty()).then(|| SecretBytes::from_slice(part));
        let counter = counters.of(policy.id, number, used);
        let material = Material { secret: held(secret), public };
        let version = Version::new(kind, number, created, material, held(hmac), counter);
        if versions.insert(number, Arc::new(version)).is_some() {
            return None;
        }
    }
    // Whatever may be read is there.
    let least = policy.min_decryption.max(policy.min_available).max(1);
    let whole = (least..=policy.latest).all(|number| versions.contains_key(&number));
    (whole && policy.latest >= 1).then_some(TransitKey { policy, versions })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn copied(&mut self) -> Option<Option<Copied>> {
        let time = Timestamp::from_unix_nanos(i64::from_be_bytes(self.array()?));
        let version = self.u32()?;
        Some((version != 0).then_some(Copied { time, version }))
    }

    fn part(&mut self) -> Option<&'a [u8]> {
        let len = usize::from(u16::from_be_bytes(self.array()?));
        let (part, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of `docs/formats/transit-key.md`.
    const EXAMPLE: &str = include_str!("../../../docs/formats/transit-key.md");

    fn example() -> Vec<u8> {
        let block = EXAMPLE.split("```hex\n").nth(1).expect("the document has an example").split("```").next().unwrap();
        let digits: String = block
            .lines()
            .map(|line| line.split('#').next().unwrap())
            .flat_map(|line| line.chars().filter(|c| !c.is_whitespace()))
            .collect();
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex")).collect()
    }

    #[test]
    fn the_worked_example_decodes_and_encodes_to_itself() {
        let key = decode(&example(), &Counters::default()).unwrap();
        let policy = &key.policy;
        assert_eq!(policy.kind, KeyType::Aes256);
        assert!(policy.exportable && !policy.derived && !policy.soft_deleted);
        assert_eq!((policy.latest, policy.min_decryption, policy.min_encryption, policy.min_available), (2, 1, 0, 0));
        assert_eq!(policy.auto_rotate, 86_400);
        assert_eq!(policy.backed_up.unwrap().version, 1);
        assert_eq!(policy.restored, None);
        let second = &key.versions[&2];
        assert_eq!(second.created, Timestamp::from_unix(1_795_415_501));
        assert_eq!(second.material.secret.as_ref().unwrap().expose(), [0x22; 32]);
        assert_eq!(second.hmac.as_ref().unwrap().expose(), [0x44; 32]);
        assert_eq!(second.counter.used(), 1 << 20);
        assert_eq!(&*second.prefix, "vault:v2:");
        assert_eq!(encode(&key).unwrap().as_slice(), example());
    }

    #[test]
    fn a_row_cut_short_or_long_or_of_another_format_is_refused() {
        let row = example();
        for len in 0..row.len() {
            assert!(decode(&row[..len], &Counters::default()).is_err(), "{len} bytes");
        }
        assert!(decode(&[&row[..], &[0]].concat(), &Counters::default()).is_err(), "one byte more");
        for (at, value) in [(0, 2), (1, 99)] {
            let mut other = row.clone();
            other[at] = value;
            assert!(decode(&other, &Counters::default()).is_err(), "byte {at}");
        }
        let mut missing = row;
        missing[22] = 3;
        assert!(decode(&missing, &Counters::default()).is_err(), "a latest version that is not there");
    }
}
