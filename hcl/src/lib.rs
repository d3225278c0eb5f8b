//! The configuration and policy language: the first version of HCL, and its JSON form, with positions.
//!
//! [`parse`] turns a text into [`Tree`], the items as they stand in the text. [`Body`] is the layer that readers use: it
//! hands out attributes and blocks by name with their types checked, and whatever no reader asked for is an error that
//! names file, line and the nearest known name.
//!
//! ```
//! use strongroom_hcl::Body;
//!
//! let mut body = Body::parse("server.hcl", r#"listener "tcp" { address = "127.0.0.1:8200" }"#)?;
//! for listener in body.blocks("listener", 1..=1)? {
//!     let mut body = listener.body;
//!     assert_eq!(body.text("address")?.unwrap().value, "127.0.0.1:8200");
//!     body.finish()?;
//! }
//! body.finish()?;
//! # Ok::<(), strongroom_hcl::Mistakes>(())
//! ```
//!
//! What a text may contain follows hashicorp/hcl 1.0.1: comments `#`, `//` and `/* */`; several attributes on one line;
//! commas between items; quoted attribute names; `${…}` kept as it stands; heredocs `<<EOF` and `<<-EOF`; numbers in
//! decimal, hexadecimal and octal. A text whose first character is `{` is JSON (RFC 8259), strictly.
//!
//! Limits, so that a hostile text costs no more than its size: [`TEXT_LIMIT`] bytes and [`DEPTH_LIMIT`] levels.
#![forbid(unsafe_code)]

mod body;
mod duration;
mod error;
mod heredoc;
mod json;
mod nearest;
mod parser;
mod quote;
mod scanner;
mod tree;

pub use body::{Block, Body, Placed};
pub use duration::duration;
pub use error::{Error, Fault, Mistakes};
pub use tree::{Item, Key, Kind, Number, Position, Tree, Value};

/// The largest text that is read, in bytes.
pub const TEXT_LIMIT: usize = 1 << 20;

/// The deepest nesting of objects and lists that is read.
pub const DEPTH_LIMIT: usize = 64;

/// Parses `text` as HCL, or as JSON if its first character other than white space is `{`.
///
/// `file` is the name that errors carry; it may be empty, as for a policy that came over the wire.
pub fn parse(file: &str, text: impl AsRef<[u8]>) -> Result<Tree, Error> {
    let bytes = text.as_ref();
    let place = |position, fault| Error::new(file, position, fault);
    if bytes.len() > TEXT_LIMIT {
        return Err(place(Position::START, Fault::TooLarge { bytes: bytes.len() }));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        place(Position::START.after(&before), Fault::syntax("illegal UTF-8 encoding"))
    })?;
    if let Some(at) = text.find('\0') {
        return Err(place(Position::START.after(&text[..at]), Fault::syntax("unexpected null character (0x00)")));
    }
    // Windows line ends are read as plain ones, in heredocs too.
    let plain;
    let text = if text.contains("\r\n") {
        plain = text.replace("\r\n", "\n");
        plain.as_str()
    } else {
        text
    };
    let json = text.trim_start().starts_with('{');
    let items = if json { json::parse(text) } else { parser::parse(text) };
    match items {
        Ok(items) => Ok(Tree { file: file.into(), json, items }),
        Err((position, fault)) => Err(place(position, fault)),
    }
}
