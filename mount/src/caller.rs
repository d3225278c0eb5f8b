//! Who is calling, as far as a backend may know.

use std::net::IpAddr;
use std::sync::Arc;

/// An authenticated caller. The token's own id is not here: a backend that keeps something per token uses `key`.
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
        }
    }

    /// Whether the `root` policy is among the token's.
    pub fn is_root(&self) -> bool {
        self.policies.iter().any(|name| name == "root")
    }
}
