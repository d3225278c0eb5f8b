//! Ed25519 (RFC 8032).

use super::der;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};
use strongroom_mount::Error;
use strongroom_secret::SecretBytes;

/// A prepared key; the private half is absent where only the public one was imported.
pub(crate) struct Ed25519 {
    private: Option<Ed25519KeyPair>,
    public: ParsedPublicKey,
}

/// A new seed and its public key, 32 bytes each.
pub(crate) fn generate() -> Result<(SecretBytes, Vec<u8>), Error> {
    let seed = SecretBytes::random(32).map_err(Error::us)?;
    let public = public_of(&seed)?;
    Ok((seed, public))
}

/// The public key of a 32-byte seed.
pub(crate) fn public_of(seed: &SecretBytes) -> Result<Vec<u8>, Error> {
    Ok(pair(seed)?.public_key().as_ref().to_vec())
}

fn pair(seed: &SecretBytes) -> Result<Ed25519KeyPair, Error> {
    if seed.len() != 32 {
        return Err(Error::us("an Ed25519 seed has 32 bytes"));
    }
    Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(Error::us)
}

/// Seed and public key from PKCS#8, version 1 or 2; `None` when it is something else.
pub(crate) fn import(pkcs8: &[u8]) -> Option<(SecretBytes, Vec<u8>)> {
    use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin};
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).ok()?;
    let seed = pair.seed().ok()?;
    let seed: Curve25519SeedBin<'_> = seed.as_be_bytes().ok()?;
    Some((SecretBytes::from_slice(seed.as_ref()), pair.public_key().as_ref().to_vec()))
}

/// A seed as PKCS#8 version 1 (RFC 8410).
pub(crate) fn pkcs8(seed: &SecretBytes) -> SecretBytes {
    const HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    SecretBytes::filled(HEAD.len() + seed.len(), |out| {
        out[..HEAD.len()].copy_from_slice(&HEAD);
        out[HEAD.len()..].copy_from_slice(seed.expose());
    })
}

/// The public key in a SubjectPublicKeyInfo.
pub(crate) fn import_public(spki: &[u8]) -> Option<Vec<u8>> {
    spki.strip_prefix(der::SPKI_ED25519).filter(|key| ParsedPublicKey::new(&ED25519, key).is_ok()).map(<[u8]>::to_vec)
}

impl Ed25519 {
    pub(crate) fn new(seed: Option<&SecretBytes>, public: &[u8]) -> Result<Ed25519, Error> {
        let private = seed.map(pair).transpose()?;
        if private.as_ref().is_some_and(|pair| pair.public_key().as_ref() != public) {
            return Err(Error::us("an Ed25519 public key is not its seed's"));
        }
        Ok(Ed25519 { private, public: ParsedPublicKey::new(&ED25519, public).map_err(Error::us)? })
    }

    /// Signs; `None` without a private half.
    pub(crate) fn sign(&self, input: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let Some(pair) = &self.private else { return Ok(None) };
        Ok(Some(pair.try_sign(input).map_err(Error::us)?.as_ref().to_vec()))
    }

    /// Whether it is a signature of the message.
    pub(crate) fn verify(&self, input: &[u8], signed: &[u8]) -> bool {
        self.public.verify_sig(input, signed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_that_do_not_belong_together_are_refused() {
        let (seed, public) = generate().unwrap();
        let key = Ed25519::new(Some(&seed), &public).unwrap();
        let signed = key.sign(b"text").unwrap().unwrap();
        assert!(key.verify(b"text", &signed) && !key.verify(b"tex", &signed));
        let alone = Ed25519::new(None, &public).unwrap();
        assert!(alone.verify(b"text", &signed) && alone.sign(b"text").unwrap().is_none());
        assert!(import(pkcs8(&seed).expose()).unwrap().0.same_as(seed.expose()));
        assert!(Ed25519::new(Some(&seed), &generate().unwrap().1).is_err());
        assert!(Ed25519::new(Some(&SecretBytes::from_slice(&[1; 33])), &public).is_err());
        assert!(import(b"not a key").is_none() && import_public(b"not a key").is_none());
    }
}
