//! The stored bytes, as `docs/formats/` lays them out: encoders, and decoders that trust nothing.
//!
//! Every integer is big-endian. Decoders check lengths before they read, take exactly the bytes that there are, and never
//! panic; what they return has the right shape, no more: who made it is shown by a MAC or by the sealing.

#[cfg(test)]
mod examples;
#[cfg(feature = "faults")]
pub mod forge;
pub mod head;
pub mod journal;
pub mod keyring;
pub mod names;
pub mod node;
pub mod register;
pub mod row;
mod words;

pub use words::words;

/// Bytes that do not have the shape they should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// The first half of an HMAC-SHA256.
pub type Mac = [u8; 16];

/// What a MAC under the index key is over: the first byte of what is hashed.
pub(crate) mod domain {
    pub(crate) const ROW: &[u8] = b"R";
    pub(crate) const NODE: &[u8] = b"N";
    pub(crate) const PAGE: &[u8] = b"J";
    pub(crate) const CLEAR_ROW: &[u8] = b"C";
    pub(crate) const REGISTER: &[u8] = b"G";
}

/// Takes fields off the front of bytes that nobody vouches for.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn bytes(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(Malformed("it is too short"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        // `bytes` gives exactly N.
        Ok(self.bytes(N)?.try_into().expect("N bytes were taken"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Malformed> {
        self.array().map(i64::from_be_bytes)
    }

    /// The end: nothing may follow.
    pub(crate) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("bytes follow its end")) }
    }

    /// The end, but for padding.
    pub(crate) fn zeros(self) -> Result<(), Malformed> {
        if self.0.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(Malformed("its padding is not zero")) }
    }
}
