//! Hidden names: a row's key is an HMAC of its directory and an HMAC of its path (`docs/formats/row.md`).

use crate::MountId;
use strongroom_secret::mac::HmacKey;

/// The key of a row in storage: its directory's 16 bytes, then its own 16. A directory is one range.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowKey(pub [u8; 32]);

/// The half of a row's key that all rows of a directory share.
pub type DirKey = [u8; 16];

impl RowKey {
    /// The smallest key.
    pub const FIRST: RowKey = RowKey([0; 32]);

    /// The directory's half.
    pub fn dir(&self) -> DirKey {
        // 16 of 32 bytes.
        self.0[..16].try_into().expect("16 of 32 bytes")
    }

    /// The smallest key after this one; `None` after the last.
    pub(crate) fn next(&self) -> Option<RowKey> {
        let mut key = *self;
        for byte in key.0.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                return Some(key);
            }
        }
        None
    }

    /// The first key that a row of `dir` can have.
    pub(crate) fn first_in(dir: &DirKey) -> RowKey {
        let mut key = [0; 32];
        key[..16].copy_from_slice(dir);
        RowKey(key)
    }

    /// The last key that a row of `dir` can have.
    pub(crate) fn last_in(dir: &DirKey) -> RowKey {
        let mut key = [0xff; 32];
        key[..16].copy_from_slice(dir);
        RowKey(key)
    }

    /// The four bits at `index` (0 to 63), the first being the most significant.
    pub(crate) fn nibble(&self, index: usize) -> usize {
        usize::from(if index.is_multiple_of(2) { self.0[index / 2] >> 4 } else { self.0[index / 2] & 15 })
    }
}

impl TryFrom<&[u8]> for RowKey {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<RowKey, Self::Error> {
        bytes.try_into().map(RowKey)
    }
}

impl std::fmt::Debug for RowKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::fmt::Display for RowKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The names key, prepared.
pub struct Names(HmacKey);

impl Names {
    /// Prepares a names key.
    pub fn new(key: &[u8; 32]) -> Names {
        Names(HmacKey::new(key))
    }

    /// A directory's half: HMAC(names key, 01 ‖ mount ‖ path of the directory), "" being the mount's root.
    pub fn dir(&self, mount: MountId, dir: &str) -> DirKey {
        self.0.sign16(&[&[1], &mount.0, dir.as_bytes()])
    }

    /// A row's key; the path of a directory's marker ends in '/'.
    pub fn row(&self, mount: MountId, path: &str) -> RowKey {
        let (dir, _) = crate::path::split(path.strip_suffix('/').unwrap_or(path));
        self.row_in(&self.dir(mount, dir), mount, path)
    }

    /// A row's key, its directory's half being known.
    pub(crate) fn row_in(&self, dir: &DirKey, mount: MountId, path: &str) -> RowKey {
        let mut key = RowKey::first_in(dir);
        key.0[16..].copy_from_slice(&self.0.sign16(&[&[2], &mount.0, path.as_bytes()]));
        key
    }
}

/// The names keys of a store, each with its generation: the current one, and the one before it until no row has a name
/// under that any more.
pub(crate) struct Naming {
    pub(crate) current: (u8, Names),
    pub(crate) older: Option<(u8, Names)>,
}

impl Naming {
    /// The key that a row is written under.
    pub(crate) fn row(&self, mount: MountId, path: &str) -> RowKey {
        self.current.1.row(mount, path)
    }

    /// The key that the row may still have.
    pub(crate) fn older_row(&self, mount: MountId, path: &str) -> Option<RowKey> {
        self.older.as_ref().map(|(_, names)| names.row(mount, path))
    }

    /// The halves that rows of a directory have, the current one first.
    pub(crate) fn dirs(&self, mount: MountId, dir: &str) -> impl Iterator<Item = DirKey> {
        [Some(&self.current), self.older.as_ref()].into_iter().flatten().map(move |(_, names)| names.dir(mount, dir))
    }

    /// The generation under which a key is the name of this path; `None` when it is not.
    pub(crate) fn generation(&self, key: &RowKey, mount: MountId, path: &str) -> Option<u8> {
        let of = |(generation, names): &(u8, Names)| (names.row(mount, path) == *key).then_some(*generation);
        of(&self.current).or_else(|| self.older.as_ref().and_then(of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_directory_share_a_half_and_a_marker_lies_beside_them() {
        let (names, mount) = (Names::new(&[1; 32]), MountId([2; 16]));
        let (one, two, marker) = (names.row(mount, "a/1"), names.row(mount, "a/2"), names.row(mount, "a/b/"));
        assert_eq!(one.dir(), two.dir());
        assert_eq!(one.dir(), marker.dir());
        assert_ne!(one, two);
        assert_ne!(names.row(mount, "a/b"), marker);
        assert_ne!(names.row(MountId([3; 16]), "a/1").dir(), one.dir());
        assert_ne!(names.row(mount, "a/b/c").dir(), one.dir());
    }

    #[test]
    fn keys_count_up() {
        assert_eq!(RowKey([0xff; 32]).next(), None);
        let mut key = [0; 32];
        key[31] = 0xff;
        assert_eq!(RowKey(key).next().unwrap().0[30..], [1, 0]);
        assert_eq!(RowKey([0xab; 32]).nibble(0), 10);
        assert_eq!(RowKey([0xab; 32]).nibble(63), 11);
    }
}
