//! Strict reading of the bodies of `sys/init` and `sys/unseal`: a number is a number, `null` is not given, and a name
//! counts in any case, as Vault's clients are used to.

use bytes::Bytes;
use strongroom_mount::{Error, Fields};

/// The fields of a body.
pub(super) struct Strict(Fields);

impl Strict {
    /// Reads a JSON object; nothing at all is an empty one.
    pub(super) fn read(body: Bytes) -> Result<Self, Error> {
        Fields::from_json(body).map(Strict)
    }

    /// A whole number; zero when it is not given.
    pub(super) fn int(&self, name: &str) -> Result<i64, Error> {
        self.parse(name, "a whole number").map(Option::unwrap_or_default)
    }

    /// A whole number from 0, or nothing.
    pub(super) fn count(&self, name: &str) -> Result<Option<u64>, Error> {
        self.parse(name, "a whole number from 0")
    }

    /// A boolean; false when it is not given.
    pub(super) fn boolean(&self, name: &str) -> Result<bool, Error> {
        self.parse(name, "a boolean").map(Option::unwrap_or_default)
    }

    /// A string; empty when it is not given.
    pub(super) fn string(&self, name: &str) -> Result<String, Error> {
        self.parse(name, "a string").map(Option::unwrap_or_default)
    }

    /// A list of strings; empty when it is not given.
    pub(super) fn strings(&self, name: &str) -> Result<Vec<String>, Error> {
        self.parse(name, "a list of strings").map(Option::unwrap_or_default)
    }

    fn parse<T: serde::de::DeserializeOwned>(&self, name: &str, wanted: &str) -> Result<Option<T>, Error> {
        let found = self.0.iter().find(|(held, _)| held.eq_ignore_ascii_case(name));
        let Some((_, text)) = found else { return Ok(None) };
        // The value is not repeated: it may be a share.
        serde_json::from_str::<Option<T>>(text)
            .map_err(|_| Error::caller(format!("failed to decode JSON input: {name} must be {wanted}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_taken_at_their_word_and_names_in_any_case() {
        let body = Strict::read(Bytes::from_static(
            br#"{"Key":"x","reset":true,"n":-3,"none":null,"list":["a","b"],"five":"5","part":1.5,"mixed":["a",1]}"#,
        ))
        .unwrap();
        assert_eq!((body.string("key").unwrap(), body.boolean("reset").unwrap()), ("x".into(), true));
        assert_eq!((body.int("n").unwrap(), body.int("none").unwrap(), body.int("absent").unwrap()), (-3, 0, 0));
        assert_eq!(body.strings("list").unwrap(), ["a", "b"]);
        assert_eq!((body.count("absent").unwrap(), body.count("none").unwrap()), (None, None));
        for wrong in [
            body.int("five").err(),
            body.int("part").err(),
            body.count("n").err(),
            body.boolean("key").err(),
            body.string("reset").err(),
            body.strings("key").err(),
            body.strings("mixed").err(),
        ] {
            let text = wrong.unwrap().text;
            assert!(text.starts_with("failed to decode JSON input: ") && !text.contains("\"x\""), "{text}");
        }
        assert!(Strict::read(Bytes::from_static(b"{\"secret_shares\":")).is_err());
        assert_eq!(Strict::read(Bytes::new()).unwrap().int("n").unwrap(), 0);
    }
}
