//! Roles: what tokens made through them are like. Stored as `docs/formats/stored-token.md` says.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::store::TokenStore;
use crate::Error;

const LAYOUT: u8 = 1;

/// What tokens made through a role are like. Spans are seconds, 0 is "not given".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Policies that they may have, instead of their maker's; sorted.
    pub allowed_policies: Vec<String>,
    /// Policies that they may not have; sorted.
    pub disallowed_policies: Vec<String>,
    /// As `allowed_policies`, with `*` for any text.
    pub allowed_policies_glob: Vec<String>,
    /// As `disallowed_policies`, with `*` for any text.
    pub disallowed_policies_glob: Vec<String>,
    /// Aliases of entities that they may act for.
    pub allowed_entity_aliases: Option<Vec<String>>,
    /// Whether they have no parent.
    pub orphan: bool,
    /// Whether they may be renewed.
    pub renewable: bool,
    /// What their path ends in.
    pub path_suffix: String,
    /// What each renewal gives them.
    pub period: u64,
    /// What caps their renewals.
    pub explicit_max_ttl: u64,
    /// How often they may be used.
    pub num_uses: u64,
    /// Whether they are made without the default policy.
    pub no_default_policy: bool,
    /// Service or batch, and whether the caller may choose.
    pub token_type: RoleType,
    /// Where they may be used from.
    pub bound_cidrs: Vec<String>,
    /// `period` was written under its old name.
    pub old_period: bool,
    /// `explicit_max_ttl` was written under its old name.
    pub old_explicit_max_ttl: bool,
    /// `bound_cidrs` was written under its old name.
    pub old_bound_cidrs: bool,
}

impl Default for Role {
    fn default() -> Role {
        Role {
            allowed_policies: Vec::new(),
            disallowed_policies: Vec::new(),
            allowed_policies_glob: Vec::new(),
            disallowed_policies_glob: Vec::new(),
            allowed_entity_aliases: None,
            orphan: false,
            renewable: true,
            path_suffix: String::new(),
            period: 0,
            explicit_max_ttl: 0,
            num_uses: 0,
            no_default_policy: false,
            token_type: RoleType::DefaultService,
            bound_cidrs: Vec::new(),
            old_period: false,
            old_explicit_max_ttl: false,
            old_bound_cidrs: false,
        }
    }
}

/// Which type of token a role makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleType {
    /// Service tokens only.
    Service,
    /// Batch tokens only.
    Batch,
    /// Service tokens, unless the caller asks otherwise.
    DefaultService,
    /// Batch tokens, unless the caller asks otherwise.
    DefaultBatch,
}

impl RoleType {
    /// Reads its word; `default` is `default-service`.
    pub fn parse(text: &str) -> Option<RoleType> {
        match text {
            "service" => Some(RoleType::Service),
            "batch" => Some(RoleType::Batch),
            "" | "default" | "default-service" => Some(RoleType::DefaultService),
            "default-batch" => Some(RoleType::DefaultBatch),
            _ => None,
        }
    }

    /// Its word in answers.
    pub const fn name(self) -> &'static str {
        match self {
            RoleType::Service => "service",
            RoleType::Batch => "batch",
            RoleType::DefaultService => "default-service",
            RoleType::DefaultBatch => "default-batch",
        }
    }
}

impl Role {
    /// Whether the role has its own say about policies.
    pub(super) fn decides_policies(&self) -> bool {
        self.limits_policies() || !(self.disallowed_policies.is_empty() && self.disallowed_policies_glob.is_empty())
    }

    /// Whether only policies that it lists are allowed.
    pub(super) fn limits_policies(&self) -> bool {
        !(self.allowed_policies.is_empty() && self.allowed_policies_glob.is_empty())
    }

    /// Whether it allows `name` among policies; only asked where it limits them.
    pub(super) fn allows(&self, name: &str) -> bool {
        listed(&self.allowed_policies, &self.allowed_policies_glob, name)
    }

    /// Whether it forbids `name`.
    pub(super) fn forbids(&self, name: &str) -> bool {
        listed(&self.disallowed_policies, &self.disallowed_policies_glob, name)
    }

    fn encode(&self) -> Vec<u8> {
        let mut row = vec![LAYOUT];
        // Strings, numbers and booleans, written to memory.
        serde_json::to_writer(&mut row, self).expect("a role is JSON");
        row
    }

    fn decode(row: &[u8]) -> Result<Role, Error> {
        match row {
            [LAYOUT, json @ ..] => {
                serde_json::from_slice(json).map_err(|_| Error::StoredToken("a role is not the JSON expected"))
            }
            _ => Err(Error::StoredToken("a role's layout is unknown")),
        }
    }
}

fn listed(names: &[String], globs: &[String], name: &str) -> bool {
    names.iter().any(|one| one == name) || globs.iter().any(|glob| matches(glob, name))
}

/// Whether `text` is what `glob` says, where each `*` stands for any text.
fn matches(glob: &str, text: &str) -> bool {
    let Some((start, glob)) = glob.split_once('*') else { return glob == text };
    let Some(mut rest) = text.strip_prefix(start) else { return false };
    let (middle, end) = glob.rsplit_once('*').unwrap_or(("", glob));
    for part in middle.split('*').filter(|part| !part.is_empty()) {
        match rest.split_once(part) {
            Some((_, tail)) => rest = tail,
            None => return false,
        }
    }
    rest.ends_with(end)
}

impl TokenStore {
    /// The role of this name.
    pub async fn role(&self, name: &str) -> Result<Option<Arc<Role>>, Error> {
        if !is_role_name(name) {
            return Ok(None);
        }
        self.hot_roles.get(&self.roles, name, Role::decode).await
    }

    /// Writes a role.
    pub async fn put_role(&self, name: &str, role: &Role) -> Result<(), Error> {
        Ok(self.roles.put(name, &role.encode()).await?)
    }

    /// Deletes a role; deleting what is absent is fine.
    pub async fn delete_role(&self, name: &str) -> Result<(), Error> {
        Ok(self.roles.delete(name).await?)
    }

    /// Names of roles, sorted: at most `limit` after `after`.
    pub async fn role_names(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, Error> {
        Ok(self.roles.list("", after, limit).await?)
    }
}

/// Whether `name` may name a role: letters, digits and `_`, and inside also `-` `.` `@`.
pub(super) fn is_role_name(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = name.as_bytes();
    (1..=512).contains(&bytes.len())
        && word(bytes[0])
        && word(bytes[bytes.len() - 1])
        && bytes.iter().all(|&byte| word(byte) || matches!(byte, b'-' | b'.' | b'@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (glob, text) in [
            ("wire-*", "wire-weak"),
            ("*", ""),
            ("*-x", "a-x"),
            ("a*b*c", "a1b2c"),
            ("a", "a"),
            ("a*a", "aa"),
            ("**", "x"),
        ] {
            assert!(matches(glob, text), "{glob} {text}");
        }
        for (glob, text) in [("wire-*", "wire"), ("*-x", "x"), ("a*b*c", "acb"), ("a", "ab"), ("a*a", "a"), ("", "x")] {
            assert!(!matches(glob, text), "{glob} {text}");
        }
    }

    #[test]
    fn a_role_is_read_as_it_was_written() {
        let role = Role { allowed_policies: vec!["a".into()], period: 60, old_period: true, ..Role::default() };
        assert_eq!(Role::decode(&role.encode()), Ok(role));
        for row in [&b""[..], b"\x02{}", b"\x01{}", b"\x01{\"more\":1}", b"\x01"] {
            assert!(Role::decode(row).is_err());
        }
    }

    #[test]
    fn names_of_roles() {
        assert!(is_role_name("wire-a") && is_role_name("a") && is_role_name("a.b@c_d"));
        assert!(
            !is_role_name("")
                && !is_role_name("-a")
                && !is_role_name("a.")
                && !is_role_name("a/b")
                && !is_role_name("ü")
        );
    }
}
