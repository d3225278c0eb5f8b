//! What can be wrong with a text. All of it is its author's to mend, so the enum is sorted by the step that found it.

use std::fmt;
use std::sync::Arc;

use crate::tree::Position;

/// One mistake, and where it is.
///
/// No message repeats a value: a configuration holds PINs and passwords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The file, empty for a text that came without one.
    pub file: Arc<str>,
    /// Where in the text.
    pub position: Position,
    /// What.
    pub fault: Fault,
}

/// The kinds of mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The text is larger than [`crate::TEXT_LIMIT`].
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Objects and lists are nested deeper than [`crate::DEPTH_LIMIT`].
    TooDeep,
    /// The text is not of the language; the reason in words.
    Syntax(String),
    /// A value of another type than its reader takes.
    Type {
        /// The key.
        name: String,
        /// What its reader takes.
        wanted: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// A block with more or fewer labels than its reader takes.
    Labels {
        /// The key.
        name: String,
        /// How many it has.
        found: usize,
        /// The fewest it may have.
        least: usize,
        /// The most it may have.
        most: usize,
    },
    /// An attribute given twice.
    Duplicate {
        /// The key.
        name: String,
    },
    /// An attribute that must be there and is not.
    Missing {
        /// The key.
        name: String,
    },
    /// A key that no reader asked for.
    UnknownKey {
        /// The key.
        name: String,
        /// The known name next to it, if one is near.
        nearest: Option<&'static str>,
    },
    /// A value of the right type that its reader refuses; the reason in words.
    Value(String),
}

impl Fault {
    pub(crate) fn syntax(reason: impl Into<String>) -> Fault {
        Fault::Syntax(reason.into())
    }
}

impl Error {
    pub(crate) fn new(file: &str, position: Position, fault: Fault) -> Error {
        Error { file: file.into(), position, fault }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::TooLarge { bytes } => write!(f, "the text has {bytes} bytes, the limit is {}", crate::TEXT_LIMIT),
            Fault::TooDeep => write!(f, "objects and lists are nested deeper than {} levels", crate::DEPTH_LIMIT),
            Fault::Syntax(reason) | Fault::Value(reason) => f.write_str(reason),
            Fault::Type { name, wanted, found } => write!(f, "{} must be {wanted}, not {found}", Name(name)),
            Fault::Labels { name, found, least, most } if least == most => {
                write!(f, "{} takes {least} labels, not {found}", Name(name))
            }
            Fault::Labels { name, found, least, most } => {
                write!(f, "{} takes {least} to {most} labels, not {found}", Name(name))
            }
            Fault::Duplicate { name } => {
                write!(f, "the argument {} was already set; each argument can only be defined once", Name(name))
            }
            Fault::Missing { name } => write!(f, "{} is missing", Name(name)),
            Fault::UnknownKey { name, nearest: None } => write!(f, "invalid key {}", Name(name)),
            Fault::UnknownKey { name, nearest: Some(nearest) } => {
                write!(f, "invalid key {}, did you mean {nearest:?}?", Name(name))
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.file {
            "" => write!(f, "At {}: {}", self.position, self.fault),
            file => write!(f, "{file}:{}: {}", self.position, self.fault),
        }
    }
}

impl std::error::Error for Error {}

/// A name in quotes, cut where a hostile one would fill the message.
struct Name<'n>(&'n str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(64) {
            Some((end, _)) => write!(f, "{:?}…", &self.0[..end]),
            None => write!(f, "{:?}", self.0),
        }
    }
}

/// Several mistakes, in the order of the text; never none. `-test-config` shows them all at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<Error>);

impl Mistakes {
    /// The mistakes among `errors`: `None` if there are none.
    pub fn of(mut errors: Vec<Error>) -> Option<Mistakes> {
        errors.sort_by(|a, b| a.file.cmp(&b.file).then(a.position.cmp(&b.position)));
        if errors.is_empty() { None } else { Some(Mistakes(errors)) }
    }

    /// All of them.
    pub fn errors(&self) -> &[Error] {
        &self.0
    }
}

impl From<Error> for Mistakes {
    fn from(error: Error) -> Mistakes {
        Mistakes(vec![error])
    }
}

impl From<Mistakes> for Vec<Error> {
    fn from(mistakes: Mistakes) -> Vec<Error> {
        mistakes.0
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
