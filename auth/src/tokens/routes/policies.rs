//! Which policies a new token gets: never more than its maker may give.

use strongroom_mount::Error;

use super::super::role::Role;
use super::super::token::Token;
use crate::policies::PolicyName;

/// What the request says about policies.
pub(super) struct Asked {
    /// Sorted, lower-cased, each once.
    pub policies: Vec<String>,
    /// Whether the default policy is not wanted.
    pub no_default: bool,
}

impl Asked {
    /// Reads the names as they were sent.
    pub(super) fn new(names: &[String], no_default: bool) -> Result<Asked, Error> {
        let mut policies = Vec::with_capacity(names.len());
        for name in names.iter().filter(|name| !name.trim().is_empty()) {
            let name = PolicyName::parse(name)?;
            if !name.is_assignable() {
                return Err(Error::caller(format!("cannot assign policy {:?}", name.as_str())));
            }
            policies.push(name.as_str().to_owned());
        }
        Ok(Asked { policies: tidied(policies), no_default })
    }

    /// The policies of a token that `parent` makes, through `role` if there is one.
    ///
    /// Without a role that lists what is allowed, a caller without sudo gives no more than it has, `default` included.
    /// Nobody but root gives root.
    pub(super) fn granted(self, parent: &Token, sudo: bool, role: Option<&Role>) -> Result<Vec<String>, Error> {
        let role = role.filter(|role| role.decides_policies());
        let listed = role.filter(|role| role.limits_policies());
        let within_parent = listed.is_none() && !sudo;
        let mut policies = match (self.policies.is_empty(), listed) {
            (false, _) => self.policies.clone(),
            (true, Some(role)) => role.allowed_policies.clone(),
            (true, None) => parent.policies.to_vec(),
        };
        if let Some(role) = listed
            && let Some(_) = self.policies.iter().find(|name| !role.allows(name) && *name != "default")
        {
            let (asked, allowed, globs) = (&policies, &role.allowed_policies, &role.allowed_policies_glob);
            return Err(Error::caller(format!(
                "token policies ({asked:?}) must be subset of the role's allowed policies ({allowed:?}) or glob policies ({globs:?})"
            )));
        }
        let has = |name: &str| parent.policies.iter().any(|held| held == name);
        if within_parent && !parent.is_root() && policies.iter().any(|name| !has(name)) {
            return Err(Error::caller("child policies must be subset of parent"));
        }
        let forbidden = |name: &str| role.is_some_and(|role| role.forbids(name));
        let asked_for_default = self.policies.iter().any(|name| name == "default");
        if self.no_default && !asked_for_default {
            policies.retain(|name| name != "default");
        } else if !self.no_default && !forbidden("default") && (!within_parent || has("default")) {
            policies.push("default".into());
        }
        if let Some(name) = policies.iter().find(|name| forbidden(name)) {
            return Err(Error::caller(format!("token policy {name:?} is disallowed by this role")));
        }
        let policies = tidied(policies);
        if policies == ["root"] && !parent.is_root() {
            return Err(Error::caller("root tokens may not be created without parent token being root"));
        }
        Ok(policies)
    }
}

/// Sorted, each once; root stands alone.
fn tidied(mut policies: Vec<String>) -> Vec<String> {
    if policies.iter().any(|name| name == PolicyName::ROOT) {
        return vec![PolicyName::ROOT.to_owned()];
    }
    policies.sort();
    policies.dedup();
    policies
}
