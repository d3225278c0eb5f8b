//! A node of the authenticated index (`docs/formats/node.md`).

use super::names::RowKey;
use super::{Fields, Mac, Malformed, domain};
use strongroom_secret::mac::HmacKey;

/// The first `len` (0 to 64) nibbles of row keys; the rest of the bytes are zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Prefix {
    len: u8,
    bytes: [u8; 32],
}

/// The place of a node: what every row key below it begins with. A node is stored under its slot, so that a new version
/// overwrites the old.
pub type Slot = Prefix;

/// A node of the index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Node {
    /// Up to sixteen children, by the nibble after `prefix`.
    Inner {
        /// What all row keys below begin with; at least the slot, more where the path is compressed.
        prefix: Prefix,
        /// The MAC of the child in each slot.
        children: Box<[Option<Mac>; 16]>,
    },
    /// Rows in the order of their keys, with the MAC of each.
    Leaf(Vec<(RowKey, Mac)>),
}

const INNER: u8 = 1;
const LEAF: u8 = 2;

/// The most rows that a reader accepts in one leaf. A writer splits at [`BUCKET`].
const MOST: usize = 4096;
/// The most rows that a writer leaves in one leaf, unless their keys cannot be told apart.
pub const BUCKET: usize = 32;

impl Prefix {
    /// The root's slot.
    pub const ROOT: Prefix = Prefix { len: 0, bytes: [0; 32] };

    /// The first `len` nibbles of a key.
    pub(crate) fn of(key: &RowKey, len: usize) -> Prefix {
        debug_assert!(len <= 64);
        let mut bytes = [0; 32];
        bytes[..len.div_ceil(2)].copy_from_slice(&key.0[..len.div_ceil(2)]);
        if !len.is_multiple_of(2) {
            bytes[len / 2] &= 0xf0;
        }
        Prefix { len: len as u8, bytes }
    }

    /// How many nibbles.
    pub fn len(&self) -> usize {
        self.len.into()
    }

    /// Whether this is the root's slot.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a key begins with this.
    pub(crate) fn holds(&self, key: &RowKey) -> bool {
        Prefix::of(key, self.len()) == *self
    }

    /// Whether `other` begins with this.
    pub(crate) fn starts(&self, other: &Prefix) -> bool {
        self.len <= other.len && self.holds(&RowKey(other.bytes))
    }

    /// The smallest key that begins with this.
    pub(crate) fn first(&self) -> RowKey {
        RowKey(self.bytes)
    }

    /// The largest key that begins with this.
    pub(crate) fn last(&self) -> RowKey {
        let mut key = [0xff; 32];
        key[..self.len() / 2].copy_from_slice(&self.bytes[..self.len() / 2]);
        if !self.len().is_multiple_of(2) {
            key[self.len() / 2] = self.bytes[self.len() / 2] | 15;
        }
        RowKey(key)
    }

    /// This and one nibble more.
    pub(crate) fn child(&self, nibble: usize) -> Prefix {
        debug_assert!(self.len < 64 && nibble < 16);
        let mut child = *self;
        let at = self.len() / 2;
        child.bytes[at] |= if self.len().is_multiple_of(2) { (nibble as u8) << 4 } else { nibble as u8 };
        child.len += 1;
        child
    }

    /// How many nibbles two keys share.
    pub(crate) fn shared(a: &RowKey, b: &RowKey) -> usize {
        (0..64).find(|at| a.nibble(*at) != b.nibble(*at)).unwrap_or(64)
    }

    /// The key under which a node in this slot is stored: depth u8 ‖ the nibbles, the last byte filled with zero.
    pub fn storage_key(&self) -> Vec<u8> {
        let mut key = vec![self.len];
        key.extend(&self.bytes[..self.len().div_ceil(2)]);
        key
    }

    /// Reads a storage key.
    pub fn from_storage_key(key: &[u8]) -> Result<Prefix, Malformed> {
        let mut fields = Fields(key);
        let prefix = Prefix::decode(&mut fields)?;
        fields.end()?;
        Ok(prefix)
    }

    fn decode(fields: &mut Fields<'_>) -> Result<Prefix, Malformed> {
        let len = fields.u8()?;
        if len > 64 {
            return Err(Malformed("it is deeper than a key"));
        }
        let mut bytes = [0; 32];
        let held = usize::from(len).div_ceil(2);
        bytes[..held].copy_from_slice(fields.bytes(held)?);
        let prefix = Prefix { len, bytes };
        if Prefix::of(&RowKey(bytes), len.into()) != prefix {
            return Err(Malformed("its last half byte is not zero"));
        }
        Ok(prefix)
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (0..self.len()).try_for_each(|at| write!(f, "{:x}", RowKey(self.bytes).nibble(at)))?;
        f.write_str("*")
    }
}

impl Node {
    /// The bytes of this node in its slot.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Node::Inner { prefix, children } => {
                let mut out = vec![INNER];
                out.extend(prefix.storage_key());
                let bitmap =
                    children.iter().zip(0u16..).fold(0, |map, (child, bit)| map | u16::from(child.is_some()) << bit);
                out.extend(bitmap.to_be_bytes());
                children.iter().flatten().for_each(|mac| out.extend(mac));
                out
            }
            Node::Leaf(rows) => {
                let mut out = Vec::with_capacity(1 + rows.len() * 48);
                out.push(LEAF);
                for (key, mac) in rows {
                    out.extend(key.0);
                    out.extend(mac);
                }
                out
            }
        }
    }

    /// Reads the node of a slot.
    pub fn decode(slot: &Slot, bytes: &[u8]) -> Result<Node, Malformed> {
        let mut fields = Fields(bytes);
        match fields.u8()? {
            INNER => {
                let prefix = Prefix::decode(&mut fields)?;
                if prefix.len() > 63 || !slot.starts(&prefix) {
                    return Err(Malformed("its prefix does not belong to its slot"));
                }
                let bitmap = fields.u16()?;
                let mut children = Box::new([None; 16]);
                for (bit, child) in children.iter_mut().enumerate() {
                    if bitmap >> bit & 1 == 1 {
                        *child = Some(fields.array()?);
                    }
                }
                fields.end()?;
                Ok(Node::Inner { prefix, children })
            }
            LEAF => {
                if fields.0.is_empty() || fields.0.len() % 48 != 0 || fields.0.len() / 48 > MOST {
                    return Err(Malformed("it does not hold whole entries"));
                }
                let mut rows: Vec<(RowKey, Mac)> = Vec::with_capacity(fields.0.len() / 48);
                while !fields.0.is_empty() {
                    let (key, mac) = (RowKey(fields.array()?), fields.array()?);
                    if !slot.holds(&key) {
                        return Err(Malformed("a key does not belong to its slot"));
                    }
                    if rows.last().is_some_and(|(last, _)| *last >= key) {
                        return Err(Malformed("its keys are not in order"));
                    }
                    rows.push((key, mac));
                }
                Ok(Node::Leaf(rows))
            }
            _ => Err(Malformed("its kind is not known")),
        }
    }
}

/// The MAC that a parent holds: HMAC(index key, 'N' ‖ cluster ‖ depth u8 ‖ slot, filled to 32 ‖ node)[16].
pub fn mac(index: &HmacKey, cluster: &[u8; 16], slot: &Slot, node: &[u8]) -> Mac {
    index.sign16(&[domain::NODE, cluster, &[slot.len], &slot.bytes, node])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nodes_round_trip() {
        let slot = Prefix::of(&RowKey([0xab; 32]), 3);
        let mut children = Box::new([None; 16]);
        children[0] = Some([1; 16]);
        children[15] = Some([2; 16]);
        let inner = Node::Inner { prefix: Prefix::of(&RowKey([0xab; 32]), 5), children };
        assert_eq!(Node::decode(&slot, &inner.encode()), Ok(inner));
        let leaf = Node::Leaf(vec![(RowKey([0xab; 32]), [1; 16])]);
        assert_eq!(Node::decode(&slot, &leaf.encode()), Ok(leaf));
    }

    #[test]
    fn nodes_of_another_shape_are_refused() {
        let slot = Prefix::of(&RowKey([0xab; 32]), 3);
        let leaf = |rows: &[[u8; 32]]| Node::Leaf(rows.iter().map(|key| (RowKey(*key), [1; 16])).collect()).encode();
        let inner = |key, len| {
            Node::Inner { prefix: Prefix::of(&RowKey([key; 32]), len), children: Box::new([None; 16]) }.encode()
        };
        for (bytes, what) in [
            (vec![], "too short"),
            (vec![9], "kind"),
            (vec![LEAF], "whole entries"),
            (leaf(&[[0xab; 32]])[..40].to_vec(), "whole entries"),
            (leaf(&[[0xab; 32], [0xab; 32]]), "in order"),
            (leaf(&[[0xcd; 32]]), "does not belong"),
            (inner(0xab, 2), "does not belong"),
            (inner(0xcd, 5), "does not belong"),
            (inner(0xab, 64), "does not belong"),
            (vec![INNER, 65], "deeper"),
            (vec![INNER, 3, 0xab, 0xaf, 0, 0], "half byte"),
            ([inner(0xab, 5), vec![0]].concat(), "follow its end"),
        ] {
            let error = Node::decode(&slot, &bytes).unwrap_err().to_string();
            assert!(error.contains(what), "{error:?} should say {what:?}");
        }
    }

    #[test]
    fn prefixes_know_their_keys() {
        let key = RowKey([0xab; 32]);
        let three = Prefix::of(&key, 3);
        assert_eq!(three.to_string(), "aba*");
        assert_eq!(three.child(11), Prefix::of(&key, 4));
        assert_eq!(three.first().0[..3], [0xab, 0xa0, 0]);
        assert_eq!(three.last().0[..3], [0xab, 0xaf, 0xff]);
        assert!(Prefix::ROOT.holds(&key) && three.holds(&key) && !three.holds(&RowKey([0xac; 32])));
        assert_eq!(Prefix::from_storage_key(&three.storage_key()), Ok(three));
        assert_eq!(Prefix::shared(&key, &key), 64);
        assert_eq!(Prefix::shared(&RowKey([0xab; 32]), &RowKey([0xac; 32])), 1);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), kind in 1u8..3) {
            let _ = Prefix::from_storage_key(&bytes);
            if let Ok(node) = Node::decode(&Prefix::ROOT, &bytes) {
                prop_assert_eq!(node.encode(), bytes.clone());
            }
            let bytes = [vec![kind], bytes].concat();
            if let Ok(node) = Node::decode(&Prefix::ROOT, &bytes) {
                prop_assert_eq!(node.encode(), bytes);
            }
        }
    }
}
