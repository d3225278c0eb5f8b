//! What a failed call means: who lost what, and how it is told.

use crate::Error;
use cryptoki::error::{Error as CkError, RvError};

/// A failed step of an operation.
pub(super) enum Fault {
    /// The module's answer.
    Module(CkError),
    /// Our own verdict.
    Ours(Error),
}

impl From<CkError> for Fault {
    fn from(error: CkError) -> Self {
        Fault::Module(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Ours(error)
    }
}

/// What has to be made anew before an operation can be tried once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// Object handles: the token was changed under us.
    Handles,
    /// Session, login, or the token's presence.
    Connection,
    /// The library was finalised by somebody else in this process.
    Library,
}

impl Fault {
    pub(super) fn lost(&self) -> Option<Lost> {
        use RvError::*;
        match self.code()? {
            KeyHandleInvalid | ObjectHandleInvalid => Some(Lost::Handles),
            SessionHandleInvalid | SessionClosed | UserNotLoggedIn | DeviceRemoved | TokenNotPresent
            | TokenNotRecognized | SlotIdInvalid => Some(Lost::Connection),
            CryptokiNotInitialized => Some(Lost::Library),
            _ => None,
        }
    }

    /// The module's code, where this is one.
    pub(super) fn code(&self) -> Option<RvError> {
        match self {
            Fault::Module(CkError::Pkcs11(code, _)) => Some(*code),
            _ => None,
        }
    }

    /// What SoftHSM 2.6.1 sporadically answers when two threads or processes make and destroy token objects at once.
    pub(super) fn is_sporadic(&self) -> bool {
        use RvError::*;
        let codes = [GeneralError, FunctionFailed, TemplateInconsistent, ObjectHandleInvalid, DeviceMemory];
        self.code().is_some_and(|code| codes.contains(&code))
    }

    /// The token cannot or may not do this, whenever it is asked.
    fn is_unsupported(&self) -> bool {
        use RvError::*;
        if matches!(self, Fault::Module(CkError::NotSupported | CkError::NullFunctionPointer)) {
            return true;
        }
        let codes = [
            FunctionNotSupported,
            MechanismInvalid,
            MechanismParamInvalid,
            KeyFunctionNotPermitted,
            KeyTypeInconsistent,
            KeySizeRange,
            CurveNotSupported,
            AttributeTypeInvalid,
            AttributeValueInvalid,
            AttributeReadOnly,
            TemplateInconsistent,
            TemplateIncomplete,
            ActionProhibited,
            SessionReadOnly,
            TokenWriteProtected,
        ];
        self.code().is_some_and(|code| codes.contains(&code))
    }

    /// The crate's error for an operation that is not a decryption.
    pub(super) fn into_error(self, token: &str) -> Error {
        let unsupported = self.is_unsupported();
        match self {
            Fault::Ours(error) => error,
            Fault::Module(error) if unsupported => Error::Unsupported(format!("token {token}: {}", told(&error))),
            Fault::Module(error) => Error::Away(format!("token {token}: {}", told(&error))),
        }
    }
}

/// A module's error in the words of PKCS#11: `C_Decrypt answered CKR_DEVICE_ERROR`.
pub(super) fn told(error: &CkError) -> String {
    match error {
        CkError::Pkcs11(code, function) => format!("C_{function:?} answered {}", name(code)),
        CkError::InvalidValue => "the module answered with a length or value that cannot be".into(),
        CkError::NullFunctionPointer => "the module lacks this function".into(),
        other => other.to_string(),
    }
}

/// `CKR_DEVICE_ERROR` from the variant `DeviceError`.
pub(super) fn name(code: &RvError) -> String {
    match code {
        RvError::VendorDefined(code) | RvError::UnknownErrorCode(code) => format!("CKR 0x{code:x}"),
        named => {
            let mut text = String::from("CKR");
            for letter in format!("{named:?}").chars() {
                if letter.is_ascii_uppercase() {
                    text.push('_');
                }
                text.push(letter.to_ascii_uppercase());
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryptoki::context::Function;

    fn fault(code: RvError) -> Fault {
        CkError::Pkcs11(code, Function::Decrypt).into()
    }

    #[test]
    fn codes_are_told_by_their_names_in_the_standard() {
        assert_eq!(name(&RvError::PinIncorrect), "CKR_PIN_INCORRECT");
        assert_eq!(name(&RvError::VendorDefined(0x8000_0001)), "CKR 0x80000001");
        let error = fault(RvError::DeviceError).into_error("\"root\"");
        assert_eq!(error, Error::Away("token \"root\": C_Decrypt answered CKR_DEVICE_ERROR".into()));
    }

    #[test]
    fn what_is_lost_decides_what_is_made_anew() {
        assert_eq!(fault(RvError::SessionHandleInvalid).lost(), Some(Lost::Connection));
        assert_eq!(fault(RvError::DeviceRemoved).lost(), Some(Lost::Connection));
        assert_eq!(fault(RvError::KeyHandleInvalid).lost(), Some(Lost::Handles));
        assert_eq!(fault(RvError::CryptokiNotInitialized).lost(), Some(Lost::Library));
        assert_eq!(fault(RvError::GeneralError).lost(), None);
        assert_eq!(Fault::Ours(Error::Rejected).lost(), None);
    }

    #[test]
    fn what_the_token_cannot_do_is_not_called_away() {
        assert!(matches!(fault(RvError::MechanismInvalid).into_error("t"), Error::Unsupported(_)));
        assert!(matches!(Fault::from(CkError::NullFunctionPointer).into_error("t"), Error::Unsupported(_)));
        assert!(matches!(fault(RvError::DeviceMemory).into_error("t"), Error::Away(_)));
    }
}
