//! ECDSA (FIPS 186-5) on three curves with every hash that clients ask for.

use super::der;
use super::hash::Hash;
use super::key_type::KeyType;
use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::{AsBigEndian, AsDer, EcPrivateKeyRfc5915Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, KeyPair, ParsedPublicKey,
};
use strongroom_mount::Error;
use strongroom_secret::SecretBytes;

/// How a signature is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Marshaling {
    /// SEQUENCE of two INTEGERs.
    Asn1,
    /// r ‖ s, each as long as the curve's order.
    Jws,
}

/// What belongs to one curve. Its algorithms name the curve's own hash; see [`fit`] for the others.
struct Curve {
    signing: &'static EcdsaSigningAlgorithm,
    asn1: &'static EcdsaVerificationAlgorithm,
    fixed: &'static EcdsaVerificationAlgorithm,
    digest: &'static digest::Algorithm,
    hash: Hash,
    scalar_len: usize,
    spki: &'static [u8],
}

static P256: Curve = Curve {
    signing: &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
    asn1: &signature::ECDSA_P256_SHA256_ASN1,
    fixed: &signature::ECDSA_P256_SHA256_FIXED,
    digest: &digest::SHA256,
    hash: Hash::Sha256,
    scalar_len: 32,
    spki: der::SPKI_P256,
};
static P384: Curve = Curve {
    signing: &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
    asn1: &signature::ECDSA_P384_SHA384_ASN1,
    fixed: &signature::ECDSA_P384_SHA384_FIXED,
    digest: &digest::SHA384,
    hash: Hash::Sha384,
    scalar_len: 48,
    spki: der::SPKI_P384,
};
static P521: Curve = Curve {
    signing: &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
    asn1: &signature::ECDSA_P521_SHA512_ASN1,
    fixed: &signature::ECDSA_P521_SHA512_FIXED,
    digest: &digest::SHA512,
    hash: Hash::Sha512,
    scalar_len: 66,
    spki: der::SPKI_P521,
};

fn curve(kind: KeyType) -> Result<&'static Curve, Error> {
    match kind {
        KeyType::P256 => Ok(&P256),
        KeyType::P384 => Ok(&P384),
        KeyType::P521 => Ok(&P521),
        other => Err(Error::us(format_args!("{} has no curve", other.name()))),
    }
}

/// A prepared key; the private half is absent where only the public one was imported.
pub(crate) struct Ecdsa {
    curve: &'static Curve,
    private: Option<EcdsaKeyPair>,
    asn1: ParsedPublicKey,
    fixed: ParsedPublicKey,
}

/// A new private scalar, and its public point uncompressed.
pub(crate) fn generate(kind: KeyType) -> Result<(SecretBytes, Vec<u8>), Error> {
    halves(&EcdsaKeyPair::generate(curve(kind)?.signing).map_err(Error::us)?)
}

/// The same from PKCS#8 or RFC 5915; `None` when it is another curve's or not a key.
pub(crate) fn import(kind: KeyType, der: &[u8]) -> Result<Option<(SecretBytes, Vec<u8>)>, Error> {
    let pair = EcdsaKeyPair::from_private_key_der(curve(kind)?.signing, der);
    pair.ok().map(|pair| halves(&pair)).transpose()
}

fn halves(pair: &EcdsaKeyPair) -> Result<(SecretBytes, Vec<u8>), Error> {
    let scalar = pair.private_key().as_be_bytes().map_err(Error::us)?;
    Ok((SecretBytes::from_slice(scalar.as_ref()), pair.public_key().as_ref().to_vec()))
}

/// The public point in a SubjectPublicKeyInfo; `None` when it is another curve's or no point of it.
pub(crate) fn import_public(kind: KeyType, spki: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let curve = curve(kind)?;
    let point = spki.strip_prefix(curve.spki).filter(|point| point.first() == Some(&4));
    Ok(point.filter(|point| ParsedPublicKey::new(curve.asn1, point).is_ok()).map(<[u8]>::to_vec))
}

/// The SubjectPublicKeyInfo of a public point.
pub(crate) fn spki(kind: KeyType, point: &[u8]) -> Result<Vec<u8>, Error> {
    Ok([curve(kind)?.spki, point].concat())
}

/// The length of a private scalar in bytes.
pub(crate) fn scalar_len(kind: KeyType) -> Result<usize, Error> {
    Ok(curve(kind)?.scalar_len)
}

impl Ecdsa {
    pub(crate) fn new(kind: KeyType, scalar: Option<&SecretBytes>, point: &[u8]) -> Result<Ecdsa, Error> {
        let curve = curve(kind)?;
        let pair =
            |scalar: &SecretBytes| EcdsaKeyPair::from_private_key_and_public_key(curve.signing, scalar.expose(), point);
        Ok(Ecdsa {
            curve,
            private: scalar.map(pair).transpose().map_err(Error::us)?,
            asn1: ParsedPublicKey::new(curve.asn1, point).map_err(Error::us)?,
            fixed: ParsedPublicKey::new(curve.fixed, point).map_err(Error::us)?,
        })
    }

    /// Signs the message, or its hash where `prehashed`. `None` without a private half.
    pub(crate) fn sign(
        &self,
        hash: Hash,
        prehashed: bool,
        input: &[u8],
        marshaling: Marshaling,
    ) -> Result<Option<Vec<u8>>, Error> {
        let Some(pair) = &self.private else { return Ok(None) };
        let signed = if hash == self.curve.hash && !prehashed {
            pair.sign(&SystemRandom::new(), input)
        } else {
            pair.sign_digest(&self.fit(hash, prehashed, input)?)
        };
        let signed = signed.map_err(Error::us)?;
        match marshaling {
            Marshaling::Asn1 => Ok(Some(signed.as_ref().to_vec())),
            // The module wrote it a moment ago.
            Marshaling::Jws => Ok(Some(
                fixed(signed.as_ref(), self.curve.scalar_len)
                    .ok_or_else(|| Error::us("the module wrote a signature that is not a SEQUENCE of two INTEGERs"))?,
            )),
        }
    }

    /// Whether it is a signature of the message, or of its hash where `prehashed`.
    pub(crate) fn verify(
        &self,
        hash: Hash,
        prehashed: bool,
        input: &[u8],
        signed: &[u8],
        marshaling: Marshaling,
    ) -> Result<bool, Error> {
        let key = if marshaling == Marshaling::Asn1 { &self.asn1 } else { &self.fixed };
        if hash == self.curve.hash && !prehashed {
            return Ok(key.verify_sig(input, signed).is_ok());
        }
        Ok(key.verify_digest_sig(&self.fit(hash, prehashed, input)?, signed).is_ok())
    }

    /// The private key as ECPrivateKey (RFC 5915) with parameters and public key; `None` without a private half.
    pub(crate) fn private_der(&self) -> Result<Option<SecretBytes>, Error> {
        let Some(pair) = &self.private else { return Ok(None) };
        let der: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().map_err(Error::us)?;
        Ok(Some(SecretBytes::from_slice(der.as_ref())))
    }

    /// The private key as PKCS#8; `None` without a private half.
    pub(crate) fn pkcs8(&self) -> Result<Option<SecretBytes>, Error> {
        let Some(pair) = &self.private else { return Ok(None) };
        let der = pair.to_pkcs8v1().map_err(Error::us)?;
        Ok(Some(SecretBytes::from_slice(der.as_ref())))
    }

    /// The hash as the curve's own one. ECDSA takes the leftmost bits of a longer hash and the number that a shorter one
    /// is (FIPS 186-5 6.4.1), so cutting on the right or filling with zeros on the left changes nothing.
    fn fit(&self, hash: Hash, prehashed: bool, input: &[u8]) -> Result<Digest, Error> {
        let hashed = if prehashed { input.to_vec() } else { hash.digest(input) };
        let len = self.curve.digest.output_len();
        let mut fitted = vec![0; len.saturating_sub(hashed.len())];
        fitted.extend_from_slice(&hashed[..hashed.len().min(len)]);
        Digest::import_less_safe(&fitted, self.curve.digest).map_err(Error::us)
    }
}

/// r ‖ s of an ASN.1 signature.
fn fixed(asn1: &[u8], len: usize) -> Option<Vec<u8>> {
    let (content, _) = der::read(asn1, der::SEQUENCE)?;
    let (r, rest) = der::read_integer(content)?;
    let (s, _) = der::read_integer(rest)?;
    let mut out = vec![0; 2 * len];
    out.get_mut(len.checked_sub(r.len())?..len)?.copy_from_slice(r);
    out.get_mut((2 * len).checked_sub(s.len())?..)?.copy_from_slice(s);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASHES: [Hash; 9] = [
        Hash::Sha1,
        Hash::Sha224,
        Hash::Sha256,
        Hash::Sha384,
        Hash::Sha512,
        Hash::Sha3_224,
        Hash::Sha3_256,
        Hash::Sha3_384,
        Hash::Sha3_512,
    ];

    #[test]
    fn every_curve_signs_with_every_hash_in_both_writings() {
        for kind in [KeyType::P256, KeyType::P384, KeyType::P521] {
            let (scalar, point) = generate(kind).unwrap();
            assert_eq!(scalar.len(), scalar_len(kind).unwrap());
            let key = Ecdsa::new(kind, Some(&scalar), &point).unwrap();
            for hash in HASHES {
                for marshaling in [Marshaling::Asn1, Marshaling::Jws] {
                    let signed = key.sign(hash, false, b"text", marshaling).unwrap().unwrap();
                    assert!(key.verify(hash, false, b"text", &signed, marshaling).unwrap());
                    assert!(key.verify(hash, true, &hash.digest(b"text"), &signed, marshaling).unwrap());
                    assert!(!key.verify(hash, false, b"tex", &signed, marshaling).unwrap());
                    let other = if marshaling == Marshaling::Asn1 { Marshaling::Jws } else { Marshaling::Asn1 };
                    assert!(!key.verify(hash, false, b"text", &signed, other).unwrap());
                }
            }
        }
    }

    #[test]
    fn keys_of_another_curve_are_refused() {
        let (scalar, point) = generate(KeyType::P256).unwrap();
        let key = Ecdsa::new(KeyType::P256, Some(&scalar), &point).unwrap();
        let der = key.private_der().unwrap().unwrap();
        assert_eq!(import(KeyType::P256, der.expose()).unwrap().unwrap().1, point);
        assert_eq!(import(KeyType::P256, key.pkcs8().unwrap().unwrap().expose()).unwrap().unwrap().1, point);
        assert!(import(KeyType::P384, der.expose()).unwrap().is_none());
        let spki = spki(KeyType::P256, &point).unwrap();
        assert_eq!(import_public(KeyType::P256, &spki).unwrap(), Some(point.clone()));
        assert_eq!(import_public(KeyType::P384, &spki).unwrap(), None);
        let mut off = spki.clone();
        *off.last_mut().unwrap() ^= 1;
        assert_eq!(import_public(KeyType::P256, &off).unwrap(), None, "not on the curve");
        assert!(Ecdsa::new(KeyType::P256, Some(&scalar), &generate(KeyType::P256).unwrap().1).is_err());
        assert!(generate(KeyType::Hmac).is_err());
    }

    #[test]
    fn a_public_half_verifies_and_does_not_sign() {
        let (scalar, point) = generate(KeyType::P256).unwrap();
        let whole = Ecdsa::new(KeyType::P256, Some(&scalar), &point).unwrap();
        let public = Ecdsa::new(KeyType::P256, None, &point).unwrap();
        let signed = whole.sign(Hash::Sha256, false, b"text", Marshaling::Asn1).unwrap().unwrap();
        assert!(public.verify(Hash::Sha256, false, b"text", &signed, Marshaling::Asn1).unwrap());
        assert!(public.sign(Hash::Sha256, false, b"text", Marshaling::Asn1).unwrap().is_none());
        assert!(public.private_der().unwrap().is_none());
    }
}
