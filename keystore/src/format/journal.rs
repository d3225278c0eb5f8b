//! A page of the journal in front of the index (`docs/formats/journal.md`).

use super::names::RowKey;
use super::{Fields, Mac, Malformed, domain};
use strongroom_secret::mac::HmacKey;

/// One change of the index: the row's new MAC, or `None` for a row that was deleted.
pub type Entry = (RowKey, Option<Mac>);

/// Bytes of an entry.
const ENTRY: usize = 32 + 1 + 16;
/// Bytes before the entries.
const HEADER: usize = 1 + 16;
/// The most entries of a page: it stays below 3,900 bytes, so that it lies alone in a 4 KiB page of the embedded engine.
pub const ENTRIES: usize = (3900 - HEADER) / ENTRY;
const FORMAT: u8 = 1;

/// A page of the journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// The MAC of the page before; of the first page ever, zero.
    pub previous: Mac,
    /// Changes in the order in which they were committed.
    pub entries: Vec<Entry>,
}

impl Page {
    /// The page's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + self.entries.len() * ENTRY);
        out.push(FORMAT);
        out.extend(self.previous);
        for (key, mac) in &self.entries {
            out.extend(key.0);
            out.push(mac.is_some().into());
            out.extend(mac.unwrap_or_default());
        }
        out
    }

    /// Reads a page.
    pub fn decode(bytes: &[u8]) -> Result<Page, Malformed> {
        let mut fields = Fields(bytes);
        if fields.u8()? != FORMAT {
            return Err(Malformed("its format is not known"));
        }
        let previous = fields.array()?;
        if fields.0.len() % ENTRY != 0 || fields.0.len() / ENTRY > ENTRIES {
            return Err(Malformed("it does not hold whole entries"));
        }
        let mut entries = Vec::with_capacity(fields.0.len() / ENTRY);
        while !fields.0.is_empty() {
            let (key, live, mac) = (RowKey(fields.array()?), fields.u8()?, fields.array()?);
            entries.push(match (live, mac) {
                (1, mac) => (key, Some(mac)),
                (0, mac) if mac == [0; 16] => (key, None),
                _ => return Err(Malformed("an entry is neither live nor dead")),
            });
        }
        Ok(Page { previous, entries })
    }
}

/// The key under which a page is stored.
pub fn storage_key(page: u64) -> [u8; 8] {
    page.to_be_bytes()
}

/// The MAC that the next page, or the head, holds: HMAC(index key, 'J' ‖ cluster ‖ page u64 ‖ bytes)[16].
pub fn mac(index: &HmacKey, cluster: &[u8; 16], page: u64, bytes: &[u8]) -> Mac {
    index.sign16(&[domain::PAGE, cluster, &page.to_be_bytes(), bytes])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_full_page_round_trips_and_a_fuller_one_is_refused() {
        let mut page = Page { previous: [3; 16], entries: vec![(RowKey([1; 32]), Some([2; 16])); ENTRIES] };
        page.entries[5].1 = None;
        assert!(page.encode().len() <= 3900);
        assert_eq!(Page::decode(&page.encode()), Ok(page.clone()));
        page.entries.push((RowKey([1; 32]), None));
        assert!(Page::decode(&page.encode()).is_err());
    }

    #[test]
    fn pages_of_another_shape_are_refused() {
        let page = Page { previous: [3; 16], entries: vec![(RowKey([1; 32]), None)] }.encode();
        for at in [0, 49] {
            let mut other = page.clone();
            other[at] ^= 2;
            assert!(Page::decode(&other).is_err(), "byte {at}");
        }
        let mut dead = page.clone();
        dead[60] = 1;
        assert!(Page::decode(&dead).is_err(), "a deleted row has no MAC");
        for len in (0..page.len()).filter(|len| *len != HEADER) {
            assert!(Page::decode(&page[..len]).is_err(), "{len} bytes");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for bytes in [bytes.clone(), [vec![FORMAT], bytes].concat()] {
                if let Ok(page) = Page::decode(&bytes) {
                    prop_assert_eq!(page.encode(), bytes);
                }
            }
        }
    }
}
