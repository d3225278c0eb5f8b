//! Public RSA operations (RFC 8017), done here and not on the token: sealing under OAEP needs only the public half.

use crate::{Error, Mechanism, Result};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};

/// The SubjectPublicKeyInfo (RFC 5280, DER) of an RSA key; `None` where the numbers cannot be one of 2048 to 8192 bits.
pub(crate) fn spki(modulus: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
    let modulus = &modulus[modulus.iter().take_while(|byte| **byte == 0).count()..];
    let exponent = &exponent[exponent.iter().take_while(|byte| **byte == 0).count()..];
    if !(256..=1024).contains(&modulus.len()) || !(1..=8).contains(&exponent.len()) {
        return None;
    }
    let numbers = [integer(modulus), integer(exponent)].concat();
    // 1.2.840.113549.1.1.1 rsaEncryption, NULL
    let algorithm = [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let bits = element(0x03, &[&[0][..], &element(0x30, &numbers)].concat());
    Some(element(0x30, &[&algorithm[..], &bits].concat()))
}

/// Encrypts under the public key; `Config` where the plaintext does not fit the key or the key is none.
pub(crate) fn oaep_encrypt(mechanism: Mechanism, spki: &[u8], plaintext: &[u8]) -> Result<Vec<u8>> {
    let padding = match mechanism {
        Mechanism::RsaOaepSha256 => &OAEP_SHA256_MGF1SHA256,
        Mechanism::RsaOaepSha1 => &OAEP_SHA1_MGF1SHA1,
        Mechanism::AesGcm | Mechanism::SoftAesGcm => {
            return Err(Error::Unsupported(format!("{} is not an RSA mechanism", mechanism.name())));
        }
    };
    let key = PublicEncryptingKey::from_der(spki).map_err(|_| Error::Config("not an RSA public key".into()))?;
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| Error::Config("not an RSA public key".into()))?;
    let mut sealed = vec![0; key.ciphertext_size()];
    let sealed = key
        .encrypt(padding, plaintext, &mut sealed, None)
        .map_err(|_| Error::Config(format!("{} bytes do not fit this RSA key", plaintext.len())))?;
    Ok(sealed.to_vec())
}

fn integer(magnitude: &[u8]) -> Vec<u8> {
    // A leading zero keeps the number positive.
    let pad: &[u8] = if magnitude[0] & 0x80 == 0 { &[] } else { &[0] };
    element(0x02, &[pad, magnitude].concat())
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let header = match length {
        0..0x80 => vec![tag, length as u8],
        0x80..0x100 => vec![tag, 0x81, length as u8],
        // Nothing here is longer than a key of 8192 bits.
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [header, content.to_vec()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::rsa::{KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};

    #[test]
    fn what_is_encrypted_under_a_key_opens_with_its_private_half() {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(&private.public_key()).unwrap();
        let private = OaepPrivateDecryptingKey::new(private).unwrap();
        for (mechanism, padding) in
            [(Mechanism::RsaOaepSha256, &OAEP_SHA256_MGF1SHA256), (Mechanism::RsaOaepSha1, &OAEP_SHA1_MGF1SHA1)]
        {
            let sealed = oaep_encrypt(mechanism, spki.as_ref(), b"secret").unwrap();
            let mut out = vec![0; private.min_output_size()];
            assert_eq!(private.decrypt(padding, &sealed, &mut out, None).unwrap(), b"secret");
        }
    }

    #[test]
    fn a_bad_key_or_mechanism_or_length_is_an_error() {
        let mut modulus = vec![0xff; 256];
        modulus[255] = 0xf1;
        let good = spki(&modulus, &[1, 0, 1]).unwrap();
        assert!(matches!(oaep_encrypt(Mechanism::RsaOaepSha256, &good, &[0; 191]), Err(Error::Config(_))));
        assert!(matches!(oaep_encrypt(Mechanism::RsaOaepSha256, &good[1..], b"x"), Err(Error::Config(_))));
        assert!(matches!(oaep_encrypt(Mechanism::AesGcm, &good, b"x"), Err(Error::Unsupported(_))));
        for (modulus, exponent) in [(&[0xff; 128][..], &[3][..]), (&[0; 300], &[3]), (&modulus, &[]), (&modulus, &[0])]
        {
            assert_eq!(spki(modulus, exponent), None);
        }
    }
}
