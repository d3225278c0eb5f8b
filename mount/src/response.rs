//! What a backend answers. The pipeline makes the envelope.

use crate::Object;
use bytes::Bytes;
use std::collections::BTreeMap;

/// An answer. The default is 204 without a body.
#[derive(Default)]
pub struct Response {
    /// The envelope's `data`.
    pub data: Option<Object>,
    /// The envelope's `auth`: a token was made or renewed.
    pub auth: Option<Auth>,
    /// The envelope's `warnings`.
    pub warnings: Vec<String>,
    /// The envelope's `lease_duration` in seconds where there is no lease (KV v1).
    pub lease_duration: u64,
    /// Whether `data`'s keys also stand at top level (a part of `sys/`).
    pub copied_to_top: bool,
    /// `data` is the whole body, without envelope (`sys/seal-status`).
    pub bare: bool,
    /// A body that is not JSON, instead of all of the above.
    pub raw: Option<Raw>,
    /// Another status than 200 or 204: 202, a batch's 400, a deleted version's 404.
    pub status: Option<u16>,
}

/// A body that is not an envelope: a certificate, metrics.
pub struct Raw {
    /// Its media type.
    pub content_type: &'static str,
    /// The bytes.
    pub body: Bytes,
}

impl Response {
    /// 204.
    pub fn none() -> Self {
        Response::default()
    }

    /// 200 with data in the envelope.
    pub fn data(data: Object) -> Self {
        Response { data: Some(data), ..Response::default() }
    }

    /// 200 with `data` as the whole body.
    pub fn bare(data: Object) -> Self {
        Response { data: Some(data), bare: true, ..Response::default() }
    }

    /// 200 with `auth` in the envelope.
    pub fn auth(auth: Auth) -> Self {
        Response { auth: Some(auth), ..Response::default() }
    }

    /// A list of names: 404 when it is empty, as clients expect.
    pub fn keys(keys: &[String]) -> Result<Self, crate::Error> {
        if keys.is_empty() {
            return Err(crate::Error::missing());
        }
        Ok(Response::data(Object::build(|object| object.strings("keys", keys.iter().map(String::as_str)))))
    }

    /// The same answer with one warning more.
    pub fn warn(mut self, text: impl Into<String>) -> Self {
        self.warnings.push(text.into());
        self
    }
}

/// The envelope's `auth` block. Holds a token's id: no `Debug`, and wiped when dropped.
pub struct Auth {
    /// The token.
    pub client_token: zeroize::Zeroizing<String>,
    /// Its accessor; empty for batch tokens.
    pub accessor: String,
    /// All policies, sorted.
    pub policies: Vec<String>,
    /// The token's own policies.
    pub token_policies: Vec<String>,
    /// Policies from identity; left out when empty.
    pub identity_policies: Vec<String>,
    /// The metadata; `null` when `None`.
    pub metadata: Option<BTreeMap<String, String>>,
    /// TTL in seconds.
    pub lease_duration: u64,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// The identity entity.
    pub entity_id: String,
    /// `service` or `batch`.
    pub token_type: &'static str,
    /// Whether it has no parent.
    pub orphan: bool,
    /// Uses left; 0 is no limit.
    pub num_uses: u64,
}
