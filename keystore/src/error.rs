//! What can go wrong in the store, sorted by whose fault it is.

/// Who has to act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blame {
    /// The request: another path, a smaller value, a fresh read before the write.
    Caller,
    /// The operator: disk space, the right root key, a newer program.
    Operator,
    /// The storage, or whoever owns it: it did not give back what was put in.
    Storage,
    /// A defect of this program.
    Us,
}

/// The layer at which a change of the untrusted storage was caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Layer {
    /// A data row: its ciphertext, its place, its version.
    Row,
    /// A node of the authenticated index.
    Node,
    /// A page of the journal in front of the index.
    Journal,
    /// The head record, sealed or clear part.
    Head,
    /// The keyring.
    Keyring,
    /// A clear row (keyslot, expression, pin, share commitment) or the register that lists them.
    ClearRow,
    /// A row that the index holds and the storage does not.
    Absence,
    /// The storage engine's own structures: its file could not be read.
    Engine,
}

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Layer::Row => "row",
            Layer::Node => "index node",
            Layer::Journal => "journal page",
            Layer::Head => "head",
            Layer::Keyring => "keyring",
            Layer::ClearRow => "clear row",
            Layer::Absence => "missing row",
            Layer::Engine => "storage engine",
        })
    }
}

/// What the store answers when it cannot do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A path that no row can have.
    #[error("bad path {path:?}: {reason}")]
    BadPath {
        /// The path as given.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A value larger than a row can hold.
    #[error("the value has {size} bytes; a row holds at most {limit}")]
    TooLarge {
        /// Bytes given.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A row is no longer the version that the batch expected.
    #[error("{path:?} was changed by someone else: read it again, then repeat the change")]
    Conflict {
        /// The row.
        path: String,
    },
    /// The store has never been initialised.
    #[error("the store is not initialised: `strongroom operator init` does that once")]
    NotInitialised,
    /// The store is initialised already; nothing is overwritten.
    #[error("the store is already initialised")]
    AlreadyInitialised,
    /// The store is unsealed already, by this process.
    #[error("the store is already unsealed: seal it first")]
    AlreadyOpen,
    /// The store was sealed while the handle was held.
    #[error("the store is sealed")]
    Sealed,
    /// The root key is not this store's, or the keyring row was changed.
    #[error(
        "the root key does not open this store's keyring: it is another store's or another generation's, or the keyring was changed"
    )]
    WrongRoot,
    /// The store was written by a later program, and this one must not touch it.
    #[error(
        "this store needs at least program version {needed}; this is {running}: start the release that wrote it last, or a later one"
    )]
    ProgramTooOld {
        /// The least version that may open the store.
        needed: u32,
        /// The version that tried.
        running: u32,
    },
    /// A device has counted past this copy of the store.
    #[error(
        "rollback detected: device {device} counts {counter}, this copy of the store only {stored}; an older copy was put in place of the current one"
    )]
    RollbackDetected {
        /// The device, in hex.
        device: String,
        /// What the device says.
        counter: u64,
        /// What the head expects.
        stored: u64,
    },
    /// A custodian asked for a later epoch than the store has.
    #[error("rollback detected: epoch {asked} was asked for, this copy of the store has {stored}")]
    EpochTooOld {
        /// The least epoch that is acceptable.
        asked: u64,
        /// The epoch of this copy.
        stored: u64,
    },
    /// The untrusted storage was changed, and this is where it was caught.
    #[error("integrity error: {layer} {name}: {reason}")]
    Integrity {
        /// The layer that caught it.
        layer: Layer,
        /// Which row, by path where it is known, else by key in hex.
        name: String,
        /// What did not hold.
        reason: String,
    },
    /// No space is left for the write; reads go on, and writes succeed again when there is space.
    #[error("no space is left on the storage: the write was not made; free some and try again")]
    NoSpace,
    /// A commit failed in a way that leaves the storage in doubt; only a restart may go on.
    #[error("the storage failed during a commit and takes no more writes until it is opened again: {0}")]
    Poisoned(String),
    /// Another node leads; the write was not made.
    #[error("another node has taken the lead; the write was not made")]
    Fenced,
    /// The storage failed.
    #[error("storage: {0}")]
    Storage(String),
    /// Not a store of this program, or of a format that it does not know.
    #[error("{0}")]
    Format(String),
    /// The random generator failed.
    #[error("the random generator failed; nothing was written")]
    Random,
}

impl Error {
    /// Who has to act.
    pub fn blame(&self) -> Blame {
        match self {
            Error::BadPath { .. } | Error::TooLarge { .. } | Error::Conflict { .. } => Blame::Caller,
            Error::NotInitialised | Error::AlreadyInitialised | Error::AlreadyOpen => Blame::Operator,
            Error::Sealed | Error::WrongRoot => Blame::Operator,
            Error::ProgramTooOld { .. } | Error::NoSpace | Error::Fenced | Error::Format(_) => Blame::Operator,
            Error::RollbackDetected { .. } | Error::EpochTooOld { .. } | Error::Integrity { .. } => Blame::Storage,
            Error::Poisoned(_) | Error::Storage(_) => Blame::Storage,
            Error::Random => Blame::Us,
        }
    }
}

impl From<strongroom_secret::RandomError> for Error {
    fn from(_: strongroom_secret::RandomError) -> Self {
        Error::Random
    }
}
