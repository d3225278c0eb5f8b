//! The catch-up record: one generation's root key leads on to the next one's, for a leaf that was away when the root was
//! rotated (`docs/formats/catch-up.md`). It is bounded in age, and it is never written where the rotation was to shut
//! somebody out.

use crate::Error;
use crate::header::Header;
use crate::record::{Reader, Tag, Writer};
use crate::rows::{self, Row, Rows};
use std::time::Duration;
use strongroom_secret::aead::AeadKey;
use strongroom_secret::digest::sha256;
use strongroom_secret::key::RootKey;

const VERSION: u8 = 1;
const KEY: &[u8] = b"strongroom catch-up 1";

/// How long a record may be followed where nobody says otherwise.
pub const DEFAULT_AGE: Duration = Duration::from_secs(30 * 86_400);
/// The longest age that can be asked for, and that is believed when it is read.
pub const MAX_AGE: Duration = Duration::from_secs(366 * 86_400);
/// How far a clock may be behind the one that wrote the record.
const SKEW: i64 = 3_600;

/// A stored catch-up record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatchUp {
    cluster: [u8; 16],
    from: u32,
    to: u32,
    made: i64,
    expires: i64,
    sealed: Vec<u8>,
}

impl CatchUp {
    /// Seals `to` under `from`, to be followed until `age` after `now` (seconds since 1970).
    pub(crate) fn new(
        cluster: [u8; 16],
        from: (u32, &RootKey),
        to: (u32, &RootKey),
        now: i64,
        age: Duration,
    ) -> Result<Self, Error> {
        // At most MAX_AGE seconds.
        let age = age.min(MAX_AGE).as_secs() as i64;
        let expires = now.saturating_add(age);
        let mut record = CatchUp { cluster, from: from.0, to: to.0, made: now, expires, sealed: Vec::new() };
        let aad = record.aad();
        key(from.1)
            .seal(&aad, to.1.expose(), &mut record.sealed)
            .map_err(|_| Error::Module("a catch-up record was not sealed"))?;
        Ok(record)
    }

    /// The root key that it leads to, if it is neither too old nor from a time to come.
    pub(crate) fn follow(&self, root: &RootKey, next: &Header, now: i64) -> Result<RootKey, Error> {
        let refuse = |reason: String| Err(Error::CatchUp { from: self.from, reason });
        if now.saturating_add(SKEW) < self.made {
            return refuse(format!("it was made at {}, and the clock says {now}: set the clock", self.made));
        }
        if now > self.expires || self.expires.saturating_sub(self.made) > MAX_AGE.as_secs() as i64 {
            return refuse(format!(
                "it could be followed until {}, and it is {now}; unseal with another leaf",
                self.expires
            ));
        }
        let opened = key(root).open(&self.aad(), &self.sealed).ok();
        match opened.and_then(|candidate| next.check(&candidate)) {
            Some(next) => Ok(next),
            None => {
                Err(Error::Damaged { row: rows::catch_up(self.from), reason: "it does not open with the root key" })
            }
        }
    }

    /// version 1 ‖ `C` ‖ cluster 16 ‖ from u32 ‖ to u32 ‖ made i64 ‖ expires i64 ‖ sealed length u16 ‖ sealed ‖ checksum.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.write();
        out.long(&self.sealed);
        out.finish()
    }

    /// Reads what [`CatchUp::encode`] wrote. `row` is its name, for errors.
    pub fn decode(row: &str, bytes: &[u8]) -> Result<Self, Error> {
        let mut from = Reader::new(row, bytes, Tag::CatchUp, VERSION)?;
        let cluster = from.array()?;
        let (first, to, made, expires) = (from.u32()?, from.u32()?, from.i64()?, from.i64()?);
        let sealed = from.long()?.to_vec();
        if to <= first {
            return Err(from.damaged("it does not lead on"));
        }
        from.finish()?;
        Ok(CatchUp { cluster, from: first, to, made, expires, sealed })
    }

    /// The record that leads on from `generation`, if there is one.
    pub(crate) fn of(rows: &Rows, cluster: [u8; 16], generation: u32) -> Result<Option<Self>, Error> {
        let row = rows::catch_up(generation);
        let Some(bytes) = rows.get(&row) else { return Ok(None) };
        let record = CatchUp::decode(&row, bytes)?;
        if record.cluster != cluster || record.from != generation {
            return Err(Error::Damaged { row, reason: "it belongs to another place" });
        }
        Ok(Some(record))
    }

    /// The generation it leads to.
    pub fn to(&self) -> u32 {
        self.to
    }

    /// The last second, since 1970, in which it is followed.
    pub fn expires(&self) -> i64 {
        self.expires
    }

    pub(crate) fn row(&self) -> Row {
        Row { name: rows::catch_up(self.from), bytes: self.encode() }
    }

    fn write(&self) -> Writer {
        let mut out = Writer::new(VERSION, Tag::CatchUp);
        out.raw(&self.cluster).u32(self.from).u32(self.to).i64(self.made).i64(self.expires);
        out
    }

    /// SHA-256 over a label and every byte before the sealed key.
    fn aad(&self) -> [u8; 32] {
        sha256(&[KEY, self.write().as_bytes()])
    }
}

fn key(root: &RootKey) -> AeadKey {
    // `derived` gives 32 bytes.
    AeadKey::new(rows::derived(root.expose(), KEY, &[]).expose().try_into().expect("32 bytes"))
}
