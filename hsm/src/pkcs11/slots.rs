//! What a library says about its slots and tokens, for finding one and for `operator hsm list`.

use super::library::Library;
use crate::pin::PinFlags;
use crate::{Identity, Result};
use cryptoki_sys::{
    CK_TOKEN_INFO, CKF_TOKEN_INITIALIZED, CKF_USER_PIN_COUNT_LOW, CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED,
};
use std::path::Path;

/// One slot of a library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotInfo {
    /// The slot's number, CK_SLOT_ID.
    pub slot: u64,
    /// The token in it.
    pub token: Option<Identity>,
    /// Whether that token was initialised; others cannot be used.
    pub initialised: bool,
    /// What the token says about its user PIN.
    pub pin: PinFlags,
}

/// The slots of the library at `path`, empty ones included. No login. Blocks as long as the library does.
pub fn list_slots(path: &Path) -> Result<Vec<SlotInfo>> {
    let library = Library::open(path)?;
    let failed = |error| super::fault::Fault::from(error).into_error(&path.display().to_string());
    let slots = library.context.get_all_slots().map_err(failed)?;
    Ok(slots
        .into_iter()
        .map(|slot| match library.raw.token_info(slot.id()) {
            Ok(info) => SlotInfo {
                slot: slot.id(),
                token: Some(identity(&info)),
                initialised: is_initialised(&info),
                pin: pin_flags(&info),
            },
            Err(_) => SlotInfo { slot: slot.id(), token: None, initialised: false, pin: PinFlags::default() },
        })
        .collect())
}

pub(super) fn identity(info: &CK_TOKEN_INFO) -> Identity {
    Identity {
        manufacturer: text(&info.manufacturerID),
        model: text(&info.model),
        serial: text(&info.serialNumber),
        label: text(&info.label),
        firmware: (info.firmwareVersion.major, info.firmwareVersion.minor),
    }
}

pub(super) fn is_initialised(info: &CK_TOKEN_INFO) -> bool {
    info.flags & CKF_TOKEN_INITIALIZED != 0
}

pub(super) fn pin_flags(info: &CK_TOKEN_INFO) -> PinFlags {
    PinFlags {
        count_low: info.flags & CKF_USER_PIN_COUNT_LOW != 0,
        final_try: info.flags & CKF_USER_PIN_FINAL_TRY != 0,
        locked: info.flags & CKF_USER_PIN_LOCKED != 0,
    }
}

/// A padded text of PKCS#11: without its padding of blanks (or zeros, which some modules use), printable ASCII only.
pub(super) fn text(padded: &[u8]) -> String {
    let end = padded.iter().rposition(|byte| !matches!(byte, b' ' | 0)).map_or(0, |last| last + 1);
    let printable = |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '?' };
    padded[..end].iter().map(printable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_lose_their_padding_and_what_a_terminal_would_obey() {
        assert_eq!(text(b"root    "), "root");
        assert_eq!(text(b"root\0\0\0\0"), "root");
        assert_eq!(text(b"        "), "");
        assert_eq!(text(b"a\x1b[2Jb\xff "), "a?[2Jb?");
    }

    #[test]
    fn flags_are_read_one_by_one() {
        let mut info = CK_TOKEN_INFO::default();
        assert_eq!(pin_flags(&info), PinFlags::default());
        assert!(!is_initialised(&info));
        info.flags = CKF_USER_PIN_FINAL_TRY | CKF_TOKEN_INITIALIZED;
        assert_eq!(pin_flags(&info), PinFlags { count_low: false, final_try: true, locked: false });
        assert!(is_initialised(&info));
        info.flags = CKF_USER_PIN_LOCKED | CKF_USER_PIN_COUNT_LOW;
        assert_eq!(pin_flags(&info), PinFlags { count_low: true, final_try: false, locked: true });
    }
}
