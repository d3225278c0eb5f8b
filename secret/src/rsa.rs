//! RSA signatures by PKCS#1 v1.5 over bytes that are no hash (RFC 8017 8.2 without DigestInfo), as old protocols and
//! clients of transit ask for them. The module does the arithmetic and the padding, blinded; its Rust interface offers
//! neither, so this file speaks to the module itself. Not approved: a build of the FIPS module leaves it out.
#![allow(unsafe_code)]

use aws_lc_sys::{RSA, RSA_PKCS1_PADDING, RSA_free, RSA_size};
use aws_lc_sys::{RSA_private_key_from_bytes, RSA_public_key_from_bytes, RSA_sign_raw, RSA_verify_raw};
use std::ptr::NonNull;

/// A key inside the module, freed (and wiped there) when dropped.
struct Handle(NonNull<RSA>);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the pointer came from the module, is not null, and is freed once.
        unsafe { RSA_free(self.0.as_ptr()) }
    }
}

impl Handle {
    fn size(&self) -> usize {
        // SAFETY: the key is alive.
        unsafe { RSA_size(self.0.as_ptr()) as usize }
    }
}

/// The signature of `input` under an RSAPrivateKey (PKCS#1, DER); `None` when that is no key, or the input does not fit.
pub fn sign_unhashed(private: &[u8], input: &[u8]) -> Option<Vec<u8>> {
    // SAFETY: pointer and length are those of one slice; the module copies what it keeps.
    let key = Handle(NonNull::new(unsafe { RSA_private_key_from_bytes(private.as_ptr(), private.len()) })?);
    let mut out = vec![0; key.size()];
    let mut len = 0;
    // SAFETY: the key is alive and used by this thread alone; both buffers have the lengths that are given.
    let signed = unsafe {
        let (to, room) = (out.as_mut_ptr(), out.len());
        RSA_sign_raw(key.0.as_ptr(), &mut len, to, room, input.as_ptr(), input.len(), RSA_PKCS1_PADDING)
    };
    (signed == 1 && len == out.len()).then_some(out)
}

/// The bytes that a signature of [`sign_unhashed`] signs, under an RSAPublicKey (PKCS#1, DER); `None` when the key or the
/// signature's padding is not one.
pub fn signed_bytes(public: &[u8], signature: &[u8]) -> Option<Vec<u8>> {
    // SAFETY: pointer and length are those of one slice; the module copies what it keeps.
    let key = Handle(NonNull::new(unsafe { RSA_public_key_from_bytes(public.as_ptr(), public.len()) })?);
    if signature.len() != key.size() {
        return None;
    }
    let mut out = vec![0; key.size()];
    let mut len = 0;
    // SAFETY: the key is alive and used by this thread alone; both buffers have the lengths that are given.
    let opened = unsafe {
        let (to, room) = (out.as_mut_ptr(), out.len());
        RSA_verify_raw(key.0.as_ptr(), &mut len, to, room, signature.as_ptr(), signature.len(), RSA_PKCS1_PADDING)
    };
    (opened == 1 && len <= out.len()).then(|| {
        out.truncate(len);
        out
    })
}
