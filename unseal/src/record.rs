//! The frame of every stored record: `version u8 ‖ tag u8 ‖ body ‖ checksum 16`, integers big-endian.
//!
//! The checksum is the first half of SHA-256 over everything before it. It is no defence: it makes damage be named by
//! row before anything else looks at the row. What defends is the AAD, the commitments and the store's head.

use crate::Error;
use strongroom_secret::digest::sha256;

const CHECKSUM_BYTES: usize = 16;

/// Which record it is, so that none is read as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Tag {
    Tree = b'T',
    Keyslot = b'K',
    Shares = b'S',
    Recovery = b'R',
    CatchUp = b'C',
    Envelope = b'E',
}

/// A record being written.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new(version: u8, tag: Tag) -> Self {
        Writer(vec![version, tag as u8])
    }

    /// A record of secrets: with room for `room` bytes from the start, so that none is left behind by a reallocation.
    pub(crate) fn with_room(version: u8, tag: Tag, room: usize) -> Self {
        let mut bytes = Vec::with_capacity(room);
        bytes.extend([version, tag as u8]);
        Writer(bytes)
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.raw(&[value])
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn i64(&mut self, value: i64) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend(bytes);
        self
    }

    /// Length u8, then the bytes. The callers' types keep them below 256.
    pub(crate) fn short(&mut self, bytes: &[u8]) -> &mut Self {
        debug_assert!(bytes.len() < 256);
        self.u8(bytes.len() as u8).raw(bytes)
    }

    /// Length u16, then the bytes. The callers keep them below 65,536.
    pub(crate) fn long(&mut self, bytes: &[u8]) -> &mut Self {
        debug_assert!(bytes.len() < 65_536);
        self.u16(bytes.len() as u16).raw(bytes)
    }

    /// What has been written so far, without the checksum.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let checksum = sha256(&[&self.0]);
        self.0.extend(&checksum[..CHECKSUM_BYTES]);
        self.0
    }
}

/// A record being read. Every length is checked before it is used.
pub(crate) struct Reader<'a> {
    row: &'a str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Checks checksum, tag and version (1 to `known`) of the row named `row`.
    pub(crate) fn new(row: &'a str, bytes: &'a [u8], tag: Tag, known: u8) -> Result<Self, Error> {
        let damaged = |reason| Error::Damaged { row: row.to_owned(), reason };
        let Some((body, checksum)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
            return Err(damaged("it is shorter than any record"));
        };
        if sha256(&[body])[..CHECKSUM_BYTES] != checksum[..] {
            return Err(damaged("its checksum does not hold"));
        }
        match body {
            [_, found, ..] if *found != tag as u8 => Err(damaged("it is a record of another kind")),
            [0, ..] => Err(damaged("format 0 has never been written")),
            [found, ..] if *found > known => Err(Error::Newer { row: row.to_owned(), found: *found, known }),
            [_, _, rest @ ..] => Ok(Reader { row, rest }),
            _ => Err(damaged("it is shorter than any record")),
        }
    }

    pub(crate) fn damaged(&self, reason: &'static str) -> Error {
        Error::Damaged { row: self.row.to_owned(), reason }
    }

    pub(crate) fn raw(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let Some((bytes, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.damaged("it ends in the middle of a field"));
        };
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        // `raw` gives exactly N bytes.
        Ok(self.raw(N)?.try_into().expect("N bytes"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Error> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Error> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn short(&mut self) -> Result<&'a [u8], Error> {
        let len = self.u8()?;
        self.raw(usize::from(len))
    }

    pub(crate) fn long(&mut self) -> Result<&'a [u8], Error> {
        let len = self.u16()?;
        self.raw(usize::from(len))
    }

    /// A short run of bytes that must be text.
    pub(crate) fn text(&mut self) -> Result<String, Error> {
        let bytes = self.short()?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| self.damaged("a name is not UTF-8"))
    }

    pub(crate) fn finish(self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.damaged("bytes follow its end")) }
    }
}
