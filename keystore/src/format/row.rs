//! A stored row (`docs/formats/row.md`).

use super::names::{Names, RowKey};
use super::{Fields, Mac, Malformed, domain};
use crate::{Error, MountId};
use strongroom_secret::aead::{self, AeadKey};
use strongroom_secret::mac::HmacKey;
use strongroom_secret::{SecretBytes, kdf, random};
use zeroize::Zeroize;

strongroom_secret::purposes! {
    /// The key of one version of one row.
    Entry = "strongroom row";
}

/// The sizes that a stored row can have: 14, 6, 3 and 1 rows to a page of the embedded engine, then whole pages.
pub const CLASSES: [usize; 8] = [256, 640, 1312, 4032, 16320, 65472, 262_080, 1_048_512];

/// Bytes of a stored row before its ciphertext: format, term, salt.
const HEADER: usize = 1 + 4 + 16;
/// Bytes of the plaintext before the path.
const INNER: usize = 4 + 16 + 2;
const FORMAT: u8 = 1;

/// What a row's ciphertext holds.
pub struct Opened {
    /// The mount that the row belongs to.
    pub mount: MountId,
    /// Its whole path inside the mount; a directory's marker ends in '/'.
    pub path: String,
    /// What was put.
    pub value: SecretBytes,
}

/// The stored size of a row, or `None` when no class is large enough.
pub fn class(path: &str, value: usize) -> Option<usize> {
    let needed = HEADER + aead::OVERHEAD + INNER + path.len() + value;
    CLASSES.into_iter().find(|class| needed <= *class)
}

/// Seals a new version of a row: fresh salt, own key, padded to its class.
pub fn seal(
    term: u32,
    term_key: &HmacKey,
    cluster: &[u8; 16],
    key: &RowKey,
    (mount, path): (MountId, &str),
    value: &[u8],
) -> Result<Vec<u8>, Error> {
    let size = class(path, value.len()).ok_or(Error::TooLarge { size: value.len(), limit: crate::MAX_VALUE })?;
    let mut header = [0; HEADER];
    header[0] = FORMAT;
    header[1..5].copy_from_slice(&term.to_be_bytes());
    random::fill(&mut header[5..])?;
    let mut plaintext = Vec::with_capacity(size - HEADER - aead::OVERHEAD);
    // A class holds at most 1 MiB, and a path at most 4,096 bytes.
    plaintext.extend(u32::try_from(value.len()).expect("a value fits its class").to_be_bytes());
    plaintext.extend(mount.0);
    plaintext.extend(u16::try_from(path.len()).expect("a path was checked").to_be_bytes());
    plaintext.extend(path.as_bytes());
    plaintext.extend(value);
    plaintext.resize(size - HEADER - aead::OVERHEAD, 0);
    let mut stored = Vec::with_capacity(size);
    stored.extend(header);
    let sealed = entry_key(term_key, key, &header).seal(&aad(cluster, key, &header), &plaintext, &mut stored);
    plaintext.zeroize();
    sealed.map_err(|_| Error::Random)?;
    Ok(stored)
}

/// The term under which a stored row is sealed.
pub fn term(stored: &[u8]) -> Result<u32, Malformed> {
    let mut fields = Fields(stored);
    if fields.u8()? != FORMAT {
        return Err(Malformed("its format is not known"));
    }
    let term = fields.u32()?;
    if stored.len() < HEADER + aead::OVERHEAD + INNER {
        return Err(Malformed("it is too short"));
    }
    Ok(term)
}

/// Opens a stored row at its place; the path inside must lead to the key it was found under.
pub fn open(
    term_key: &HmacKey,
    names: &Names,
    cluster: &[u8; 16],
    key: &RowKey,
    stored: Vec<u8>,
) -> Result<Opened, Malformed> {
    let opened = open_unnamed(term_key, cluster, key, stored)?;
    if names.row(opened.mount, &opened.path) != *key {
        return Err(MISPLACED);
    }
    Ok(opened)
}

/// The path inside a row leads elsewhere.
pub(crate) const MISPLACED: Malformed = Malformed("the path inside belongs to another key");

/// The same where the caller compares the path inside with the key.
pub(crate) fn open_unnamed(
    term_key: &HmacKey,
    cluster: &[u8; 16],
    key: &RowKey,
    mut stored: Vec<u8>,
) -> Result<Opened, Malformed> {
    term(&stored)?;
    let (header, sealed) = stored.split_at_mut(HEADER);
    // HEADER bytes, as split.
    let header: &[u8; HEADER] = (&*header).try_into().expect("a header");
    entry_key(term_key, key, header)
        .open_in_place(&aad(cluster, key, header), sealed)
        .map_err(|_| Malformed("it does not open where it lies"))
        .and_then(|plaintext| {
            let opened = parse(plaintext);
            plaintext.zeroize();
            opened
        })
}

/// The MAC that the index holds of a row: HMAC(index key, 'R' ‖ cluster ‖ row key ‖ stored row)[16].
pub fn mac(index: &HmacKey, cluster: &[u8; 16], key: &RowKey, stored: &[u8]) -> Mac {
    index.sign16(&[domain::ROW, cluster, &key.0, stored])
}

fn parse(plaintext: &[u8]) -> Result<Opened, Malformed> {
    let mut fields = Fields(plaintext);
    let length = fields.u32()? as usize;
    let mount = MountId(fields.array()?);
    let path = fields.u16()?;
    let path = std::str::from_utf8(fields.bytes(path.into())?).map_err(|_| Malformed("its path is not UTF-8"))?;
    let value = fields.bytes(length)?;
    let opened = Opened { mount, path: path.to_owned(), value: SecretBytes::from_slice(value) };
    fields.zeros()?;
    Ok(opened)
}

fn entry_key(term_key: &HmacKey, key: &RowKey, header: &[u8; HEADER]) -> AeadKey {
    AeadKey::new(kdf::derive::<Entry, 32>(term_key, &[&key.0, &header[5..]]).expose())
}

/// "SRv1" ‖ cluster ‖ row key ‖ header.
fn aad(cluster: &[u8; 16], key: &RowKey, header: &[u8; HEADER]) -> [u8; 4 + 16 + 32 + HEADER] {
    let mut aad = [0; 4 + 16 + 32 + HEADER];
    aad[..4].copy_from_slice(b"SRv1");
    aad[4..20].copy_from_slice(cluster);
    aad[20..52].copy_from_slice(&key.0);
    aad[52..].copy_from_slice(header);
    aad
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLACE: (MountId, &str) = (MountId([9; 16]), "a/b");

    fn fixture() -> (HmacKey, Names, RowKey) {
        let names = Names::new(&[2; 32]);
        let key = names.row(PLACE.0, PLACE.1);
        (HmacKey::new(&[1; 32]), names, key)
    }

    #[test]
    fn a_row_opens_where_it_lies_and_nowhere_else() {
        let (term, names, key) = fixture();
        let stored = seal(7, &term, &[3; 16], &key, PLACE, b"value").unwrap();
        assert_eq!(stored.len(), 256);
        assert_eq!(super::term(&stored), Ok(7));
        let opened = open(&term, &names, &[3; 16], &key, stored.clone()).unwrap();
        assert_eq!((opened.mount, opened.path.as_str(), opened.value.expose()), (PLACE.0, PLACE.1, &b"value"[..]));
        assert!(open(&term, &names, &[4; 16], &key, stored.clone()).is_err(), "another cluster");
        let other = names.row(PLACE.0, "a/c");
        assert!(open(&term, &names, &[3; 16], &other, stored.clone()).is_err(), "another place");
        assert!(open(&HmacKey::new(&[5; 32]), &names, &[3; 16], &key, stored.clone()).is_err(), "another term's key");
        assert!(open(&term, &Names::new(&[6; 32]), &[3; 16], &key, stored.clone()).is_err(), "another names key");
        for at in 0..stored.len() {
            let mut flipped = stored.clone();
            flipped[at] ^= 1;
            assert!(open(&term, &names, &[3; 16], &key, flipped).is_err(), "byte {at}");
        }
    }

    #[test]
    fn two_versions_of_one_row_share_neither_salt_nor_nonce() {
        let (term, _, key) = fixture();
        let one = seal(1, &term, &[3; 16], &key, PLACE, b"value").unwrap();
        let two = seal(1, &term, &[3; 16], &key, PLACE, b"value").unwrap();
        assert_ne!(one[5..21], two[5..21]);
        assert_ne!(one[21..33], two[21..33]);
    }

    #[test]
    fn every_stored_size_is_a_class() {
        let (term, names, key) = fixture();
        for size in [0, 1, 182, 183, 500, 900, 3000, 10_000, 60_000, 200_000, crate::MAX_VALUE] {
            let stored = seal(1, &term, &[3; 16], &key, PLACE, &vec![1; size]).unwrap();
            assert!(CLASSES.contains(&stored.len()), "{size}");
            assert_eq!(open(&term, &names, &[3; 16], &key, stored).unwrap().value.len(), size);
        }
        let longest = "x".repeat(crate::MAX_PATH);
        assert_eq!(class(&longest, crate::MAX_VALUE), Some(CLASSES[7]), "the longest path leaves room for MAX_VALUE");
        assert!(seal(1, &term, &[3; 16], &key, PLACE, &vec![1; CLASSES[7]]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_open_or_panic(stored in prop::collection::vec(any::<u8>(), 0..400)) {
            let (key, names, place) = fixture();
            let _ = term(&stored);
            let _ = parse(&stored);
            prop_assert!(open(&key, &names, &[3; 16], &place, stored).is_err());
        }
    }
}
