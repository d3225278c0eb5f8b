//! What can be mounted: one arm per engine and auth method.

use super::entry::Class;
use crate::sys::System;
use std::collections::BTreeMap;
use std::sync::Arc;
use strongroom_auth::{PolicyStore, TokenStore};
use strongroom_mount::{Answer, Backend, Ctx, Error, Request, Route};

/// Secrets engines that a request may mount.
pub const SECRETS: &[&str] = &["kv", "transit"];
/// Auth methods that a request may mount.
pub const METHODS: &[&str] = &[];

/// Makes backends.
pub struct Builtins {
    /// Serves `sys/`.
    pub system: System,
    /// Behind `auth/token/`.
    pub tokens: Arc<TokenStore>,
    /// What a token's policies are checked against.
    pub policies: Arc<PolicyStore>,
}

impl Builtins {
    /// A backend of its own for one mount with these options; `None` for what is not known.
    ///
    /// # Errors
    /// Options that the backend cannot have.
    pub fn make(
        &self,
        class: Class,
        kind: &str,
        options: &BTreeMap<String, String>,
    ) -> Result<Option<Arc<dyn Backend>>, Error> {
        Ok(Some(match (class, kind) {
            (Class::Secret, "kv") => strongroom_engines::kv::backend(options)?,
            (Class::Secret, "transit") => Arc::new(strongroom_engines::transit::Transit::new()),
            (Class::Secret, "system") => Arc::new(self.system.clone()),
            (Class::Auth, "token") => strongroom_auth::tokens::backend(self.tokens.clone(), self.policies.clone()),
            // Paths that are the server's own, and that have no routes yet.
            (Class::Secret, "identity") => Arc::new(Reserved("identity")),
            (Class::Secret, "cubbyhole") => Arc::new(Reserved("cubbyhole")),
            _ => return Ok(None),
        }))
    }

    /// Whether a request may mount it.
    pub fn offers(&self, class: Class, kind: &str) -> bool {
        match class {
            Class::Secret => SECRETS.contains(&kind),
            Class::Auth => METHODS.contains(&kind),
        }
    }
}

/// Names under which clients ask for a kind with an option set.
pub fn alias(kind: &str) -> (&str, Option<(&'static str, &'static str)>) {
    match kind {
        "kv-v2" => ("kv", Some(("version", "2"))),
        "kv-v1" => ("kv", Some(("version", "1"))),
        "generic" => ("kv", None),
        kind => (kind, None),
    }
}

/// A path that nothing else may be mounted on, without a route: every request finds `unsupported path`.
struct Reserved(&'static str);

impl Backend for Reserved {
    fn kind(&self) -> &'static str {
        self.0
    }

    fn routes(&self) -> &'static [Route] {
        &[]
    }

    fn handle<'a>(&'a self, _cx: &'a Ctx<'a>, _request: &'a Request) -> Answer<'a> {
        Box::pin(std::future::ready(Err(Error::unsupported_path())))
    }
}
