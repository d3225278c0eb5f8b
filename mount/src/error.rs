//! Why a request failed: whose fault it is, and the text that clients know.

use std::borrow::Cow;
use std::fmt;

/// Whose fault it is; `respond.rs` of the service turns it into a status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Blame {
    /// The caller's request is wrong: 400.
    Caller,
    /// The caller may not: 403.
    Denied,
    /// Nothing is there: 404.
    Missing,
    /// The path is there, the operation is not: 405.
    Operation,
    /// What the caller sent is too large: 413.
    TooLarge,
    /// Another change came first; the same request may succeed now: 409.
    Conflict,
    /// A token, an upstream or a library behind us failed or is away: 503.
    Peer,
    /// The store is full or away, and says so: 507.
    NoSpace,
    /// The store was changed behind our back: 500, loud.
    Integrity,
    /// We did something wrong: 500.
    Us,
    /// A caller's mistake that existing clients assert as a 500: the closed list of decision 0005.
    ClientsExpect500,
}

/// An error of a backend. Its text goes to the client, so it never holds a secret.
#[derive(Debug)]
pub struct Error {
    /// Whose fault.
    pub blame: Blame,
    /// The text, as clients know it; empty for a bare 404.
    pub text: Cow<'static, str>,
    /// Whether the text is framed as `1 error occurred:\n\t* …\n\n`, as a part of clients and their suites expect.
    pub framed: bool,
    /// What is wrong inside, for the log only; never a secret.
    pub detail: Option<String>,
}

impl Error {
    /// The caller's mistake, 400.
    pub fn caller(text: impl Into<Cow<'static, str>>) -> Self {
        Error { blame: Blame::Caller, text: text.into(), framed: false, detail: None }
    }

    /// Nothing there, 404 with an empty list of errors.
    pub fn missing() -> Self {
        Error { blame: Blame::Missing, text: "".into(), framed: false, detail: None }
    }

    /// 403, framed.
    pub fn denied() -> Self {
        Error { blame: Blame::Denied, text: "permission denied".into(), framed: true, detail: None }
    }

    /// 405, framed: the path is there, the operation is not.
    pub fn unsupported_operation() -> Self {
        Error { blame: Blame::Operation, text: "unsupported operation".into(), framed: true, detail: None }
    }

    /// 404, framed: no such path in this mount.
    pub fn unsupported_path() -> Self {
        Error { blame: Blame::Missing, text: "unsupported path".into(), framed: true, detail: None }
    }

    /// Ours, 500: clients see `internal error`, the log sees `detail`.
    pub fn us(detail: impl fmt::Display) -> Self {
        Error { blame: Blame::Us, text: "internal error".into(), framed: false, detail: Some(detail.to_string()) }
    }

    /// The same error with another blame.
    pub fn blame(mut self, blame: Blame) -> Self {
        self.blame = blame;
        self
    }

    /// The same error in the `1 error occurred` frame.
    pub fn framed(mut self) -> Self {
        self.framed = true;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.framed { write!(f, "1 error occurred:\n\t* {}\n\n", self.text) } else { f.write_str(&self.text) }
    }
}

impl std::error::Error for Error {}

/// The store's errors by whose fault they are; what clients see names no row but the one that they asked for.
impl From<strongroom_keystore::Error> for Error {
    fn from(error: strongroom_keystore::Error) -> Self {
        use strongroom_keystore::Error as Store;
        let (blame, text): (Blame, Cow<'static, str>) = match &error {
            Store::BadPath { .. } => (Blame::Caller, error.to_string().into()),
            Store::TooLarge { .. } => (Blame::TooLarge, error.to_string().into()),
            Store::Conflict { .. } => (Blame::Conflict, "changed by another request: try again".into()),
            Store::Sealed | Store::NotInitialised => (Blame::Peer, "Vault is sealed".into()),
            Store::Fenced => (Blame::Peer, "node is not active".into()),
            Store::NoSpace => (Blame::NoSpace, error.to_string().into()),
            Store::Poisoned(_) | Store::Storage(_) => (Blame::Peer, "the storage failed: see the server's log".into()),
            Store::Integrity { .. } => (Blame::Integrity, "integrity error: see the server's log".into()),
            _ => (Blame::Us, "internal error".into()),
        };
        Error { blame, text, framed: false, detail: Some(error.to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_keystore::{Error as Store, Layer};

    #[test]
    fn a_storage_error_keeps_its_blame_and_hides_names_of_rows() {
        let conflict = Error::from(Store::Conflict { path: "key/hush".into() });
        assert_eq!(conflict.blame, Blame::Conflict);
        assert!(!conflict.to_string().contains("hush"));
        let broken = Store::Integrity { layer: Layer::Row, name: "key/hush".into(), reason: "tag".into() };
        let broken = Error::from(broken);
        assert_eq!(broken.blame, Blame::Integrity);
        assert!(!broken.to_string().contains("hush") && broken.detail.unwrap().contains("hush"));
        assert_eq!(Error::from(Store::Sealed).blame, Blame::Peer);
        assert_eq!(Error::from(Store::TooLarge { size: 9, limit: 8 }).blame, Blame::TooLarge);
    }
}
