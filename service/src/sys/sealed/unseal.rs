//! `sys/unseal`.

use super::strict::Strict;
use bytes::Bytes;
use strongroom_mount::Error;
use zeroize::Zeroizing;

/// PUT: what was asked for.
pub enum Ask {
    /// Forget the shares entered so far.
    Reset,
    /// Take this share, and refuse a store with an older epoch.
    Share {
        /// Hex or base64.
        key: Zeroizing<String>,
        /// The least epoch.
        epoch: Option<u64>,
    },
}

/// Reads the body. `migrate` has no meaning here: a tree changes while it serves.
pub fn request(body: Bytes) -> Result<Ask, Error> {
    let body = Strict::read(body)?;
    let key = Zeroizing::new(body.string("key")?);
    let (reset, epoch) = (body.boolean("reset")?, body.count("epoch")?);
    body.boolean("migrate")?;
    if reset {
        return Ok(Ask::Reset);
    }
    if key.is_empty() {
        return Err(Error::caller("'key' must be specified in request body as JSON, or 'reset' set to true"));
    }
    Ok(Ask::Share { key, epoch })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &str) -> Result<Ask, String> {
        request(Bytes::copy_from_slice(text.as_bytes())).map_err(|error| error.text.into_owned())
    }

    #[test]
    fn a_share_or_a_reset_is_asked_for() {
        assert!(matches!(ask(r#"{"key":"ab","reset":false,"migrate":false}"#), Ok(Ask::Share { epoch: None, .. })));
        assert!(matches!(ask(r#"{"KEY":"ab","epoch":7}"#), Ok(Ask::Share { epoch: Some(7), .. })));
        assert!(matches!(ask(r#"{"reset":true}"#), Ok(Ask::Reset)));
        for (text, part) in [
            ("{}", "'key' must be specified"),
            ("", "'key' must be specified"),
            (r#"{"key":["a"]}"#, "failed to decode JSON input"),
            (r#"{"reset":"true"}"#, "failed to decode JSON input"),
            (r#"{"key":"a","epoch":-1}"#, "failed to decode JSON input"),
            (r#"{"key":"a","migrate":1}"#, "failed to decode JSON input"),
        ] {
            assert!(ask(text).err().unwrap().contains(part), "{text}");
        }
    }
}
