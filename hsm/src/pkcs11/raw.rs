//! The calls whose answers have a length that the token chooses, made with buffers that we bound.
//!
//! The wrapper crate allocates whatever length a token names, and reads as much as it then claims. A token is hostile
//! until proven otherwise, so these few calls go through the module's own function list. They also ask with a
//! buffer at once: two calls per operation instead of three, which a network HSM notices.

#![allow(unsafe_code)]

use cryptoki::context::Function;
use cryptoki::error::{Error, Result, Rv, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use cryptoki_sys::{
    CK_ATTRIBUTE, CK_ATTRIBUTE_TYPE, CK_FUNCTION_LIST, CK_MECHANISM, CK_SLOT_ID, CK_TOKEN_INFO, CK_ULONG,
    CK_UNAVAILABLE_INFORMATION,
};
use std::path::Path;
use strongroom_secret::SecretBytes;
use zeroize::Zeroize;

/// The longest attribute value that is read. An RSA-8192 modulus has 1,024 bytes.
const ATTRIBUTE_MAX: usize = 4096;
/// The longest output beyond the input: a tag, or the block of an RSA-8192 key.
const GROWTH_MAX: usize = 1024;

/// A module's function list, and the module itself so that it stays loaded.
pub(super) struct Raw {
    functions: CK_FUNCTION_LIST,
    _module: cryptoki_sys::Pkcs11,
}

impl Raw {
    /// Loads the module, or counts one more user of it where it is loaded already.
    pub(super) fn load(path: &Path) -> Result<Self> {
        // SAFETY: loading runs the module's initialisers. Which module that is, the operator's configuration says;
        // its code is trusted as far as that, and runs in this process whoever loads it.
        let module = unsafe { cryptoki_sys::Pkcs11::new(path) }.map_err(Error::LibraryLoading)?;
        if module.C_GetFunctionList.is_err() {
            return Err(Error::MissingSymbol("C_GetFunctionList"));
        }
        let mut list = std::ptr::null_mut();
        // SAFETY: the symbol was found, has this signature in every version of PKCS#11, and writes one pointer.
        let answer = unsafe { module.C_GetFunctionList(&mut list) };
        Rv::from(answer).into_result(Function::GetFunctionList)?;
        if list.is_null() {
            return Err(Error::NullFunctionPointer);
        }
        // SAFETY: the module answered CKR_OK, so `list` points to its function list, which lives as long as the module.
        // Copying it out allows for a list that is not aligned.
        let functions = unsafe { std::ptr::read_unaligned(list) };
        Ok(Raw { functions, _module: module })
    }

    /// C_GetTokenInfo, undecoded: the wrapper's decoding fails on tokens whose clock is not a number.
    pub(super) fn token_info(&self, slot: CK_SLOT_ID) -> Result<CK_TOKEN_INFO> {
        let mut info = CK_TOKEN_INFO::default();
        let call = self.functions.C_GetTokenInfo.ok_or(Error::NullFunctionPointer)?;
        // SAFETY: `info` is a CK_TOKEN_INFO, which is all that the call writes.
        Rv::from(unsafe { call(slot, &mut info) }).into_result(Function::GetTokenInfo)?;
        Ok(info)
    }

    /// The attributes of an object in the order asked, `None` where the token does not tell.
    pub(super) fn attributes(
        &self,
        session: &Session,
        object: ObjectHandle,
        types: &[CK_ATTRIBUTE_TYPE],
    ) -> Result<Vec<Option<Vec<u8>>>> {
        let call = self.functions.C_GetAttributeValue.ok_or(Error::NullFunctionPointer)?;
        let mut values = vec![vec![0u8; ATTRIBUTE_MAX]; types.len()];
        let mut template: Vec<CK_ATTRIBUTE> = types
            .iter()
            .zip(&mut values)
            .map(|(type_, value)| CK_ATTRIBUTE {
                type_: *type_,
                pValue: value.as_mut_ptr().cast(),
                ulValueLen: ATTRIBUTE_MAX as CK_ULONG,
            })
            .collect();
        // SAFETY: every entry of the template points to a buffer of the length that it states, and all of them outlive
        // the call; the template's own length is stated too.
        let answer =
            unsafe { call(session.handle(), object.handle(), template.as_mut_ptr(), template.len() as CK_ULONG) };
        match Rv::from(answer) {
            // These three concern single attributes; the others are filled in (PKCS#11, C_GetAttributeValue).
            Rv::Error(RvError::AttributeSensitive | RvError::AttributeTypeInvalid | RvError::BufferTooSmall) => {}
            answer => answer.into_result(Function::GetAttributeValue)?,
        }
        let lengths = template.iter().map(|entry| entry.ulValueLen);
        Ok(values
            .into_iter()
            .zip(lengths)
            .map(|(mut value, length)| {
                let length = usize::try_from(length).ok().filter(|length| *length <= ATTRIBUTE_MAX)?;
                value.truncate(length);
                Some(value)
            })
            .collect())
    }

    /// C_EncryptInit and C_Encrypt, one-shot.
    pub(super) fn encrypt(
        &self,
        session: &Session,
        mechanism: &Mechanism<'_>,
        key: ObjectHandle,
        plaintext: &[u8],
    ) -> Result<Vec<u8>> {
        let init = self.functions.C_EncryptInit.ok_or(Error::NullFunctionPointer)?;
        let call = self.functions.C_Encrypt.ok_or(Error::NullFunctionPointer)?;
        let mut mechanism = CK_MECHANISM::from(mechanism);
        // SAFETY: the mechanism's parameters are borrowed by `mechanism` for the whole of this function.
        Rv::from(unsafe { init(session.handle(), &mut mechanism, key.handle()) }).into_result(Function::EncryptInit)?;
        let mut out = vec![0; plaintext.len() + GROWTH_MAX];
        let mut length = out.len() as CK_ULONG;
        // SAFETY: input and output are stated with their lengths; the call does not write to its input.
        let answer = unsafe {
            call(
                session.handle(),
                plaintext.as_ptr().cast_mut(),
                plaintext.len() as CK_ULONG,
                out.as_mut_ptr(),
                &mut length,
            )
        };
        Rv::from(answer).into_result(Function::Encrypt)?;
        truncated(out, length)
    }

    /// C_DecryptInit and C_Decrypt, one-shot: what a token gives out part by part it may not have authenticated.
    pub(super) fn decrypt(
        &self,
        session: &Session,
        mechanism: &Mechanism<'_>,
        key: ObjectHandle,
        sealed: &[u8],
    ) -> Result<SecretBytes> {
        let init = self.functions.C_DecryptInit.ok_or(Error::NullFunctionPointer)?;
        let call = self.functions.C_Decrypt.ok_or(Error::NullFunctionPointer)?;
        let mut mechanism = CK_MECHANISM::from(mechanism);
        // SAFETY: the mechanism's parameters are borrowed by `mechanism` for the whole of this function.
        Rv::from(unsafe { init(session.handle(), &mut mechanism, key.handle()) }).into_result(Function::DecryptInit)?;
        let mut out = vec![0; sealed.len() + GROWTH_MAX];
        let mut length = out.len() as CK_ULONG;
        // SAFETY: input and output are stated with their lengths; the call does not write to its input.
        let answer = unsafe {
            call(session.handle(), sealed.as_ptr().cast_mut(), sealed.len() as CK_ULONG, out.as_mut_ptr(), &mut length)
        };
        let plaintext = match usize::try_from(length).ok().and_then(|length| out.get(..length)) {
            Some(plaintext) => SecretBytes::from_slice(plaintext),
            None => SecretBytes::from_slice(&[]),
        };
        let fits = length as usize <= out.len();
        out.zeroize();
        Rv::from(answer).into_result(Function::Decrypt)?;
        if fits { Ok(plaintext) } else { Err(Error::InvalidValue) }
    }

    /// C_SignInit and C_Sign, one-shot.
    pub(super) fn sign(
        &self,
        session: &Session,
        mechanism: &Mechanism<'_>,
        key: ObjectHandle,
        message: &[u8],
    ) -> Result<Vec<u8>> {
        let init = self.functions.C_SignInit.ok_or(Error::NullFunctionPointer)?;
        let call = self.functions.C_Sign.ok_or(Error::NullFunctionPointer)?;
        let mut mechanism = CK_MECHANISM::from(mechanism);
        // SAFETY: the mechanism's parameters are borrowed by `mechanism` for the whole of this function.
        Rv::from(unsafe { init(session.handle(), &mut mechanism, key.handle()) }).into_result(Function::SignInit)?;
        let mut out = vec![0; GROWTH_MAX];
        let mut length = out.len() as CK_ULONG;
        // SAFETY: input and output are stated with their lengths; the call does not write to its input.
        let answer = unsafe {
            call(
                session.handle(),
                message.as_ptr().cast_mut(),
                message.len() as CK_ULONG,
                out.as_mut_ptr(),
                &mut length,
            )
        };
        Rv::from(answer).into_result(Function::Sign)?;
        truncated(out, length)
    }
}

fn truncated(mut out: Vec<u8>, length: CK_ULONG) -> Result<Vec<u8>> {
    let length = usize::try_from(length).ok().filter(|length| *length <= out.len()).ok_or(Error::InvalidValue)?;
    out.truncate(length);
    Ok(out)
}

// A length that says "not available" is longer than any buffer, and so needs no case of its own.
const _: () = assert!(CK_UNAVAILABLE_INFORMATION > ATTRIBUTE_MAX as CK_ULONG);
