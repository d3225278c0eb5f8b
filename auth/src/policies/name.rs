//! What a policy is called.

use std::fmt;
use std::sync::Arc;

use crate::Error;

/// The longest name, in bytes.
const LENGTH_LIMIT: usize = 512;

/// A policy's name: lower case, without white space around it, of 1 to 512 bytes, without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyName(Arc<str>);

impl PolicyName {
    /// The policy that allows everything; it has no text.
    pub const ROOT: &'static str = "root";
    /// The policy that every token gets unless it asks for none.
    pub const DEFAULT: &'static str = "default";
    /// The policy of a token that holds a wrapped response.
    pub const RESPONSE_WRAPPING: &'static str = "response-wrapping";

    /// The name that `text` stands for. Where they differ, [`PolicyName::conversion`] has the warning for the response.
    pub fn parse(text: &str) -> Result<PolicyName, Error> {
        let name = text.trim().to_lowercase();
        if name.is_empty() {
            return Err(Error::PolicyNameMissing);
        }
        if name.len() > LENGTH_LIMIT || name.chars().any(char::is_control) {
            return Err(Error::PolicyName);
        }
        Ok(PolicyName(name.into()))
    }

    /// The warning for a caller that wrote the name as `text`, if that is not how it is stored.
    pub fn conversion(&self, text: &str) -> Option<String> {
        (*self.0 != *text).then(|| format!("policy name was converted to {self}"))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root policy.
    pub fn is_root(&self) -> bool {
        *self.0 == *Self::ROOT
    }

    /// Whether a token may be given this policy by name: not the one of wrapped responses.
    pub fn is_assignable(&self) -> bool {
        *self.0 != *Self::RESPONSE_WRAPPING
    }

    /// Refuses to change the text of a policy that is fixed.
    pub fn check_update(&self) -> Result<(), Error> {
        if self.is_fixed() { Err(Error::PolicyUpdate(self.0.to_string())) } else { Ok(()) }
    }

    /// Refuses to delete a policy that is fixed, or the default policy.
    pub fn check_delete(&self) -> Result<(), Error> {
        match &*self.0 {
            Self::DEFAULT => Err(Error::PolicyDeleteDefault),
            name if self.is_fixed() => Err(Error::PolicyDelete(name.to_owned())),
            _ => Ok(()),
        }
    }

    fn is_fixed(&self) -> bool {
        matches!(&*self.0, Self::ROOT | Self::RESPONSE_WRAPPING)
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_and_trimmed() {
        let name = PolicyName::parse(" Wire-Upper\n").unwrap();
        assert_eq!(name.as_str(), "wire-upper");
        assert_eq!(name.conversion("Wire-Upper").unwrap(), "policy name was converted to wire-upper");
        assert_eq!(name.conversion("wire-upper"), None);
        assert_eq!(PolicyName::parse("a,b").unwrap().as_str(), "a,b");
    }

    #[test]
    fn names_that_are_refused() {
        assert_eq!(PolicyName::parse(" \t"), Err(Error::PolicyNameMissing));
        assert_eq!(PolicyName::parse("a\0b"), Err(Error::PolicyName));
        assert_eq!(PolicyName::parse(&"x".repeat(513)), Err(Error::PolicyName));
        assert!(PolicyName::parse(&"x".repeat(512)).is_ok());
    }

    #[test]
    fn fixed_policies_stay_as_they_are() {
        let text = |result: Result<(), Error>| result.map_err(|error| error.to_string());
        let name = |name| PolicyName::parse(name).unwrap();
        assert_eq!(text(name("ROOT").check_update()), Err("cannot update \"root\" policy".into()));
        assert_eq!(text(name("root").check_delete()), Err("cannot delete \"root\" policy".into()));
        assert_eq!(
            text(name("response-wrapping").check_update()),
            Err("cannot update \"response-wrapping\" policy".into())
        );
        assert_eq!(
            text(name("response-wrapping").check_delete()),
            Err("cannot delete \"response-wrapping\" policy".into())
        );
        assert_eq!(text(name("default").check_delete()), Err("cannot delete default policy".into()));
        assert_eq!(name("default").check_update(), Ok(()));
        assert_eq!(name("a").check_delete(), Ok(()));
        assert!(!name("response-wrapping").is_assignable());
        assert!(name("root").is_assignable() && name("root").is_root());
    }
}
