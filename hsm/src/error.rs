//! What can go wrong with a token, sorted by whose fault it is and by whether trying again makes sense.

/// The result of every call of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed call. The text names the token, key, attribute or file, never a secret.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    // The caller's.
    /// No object of that name, or a keyslot that was sealed under another key than the one configured.
    #[error("{0}")]
    NotFound(String),
    /// An object of that name exists already, and nothing is ever overwritten.
    #[error("{0}")]
    Exists(String),
    /// The token did not open what it was given. Every cause looks the same: another key, another place, changed bytes.
    #[error("the token rejected the sealed value")]
    Rejected,
    /// A counter was asked to go down, which it never does.
    #[error("the counter stands at {held} and does not go back to {asked}")]
    Backwards {
        /// What the token holds.
        held: u64,
        /// What was asked for.
        asked: u64,
    },
    /// The queue of this device is full: the request was not accepted, nothing was sent to the token.
    #[error("device {device} is busy: {queued} calls wait already")]
    Busy {
        /// The device's configured name.
        device: String,
        /// How many calls were waiting.
        queued: usize,
    },

    // The token's.
    /// Library missing, token not present, device removed, call timed out, device error: it may return by itself.
    #[error("{0}")]
    Away(String),
    /// The token cannot do this at all: no such mechanism, no right to make objects.
    #[error("{0}")]
    Unsupported(String),

    // The configuration's, and the operator's.
    /// The PIN was refused, now or before; nothing was tried that could lock the token.
    #[error("{0}")]
    RefusedPin(String),
    /// This is not the token that was enrolled.
    #[error("{0}")]
    WrongToken(String),
    /// The key is weaker than what this program seals under. `attribute` is the first attribute found wanting.
    #[error("key {key} is too weak: {attribute}; make a new one with `strongroom operator hsm keygen`")]
    WeakKey {
        /// How the key was named.
        key: String,
        /// The attribute and its value, such as `CKA_EXTRACTABLE is true`.
        attribute: String,
    },
    /// The configuration cannot be right whatever the token does.
    #[error("{0}")]
    Config(String),
}

/// The kinds of [`Error`], for counting and for deciding.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// [`Error::NotFound`]
    NotFound,
    /// [`Error::Exists`]
    Exists,
    /// [`Error::Rejected`]
    Rejected,
    /// [`Error::Backwards`]
    Backwards,
    /// [`Error::Busy`]
    Busy,
    /// [`Error::Away`]
    Away,
    /// [`Error::Unsupported`]
    Unsupported,
    /// [`Error::RefusedPin`]
    RefusedPin,
    /// [`Error::WrongToken`]
    WrongToken,
    /// [`Error::WeakKey`]
    WeakKey,
    /// [`Error::Config`]
    Config,
}

impl ErrorKind {
    /// The name in logs, metrics and `sys/seal-tree`.
    pub const fn name(self) -> &'static str {
        match self {
            ErrorKind::NotFound => "not_found",
            ErrorKind::Exists => "exists",
            ErrorKind::Rejected => "rejected",
            ErrorKind::Backwards => "backwards",
            ErrorKind::Busy => "busy",
            ErrorKind::Away => "away",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::RefusedPin => "refused_pin",
            ErrorKind::WrongToken => "wrong_token",
            ErrorKind::WeakKey => "weak_key",
            ErrorKind::Config => "config",
        }
    }
}

impl Error {
    /// Which kind this is.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Error::NotFound(_) => ErrorKind::NotFound,
            Error::Exists(_) => ErrorKind::Exists,
            Error::Rejected => ErrorKind::Rejected,
            Error::Backwards { .. } => ErrorKind::Backwards,
            Error::Busy { .. } => ErrorKind::Busy,
            Error::Away(_) => ErrorKind::Away,
            Error::Unsupported(_) => ErrorKind::Unsupported,
            Error::RefusedPin(_) => ErrorKind::RefusedPin,
            Error::WrongToken(_) => ErrorKind::WrongToken,
            Error::WeakKey { .. } => ErrorKind::WeakKey,
            Error::Config(_) => ErrorKind::Config,
        }
    }

    /// Whether the same call can succeed later although nobody changed anything here: a device comes back, a queue
    /// drains, somebody swaps the right token in again, an operator repairs the key. The caller backs off
    /// exponentially; repeating a call never spends a try of a refused PIN.
    pub const fn may_pass_later(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::Away | ErrorKind::Busy | ErrorKind::WrongToken | ErrorKind::NotFound | ErrorKind::RefusedPin
        )
    }
}
