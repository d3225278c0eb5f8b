//! What is stored of a secret that was dealt in shares: who holds which, and how to tell each alone
//! (`docs/formats/share.md`). The secret is not in it, and no share.

use crate::quorum::{Judge, SECRET_BYTES, Verdict};
use crate::record::{Reader, Tag, Writer};
use crate::tree::QuorumShape;
use crate::{Error, rows, share};
use strongroom_secret::{SecretBytes, random};

const SHARE: &[u8] = b"strongroom share commitment 1";
const SECRET: &[u8] = b"strongroom dealt secret commitment 1";

/// Where a set of shares belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Belongs {
    /// The cluster's id.
    pub cluster: [u8; 16],
    /// The generation in which the set was dealt.
    pub generation: u32,
    /// The leaf's name; empty for recovery keys.
    pub leaf: String,
}

/// One share, as far as it is not secret.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Dealt {
    /// Its x; zero where one share of one is the secret itself.
    x: u8,
    holder: String,
    commitment: [u8; 32],
}

/// A dealt set of shares. Every check of a share is an HMAC keyed by the share: who has the store and all shares but one
/// still faces 256 unknown bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareSet {
    belongs: Belongs,
    shape: QuorumShape,
    salt: [u8; 16],
    dealt: Vec<Dealt>,
    commitment: [u8; 32],
}

impl ShareSet {
    /// Deals `secret` to `holders`, one share each in their order: 33 bytes, or 32 where it is one share of one.
    pub(crate) fn deal(
        belongs: Belongs,
        threshold: u8,
        holders: &[String],
        secret: &SecretBytes,
    ) -> Result<(Self, Vec<SecretBytes>), Error> {
        let count = u8::try_from(holders.len())
            .map_err(|_| Error::Shape("invalid seal configuration: shares must be less than 256"))?;
        let shape = QuorumShape::new(threshold, count)?;
        if holders.iter().any(|holder| holder.len() > 255) {
            return Err(Error::Shape("the name of a holder is longer than 255 bytes"));
        }
        let persons: std::collections::BTreeSet<&String> = holders.iter().collect();
        if persons.len() < usize::from(threshold) {
            return Err(Error::Shape("fewer persons hold a share than the threshold asks for, and each counts once"));
        }
        let shares = split(secret, shape)?;
        let salt = random::array()?;
        let mut set = ShareSet { belongs, shape, salt, dealt: Vec::new(), commitment: [0; 32] };
        for (holder, share) in holders.iter().zip(&shares) {
            let x = share.expose().get(SECRET_BYTES).copied().unwrap_or(0);
            let mut dealt = Dealt { x, holder: holder.clone(), commitment: [0; 32] };
            dealt.commitment = set.share_commitment(set.dealt.len(), &dealt, share.expose());
            set.dealt.push(dealt);
        }
        set.commitment = set.secret_commitment(secret);
        Ok((set, shares))
    }

    /// Where the set belongs.
    pub fn belongs(&self) -> &Belongs {
        &self.belongs
    }

    /// Shares and threshold.
    pub fn shape(&self) -> QuorumShape {
        self.shape
    }

    /// Who holds the share with this number, from 0.
    pub fn holder(&self, share: u8) -> Option<&str> {
        self.dealt.get(usize::from(share)).map(|dealt| dealt.holder.as_str())
    }

    /// Whether `secret` is what was dealt.
    pub(crate) fn is_of(&self, secret: &SecretBytes) -> bool {
        SecretBytes::from_slice(&self.secret_commitment(secret)).same_as(&self.commitment)
    }

    /// cluster 16 ‖ generation u32 ‖ leaf ‖ threshold u8 ‖ shares u8 ‖ salt 16 ‖ { x u8 ‖ holder ‖ commitment 32 }… ‖
    /// commitment to the secret 32.
    pub(crate) fn write(&self, out: &mut Writer) {
        self.write_shares(out);
        out.raw(&self.commitment);
    }

    /// Reads what [`ShareSet::write`] wrote.
    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        let belongs = Belongs { cluster: from.array()?, generation: from.u32()?, leaf: from.text()? };
        let (threshold, count) = (from.u8()?, from.u8()?);
        let shape = QuorumShape::new(threshold, count).map_err(|_| from.damaged("a quorum cannot be met"))?;
        let salt = from.array()?;
        let mut dealt: Vec<Dealt> = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let next = Dealt { x: from.u8()?, holder: from.text()?, commitment: from.array()? };
            if (next.x == 0) != (count == 1) || dealt.iter().any(|other| other.x == next.x) {
                return Err(from.damaged("the points of its shares are not distinct"));
            }
            dealt.push(next);
        }
        Ok(ShareSet { belongs, shape, salt, dealt, commitment: from.array()? })
    }

    fn write_shares(&self, out: &mut Writer) {
        out.raw(&self.belongs.cluster).u32(self.belongs.generation).short(self.belongs.leaf.as_bytes());
        out.u8(self.shape.threshold()).u8(self.shape.shares()).raw(&self.salt);
        for dealt in &self.dealt {
            out.u8(dealt.x).short(dealt.holder.as_bytes()).raw(&dealt.commitment);
        }
    }

    /// KDF(share, label, cluster ‖ generation ‖ leaf ‖ salt ‖ number ‖ x ‖ holder).
    fn share_commitment(&self, number: usize, dealt: &Dealt, share: &[u8]) -> [u8; 32] {
        let belongs = &self.belongs;
        rows::commitment(
            share,
            SHARE,
            &[
                &belongs.cluster,
                &belongs.generation.to_be_bytes(),
                &[belongs.leaf.len() as u8],
                belongs.leaf.as_bytes(),
                &self.salt,
                &[number as u8, dealt.x],
                dealt.holder.as_bytes(),
            ],
        )
    }

    /// KDF(secret, label, everything of the set before it): a changed threshold or commitment shows here at the latest.
    fn secret_commitment(&self, secret: &SecretBytes) -> [u8; 32] {
        let mut written = Writer::new(0, Tag::Shares);
        self.write_shares(&mut written);
        rows::commitment(secret.expose(), SECRET, &[written.as_bytes()])
    }

    fn is_share(&self, number: usize, share: &[u8]) -> bool {
        let dealt = &self.dealt[number];
        let met = SecretBytes::from_slice(&self.share_commitment(number, dealt, share));
        met.same_as(&dealt.commitment)
    }

    /// The number that persons have among the holders: the first share of the same name.
    fn person(&self, number: usize) -> u8 {
        let holder = &self.dealt[number].holder;
        // At most 255 shares.
        self.dealt.iter().position(|dealt| dealt.holder == *holder).unwrap_or(number) as u8
    }
}

impl Judge for ShareSet {
    fn judge(&self, share: &[u8]) -> Verdict {
        let generation = self.belongs.generation;
        let length = if self.dealt.len() == 1 { SECRET_BYTES } else { SECRET_BYTES + 1 };
        if share.len() != length {
            return Verdict::Unknown;
        }
        let x = share.get(SECRET_BYTES).copied().unwrap_or(0);
        let claimed = self.dealt.iter().position(|dealt| dealt.x == x);
        if let Some(number) = claimed.filter(|number| self.is_share(*number, share)) {
            return Verdict::Whole { share: number as u8, holder: self.person(number), generation };
        }
        // A damaged x: the y is somebody's, under the x that belongs to it.
        let whole_y = (0..self.dealt.len()).find(|number| {
            let restored = SecretBytes::filled(length, |bytes| {
                bytes.copy_from_slice(share);
                if let Some(last) = bytes.get_mut(SECRET_BYTES) {
                    *last = self.dealt[*number].x;
                }
            });
            self.is_share(*number, restored.expose())
        });
        match whole_y.or(claimed) {
            Some(number) => Verdict::Damaged { share: number as u8 },
            None => Verdict::Unknown,
        }
    }
}

/// The shares in Vault's layout, at random distinct points; one share of one is the secret.
fn split(secret: &SecretBytes, shape: QuorumShape) -> Result<Vec<SecretBytes>, Error> {
    if shape.shares() == 1 {
        return Ok(vec![SecretBytes::from_slice(secret.expose())]);
    }
    let points = share::random_points(&mut random::fill)?;
    let points = &points[..usize::from(shape.shares())];
    let stride = secret.len() + 1;
    let mut result = Ok(());
    let all = SecretBytes::filled(points.len() * stride, |out| {
        result = share::split(secret.expose(), shape.threshold(), points, &mut random::fill, out);
    });
    result.map_err(|_| Error::Random)?;
    Ok(all.expose().chunks_exact(stride).map(SecretBytes::from_slice).collect())
}
