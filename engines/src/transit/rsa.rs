//! RSA: OAEP and signatures by PSS and PKCS#1 v1.5 (RFC 8017), all in the module.

use super::der;
use super::hash::Hash;
use super::key_type::KeyType;
use aws_lc_rs::digest::Digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    KeyPair, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512, OaepAlgorithm,
    OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{
    self, KeyPair as _, RsaParameters, RsaPssSaltLength, RsaSignatureEncoding, VerificationAlgorithm,
};
use aws_lc_rs::{digest, rsa};
use std::sync::LazyLock;
use strongroom_mount::Error;
use strongroom_secret::SecretBytes;

/// How many bytes of salt a PSS signature has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Salt {
    /// As many as fit when signing; when verifying, as many as fit, as the hash has, 20 or none.
    Auto,
    /// As many as the hash has.
    Hash,
    /// So many.
    Length(u16),
}

/// A padding for signatures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Padding {
    Pss(Salt),
    Pkcs1,
}

/// Why a signature was not made, by the caller's fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// There is no private half.
    NoPrivateKey,
    /// The hash is not offered with RSA.
    Hash,
    /// So much salt does not fit.
    Salt,
    /// The input is not a hash of the right length.
    Length,
}

/// A prepared key; the private half is absent where only the public one was imported.
pub(crate) struct Rsa {
    private: Option<Private>,
    public: Vec<u8>,
    encrypting: OaepPublicEncryptingKey,
    bytes: usize,
}

struct Private {
    signing: KeyPair,
    decrypting: OaepPrivateDecryptingKey,
}

/// A new key in PKCS#8, and its RSAPublicKey. Takes up to seconds.
pub(crate) fn generate(size: rsa::KeySize) -> Result<(SecretBytes, Vec<u8>), Error> {
    halves(&KeyPair::generate(size).map_err(Error::us)?)
}

fn halves(pair: &KeyPair) -> Result<(SecretBytes, Vec<u8>), Error> {
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(Error::us)?;
    Ok((SecretBytes::from_slice(der.as_ref()), pair.public_key().as_ref().to_vec()))
}

/// The same from PKCS#8; `None` when it is not a key of this type's size.
pub(crate) fn import(kind: KeyType, pkcs8: &[u8]) -> Result<Option<(SecretBytes, Vec<u8>)>, Error> {
    let pair = KeyPair::from_pkcs8(pkcs8).ok();
    let pair = pair.filter(|pair| kind.rsa().is_some_and(|size| size.len() == pair.public_modulus_len()));
    pair.map(|pair| halves(&pair)).transpose()
}

/// The RSAPublicKey in a SubjectPublicKeyInfo; `None` when it is not a key of this type's size.
pub(crate) fn import_public(kind: KeyType, spki: &[u8]) -> Option<Vec<u8>> {
    let key = PublicEncryptingKey::from_der(spki).ok()?;
    (kind.rsa()?.len() == key.key_size_bytes()).then(|| der::rsa_of_spki(spki).map(<[u8]>::to_vec))?
}

/// OAEP by the name of its hash as key import has it; `None` for unknown names.
pub(crate) fn oaep(hash: &str) -> Option<&'static OaepAlgorithm> {
    match hash {
        "SHA1" => Some(&OAEP_SHA1_MGF1SHA1),
        "SHA256" => Some(&OAEP_SHA256_MGF1SHA256),
        "SHA384" => Some(&OAEP_SHA384_MGF1SHA384),
        "SHA512" => Some(&OAEP_SHA512_MGF1SHA512),
        _ => None,
    }
}

impl Rsa {
    pub(crate) fn new(pkcs8: Option<&SecretBytes>, public: &[u8]) -> Result<Rsa, Error> {
        let private = |pkcs8: &SecretBytes| {
            let decrypting = PrivateDecryptingKey::from_pkcs8(pkcs8.expose()).map_err(Error::us)?;
            Ok::<_, Error>(Private {
                signing: KeyPair::from_pkcs8(pkcs8.expose()).map_err(Error::us)?,
                decrypting: OaepPrivateDecryptingKey::new(decrypting).map_err(Error::us)?,
            })
        };
        let private = pkcs8.map(private).transpose()?;
        if private.as_ref().is_some_and(|key| key.signing.public_key().as_ref() != public) {
            return Err(Error::us("an RSA public key is not its private key's"));
        }
        let encrypting = PublicEncryptingKey::from_der(&der::spki_of_rsa(public)).map_err(Error::us)?;
        Ok(Rsa {
            private,
            public: public.to_vec(),
            bytes: encrypting.key_size_bytes(),
            encrypting: OaepPublicEncryptingKey::new(encrypting).map_err(Error::us)?,
        })
    }

    /// Encrypts with OAEP; `None` when the plaintext is too long.
    pub(crate) fn encrypt(&self, oaep: &'static OaepAlgorithm, plaintext: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        if plaintext.len() > self.encrypting.max_plaintext_size(oaep) {
            return Ok(None);
        }
        let mut out = vec![0; self.encrypting.ciphertext_size()];
        let len = self.encrypting.encrypt(oaep, plaintext, &mut out, None).map_err(Error::us)?.len();
        out.truncate(len);
        Ok(Some(out))
    }

    /// Decrypts what OAEP encrypted. One answer for whatever is wrong.
    pub(crate) fn decrypt(&self, oaep: &'static OaepAlgorithm, sealed: &[u8]) -> Option<SecretBytes> {
        let key = &self.private.as_ref()?.decrypting;
        if sealed.len() != key.key_size_bytes() {
            return None;
        }
        let mut out = zeroize::Zeroizing::new(vec![0; key.min_output_size()]);
        let opened = key.decrypt(oaep, sealed, &mut out, None).ok()?;
        Some(SecretBytes::from_slice(opened))
    }

    /// Whether it has a private half.
    pub(crate) fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// Signs the message, or its hash where `prehashed`.
    pub(crate) fn sign(
        &self,
        padding: Padding,
        hash: Hash,
        prehashed: bool,
        input: &[u8],
    ) -> Result<Result<Vec<u8>, Refusal>, Error> {
        let Some(private) = &self.private else { return Ok(Err(Refusal::NoPrivateKey)) };
        let scheme = match self.scheme(padding, hash) {
            Ok(scheme) => scheme,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut out = vec![0; private.signing.public_modulus_len()];
        let signed = if prehashed {
            let Ok(digest) = Digest::import_less_safe(input, scheme.digest) else { return Ok(Err(Refusal::Length)) };
            private.signing.sign_digest(scheme.signing, &digest, &mut out)
        } else {
            private.signing.sign(scheme.signing, &SystemRandom::new(), input, &mut out)
        };
        signed.map_err(Error::us)?;
        Ok(Ok(out))
    }

    /// Signs bytes as they are by PKCS#1 v1.5, without naming a hash; `None` when they do not fit.
    pub(crate) fn sign_unhashed(&self, pkcs8: &SecretBytes, input: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let pkcs1 = der::pkcs1_of_pkcs8(pkcs8.expose()).ok_or_else(|| Error::us("an RSA key is not in PKCS#8"))?;
        // RFC 8017 9.2: at least eleven bytes of padding.
        if input.len() + 11 > self.bytes {
            return Ok(None);
        }
        let signed = strongroom_secret::rsa::sign_unhashed(pkcs1, input);
        signed.map(Some).ok_or_else(|| Error::us("the module did not sign"))
    }

    /// Whether it is a signature of [`Rsa::sign_unhashed`].
    pub(crate) fn verify_unhashed(&self, input: &[u8], signed: &[u8]) -> bool {
        strongroom_secret::rsa::signed_bytes(&self.public, signed).is_some_and(|bytes| super::hash::same(&bytes, input))
    }

    /// Whether it is a signature of the message, or of its hash where `prehashed`.
    pub(crate) fn verify(
        &self,
        padding: Padding,
        hash: Hash,
        prehashed: bool,
        input: &[u8],
        signed: &[u8],
    ) -> Result<bool, Refusal> {
        let lengths = match padding {
            Padding::Pss(Salt::Auto) => &[Salt::Auto, Salt::Hash, Salt::Length(20), Salt::Length(0)][..],
            Padding::Pss(Salt::Hash) => &[Salt::Hash],
            Padding::Pss(Salt::Length(len)) => &[Salt::Length(len)],
            Padding::Pkcs1 => &[Salt::Hash],
        };
        for salt in lengths {
            let padding = if padding == Padding::Pkcs1 { padding } else { Padding::Pss(*salt) };
            let scheme = self.scheme(padding, hash)?;
            let verified = if prehashed {
                let digest = Digest::import_less_safe(input, scheme.digest).map_err(|_| Refusal::Length)?;
                scheme.verifying.verify_digest_sig(&self.public, &digest, signed)
            } else {
                scheme.verifying.verify_sig(&self.public, input, signed)
            };
            if verified.is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn scheme(&self, padding: Padding, hash: Hash) -> Result<Scheme, Refusal> {
        let at = match hash {
            Hash::Sha256 => 0,
            Hash::Sha384 => 1,
            Hash::Sha512 => 2,
            _ => return Err(Refusal::Hash),
        };
        // RFC 8017 9.1.1: the encoded message has one bit less than the modulus.
        let most = self.bytes - hash.len() - 2;
        let salt = match padding {
            Padding::Pkcs1 => return Ok(PKCS1[at]),
            Padding::Pss(Salt::Auto) => most,
            Padding::Pss(Salt::Hash) => hash.len(),
            Padding::Pss(Salt::Length(len)) => usize::from(len),
        };
        if salt > most {
            return Err(Refusal::Salt);
        }
        let (signing, verifying) = &PSS[at][salt];
        Ok(Scheme { signing, verifying, digest: PKCS1[at].digest })
    }
}

#[derive(Clone, Copy)]
struct Scheme {
    signing: &'static RsaSignatureEncoding,
    verifying: &'static RsaParameters,
    digest: &'static digest::Algorithm,
}

static PKCS1: [Scheme; 3] = [
    Scheme {
        signing: &signature::RSA_PKCS1_SHA256,
        verifying: &signature::RSA_PKCS1_2048_8192_SHA256,
        digest: &digest::SHA256,
    },
    Scheme {
        signing: &signature::RSA_PKCS1_SHA384,
        verifying: &signature::RSA_PKCS1_2048_8192_SHA384,
        digest: &digest::SHA384,
    },
    Scheme {
        signing: &signature::RSA_PKCS1_SHA512,
        verifying: &signature::RSA_PKCS1_2048_8192_SHA512,
        digest: &digest::SHA512,
    },
];

/// The most salt that any key here takes: RSA-4096 with SHA-256.
const MOST_SALT: u16 = 512 - 32 - 2;

/// PSS by hash and length of salt: the module takes its parameters as constants only, so here are all of them.
static PSS: LazyLock<[Vec<(RsaSignatureEncoding, RsaParameters)>; 3]> = LazyLock::new(|| {
    let all = |make: fn(RsaPssSaltLength) -> (RsaSignatureEncoding, RsaParameters)| {
        (0..=MOST_SALT).map(|len| make(RsaPssSaltLength::Custom(len))).collect()
    };
    [
        all(|salt| {
            let verifying = signature::RSA_PSS_2048_8192_SHA256.with_pss_salt_length(salt);
            (signature::RSA_PSS_SHA256.with_pss_salt_length(salt), verifying)
        }),
        all(|salt| {
            let verifying = signature::RSA_PSS_2048_8192_SHA384.with_pss_salt_length(salt);
            (signature::RSA_PSS_SHA384.with_pss_salt_length(salt), verifying)
        }),
        all(|salt| {
            let verifying = signature::RSA_PSS_2048_8192_SHA512.with_pss_salt_length(salt);
            (signature::RSA_PSS_SHA512.with_pss_salt_length(salt), verifying)
        }),
    ]
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_salt_verifies_as_itself_and_the_usual_ones_as_auto() {
        let (pkcs8, public) = generate(rsa::KeySize::Rsa2048).unwrap();
        let key = Rsa::new(Some(&pkcs8), &public).unwrap();
        for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            for salt in [Salt::Auto, Salt::Hash, Salt::Length(20), Salt::Length(0), Salt::Length(33)] {
                let padding = Padding::Pss(salt);
                let signed = key.sign(padding, hash, false, b"text").unwrap().unwrap();
                assert!(key.verify(padding, hash, false, b"text", &signed).unwrap());
                assert!(key.verify(padding, hash, true, &hash.digest(b"text"), &signed).unwrap());
                assert!(!key.verify(padding, hash, false, b"tex", &signed).unwrap());
                let auto = key.verify(Padding::Pss(Salt::Auto), hash, false, b"text", &signed).unwrap();
                assert_eq!(auto, salt != Salt::Length(33), "{salt:?}");
                assert!(!key.verify(Padding::Pkcs1, hash, false, b"text", &signed).unwrap());
            }
        }
        let most = 256 - 32 - 2;
        let refused = key.sign(Padding::Pss(Salt::Length(most + 1)), Hash::Sha256, false, b"text").unwrap();
        assert_eq!(refused.unwrap_err(), Refusal::Salt);
        assert!(key.sign(Padding::Pss(Salt::Length(most)), Hash::Sha256, false, b"text").unwrap().is_ok());
        assert_eq!(key.sign(Padding::Pkcs1, Hash::Sha256, true, b"short").unwrap().unwrap_err(), Refusal::Length);
        assert_eq!(key.sign(Padding::Pkcs1, Hash::Sha1, false, b"text").unwrap().unwrap_err(), Refusal::Hash);

        for input in [&b""[..], b"hello world", &[7; 245]] {
            let signed = key.sign_unhashed(&pkcs8, input).unwrap().unwrap();
            assert!(key.verify_unhashed(input, &signed) && !key.verify_unhashed(b"other", &signed));
            assert!(!key.verify_unhashed(input, &signed[1..]) && !key.verify_unhashed(input, &[0; 256]));
        }
        assert!(key.sign_unhashed(&pkcs8, &[7; 246]).unwrap().is_none(), "eleven bytes are padding");
        // What is signed without a hash around DigestInfo is what is signed with it.
        let info = [&[0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20][..]];
        let info = [info[0], &Hash::Sha256.digest(b"text")].concat();
        let signed = key.sign_unhashed(&pkcs8, &info).unwrap().unwrap();
        assert_eq!(signed, key.sign(Padding::Pkcs1, Hash::Sha256, false, b"text").unwrap().unwrap());

        let alone = Rsa::new(None, &public).unwrap();
        let signed = key.sign(Padding::Pkcs1, Hash::Sha256, false, b"text").unwrap().unwrap();
        assert!(alone.verify(Padding::Pkcs1, Hash::Sha256, false, b"text", &signed).unwrap());
        assert_eq!(alone.sign(Padding::Pkcs1, Hash::Sha256, false, b"").unwrap().unwrap_err(), Refusal::NoPrivateKey);
        assert!(!alone.is_private() && key.is_private());

        let oaep = oaep("SHA256").unwrap();
        let sealed = alone.encrypt(oaep, b"text").unwrap().unwrap();
        assert_eq!(key.decrypt(oaep, &sealed).unwrap().expose(), b"text");
        assert!(alone.decrypt(oaep, &sealed).is_none() && key.decrypt(oaep, &sealed[1..]).is_none());
        assert!(alone.encrypt(oaep, &[0; 191]).unwrap().is_none(), "2048 bit and SHA-256 leave 190 bytes");

        assert_eq!(import(KeyType::Rsa2048, pkcs8.expose()).unwrap().unwrap().1, public);
        assert!(import(KeyType::Rsa3072, pkcs8.expose()).unwrap().is_none());
        let spki = der::spki_of_rsa(&public);
        assert_eq!(import_public(KeyType::Rsa2048, &spki), Some(public));
        assert_eq!(import_public(KeyType::Rsa4096, &spki), None);
    }
}
