//! Who is calling, as far as a backend may know.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use zeroize::Zeroizing;

/// An authenticated caller. A backend that keeps something per token uses `key`, never the token's own id.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The key under which the token is stored: an HMAC of its id. Empty where there is no token.
    pub key: Arc<str>,
    /// The token's accessor; empty for batch tokens and without a token.
    pub accessor: Arc<str>,
    /// `token`, `root`, or what the auth method named it.
    pub display_name: Arc<str>,
    /// The token's policies by name.
    pub policies: Arc<[String]>,
    /// The identity entity; empty where there is none.
    pub entity_id: Arc<str>,
    /// Where the request came from.
    pub remote: Option<IpAddr>,
    /// Whether the token's policies grant `sudo` on the path of this request; root's always do.
    pub sudo: bool,
    /// The token as it was sent. The pipeline sets it for the token backend, which answers with it, and for nothing else.
    pub presented: Option<Arc<Presented>>,
}

/// A token as a client sent it: unprintable, and wiped when dropped.
pub struct Presented(Zeroizing<String>);

impl Presented {
    /// Copies `id`.
    pub fn new(id: &str) -> Self {
        Presented(Zeroizing::new(id.to_owned()))
    }

    /// The token. Do not store or log what this returns.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented(..)")
    }
}

impl Caller {
    /// Nobody: the caller of an unauthenticated route.
    pub fn nobody(remote: Option<IpAddr>) -> Self {
        let empty: Arc<str> = "".into();
        Caller {
            key: empty.clone(),
            accessor: empty.clone(),
            display_name: empty.clone(),
            policies: Arc::new([]),
            entity_id: empty,
            remote,
            sudo: false,
            presented: None,
        }
    }

    /// Whether the `root` policy is among the token's.
    pub fn is_root(&self) -> bool {
        self.policies.iter().any(|name| name == "root")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_prints_without_its_token() {
        let caller = Caller { presented: Some(Arc::new(Presented::new("hush"))), ..Caller::nobody(None) };
        assert!(!format!("{caller:?}").contains("hush"));
    }
}
