//! Error frames and the envelope, and the status of a backend's error. What is refused before there is a request for a
//! backend brings its own status, as a [`Refusal`].
//!
//! Bodies are written straight into one buffer. What a backend answers is JSON text already, and is copied, never parsed.

use crate::request::RequestId;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue};
use http_body_util::Full;
use std::borrow::Cow;
use strongroom_mount::json::escape;
use strongroom_mount::{Auth, Blame, Error, Response};

/// The media type of every JSON body; clients compare it for equality.
pub const JSON: &str = "application/json";

/// A request that ends before a route is reached: what cannot be read, or may not be served now.
#[derive(Debug)]
pub struct Refusal {
    status: u16,
    text: Option<Cow<'static, str>>,
    empty: bool,
}

impl Refusal {
    /// A status with one error text.
    pub fn text(status: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Refusal { status, text: Some(text.into()), empty: false }
    }

    /// A status with an empty list of errors.
    pub const fn bare(status: u16) -> Self {
        Refusal { status, text: None, empty: false }
    }

    /// A status without a body.
    pub const fn empty(status: u16) -> Self {
        Refusal { status, text: None, empty: true }
    }

    /// 503: sealed, or never initialised.
    pub const fn sealed() -> Self {
        Refusal { status: 503, text: Some(Cow::Borrowed("Vault is sealed")), empty: false }
    }

    /// 413.
    pub const fn too_large() -> Self {
        Refusal { status: 413, text: Some(Cow::Borrowed("http: request body too large")), empty: false }
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The text, for the log; empty where there is none.
    pub fn reason(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }
}

/// An answer, ready for the wire.
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body; a 204 has none.
    pub body: Bytes,
    /// The body's type.
    pub content_type: &'static str,
    /// Whether the connection is closed after it, since its buffers held keys.
    pub close: bool,
}

impl Reply {
    fn json(status: u16, body: Vec<u8>) -> Self {
        Reply { status, body: body.into(), content_type: JSON, close: false }
    }

    /// A status without a body.
    pub fn empty(status: u16) -> Self {
        Reply { status, body: Bytes::new(), content_type: JSON, close: false }
    }

    /// The same, and the connection is closed after it.
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// What a backend answered, in the envelope where it is not bare.
    pub fn answer(id: &RequestId, mount_type: &str, response: Response) -> Self {
        if let Some(raw) = response.raw {
            let status = response.status.unwrap_or(200);
            return Reply { status, body: raw.body, content_type: raw.content_type, close: false };
        }
        let nothing = response.data.is_none() && response.auth.is_none() && response.warnings.is_empty();
        if nothing {
            return Reply::empty(response.status.unwrap_or(204));
        }
        let status = response.status.unwrap_or(200);
        if response.bare {
            let text = response.data.as_ref().map_or(&b"{}"[..], |data| data.as_bytes());
            let mut body = Vec::with_capacity(text.len() + 1);
            body.extend_from_slice(text);
            body.push(b'\n');
            return Reply::json(status, body);
        }
        Reply::json(status, envelope(id, mount_type, &response))
    }

    /// What a backend refused.
    pub fn error(error: &Error) -> Self {
        Reply::json(status_of(error.blame), frame(&error_text(error)))
    }

    /// What was refused before a backend was reached.
    pub fn refusal(refusal: &Refusal) -> Self {
        if refusal.empty {
            return Reply::empty(refusal.status);
        }
        Reply::json(refusal.status, frame(refusal.reason()))
    }

    /// As HTTP. A body below `/v1/` is never stored by anyone on its way.
    pub fn into_http(self) -> http::Response<Full<Bytes>> {
        let typed = !self.body.is_empty();
        let mut response = http::Response::new(Full::new(self.body));
        // Statuses come from the table below, from backends' constants, or from health's parameters, checked there.
        *response.status_mut() = http::StatusCode::from_u16(self.status).unwrap_or(http::StatusCode::BAD_REQUEST);
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if typed {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Which status says whose fault it was.
pub fn status_of(blame: Blame) -> u16 {
    match blame {
        Blame::Caller => 400,
        Blame::Denied => 403,
        Blame::Missing => 404,
        Blame::Operation => 405,
        Blame::Conflict => 409,
        Blame::TooLarge => 413,
        Blame::Peer => 503,
        Blame::NoSpace => 507,
        // Us, Integrity, the closed list that clients expect, and what a later mount crate adds.
        _ => 500,
    }
}

/// The text as clients and the audit log see it.
pub fn error_text(error: &Error) -> Cow<'_, str> {
    if error.framed { Cow::Owned(error.to_string()) } else { Cow::Borrowed(&error.text) }
}

/// `{"errors":["text"]}`, or an empty list for an empty text.
fn frame(text: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(text.len() + 32);
    body.extend_from_slice(b"{\"errors\":[");
    if !text.is_empty() {
        escape(&mut body, text);
    }
    body.extend_from_slice(b"]}\n");
    body
}

fn envelope(id: &RequestId, mount_type: &str, response: &Response) -> Vec<u8> {
    let data = response.data.as_ref();
    let copies = if response.copied_to_top { 2 } else { 1 };
    let mut body = Vec::with_capacity(data.map_or(0, |data| data.as_bytes().len()) * copies + 320);
    body.extend_from_slice(b"{\"request_id\":\"");
    body.extend_from_slice(id.as_str().as_bytes());
    body.extend_from_slice(b"\",\"lease_id\":\"\",\"renewable\":false,\"lease_duration\":");
    number(&mut body, response.lease_duration);
    body.extend_from_slice(b",\"data\":");
    body.extend_from_slice(data.map_or(b"null", |data| data.as_bytes()));
    body.extend_from_slice(b",\"wrap_info\":null,\"warnings\":");
    if response.warnings.is_empty() {
        body.extend_from_slice(b"null");
    } else {
        strings(&mut body, &response.warnings);
    }
    body.extend_from_slice(b",\"auth\":");
    match &response.auth {
        None => body.extend_from_slice(b"null"),
        Some(auth) => auth_block(&mut body, auth),
    }
    body.extend_from_slice(b",\"mount_type\":");
    escape(&mut body, mount_type);
    if response.copied_to_top
        && let Some(inner) = data.map(strongroom_mount::Object::inner).filter(|inner| !inner.is_empty())
    {
        body.push(b',');
        body.extend_from_slice(inner);
    }
    body.extend_from_slice(b"}\n");
    body
}

fn auth_block(body: &mut Vec<u8>, auth: &Auth) {
    body.extend_from_slice(b"{\"client_token\":");
    escape(body, &auth.client_token);
    body.extend_from_slice(b",\"accessor\":");
    escape(body, &auth.accessor);
    body.extend_from_slice(b",\"policies\":");
    strings(body, &auth.policies);
    body.extend_from_slice(b",\"token_policies\":");
    strings(body, &auth.token_policies);
    if !auth.identity_policies.is_empty() {
        body.extend_from_slice(b",\"identity_policies\":");
        strings(body, &auth.identity_policies);
    }
    body.extend_from_slice(b",\"metadata\":");
    match &auth.metadata {
        None => body.extend_from_slice(b"null"),
        Some(metadata) => {
            body.push(b'{');
            for (at, (name, value)) in metadata.iter().enumerate() {
                if at > 0 {
                    body.push(b',');
                }
                escape(body, name);
                body.push(b':');
                escape(body, value);
            }
            body.push(b'}');
        }
    }
    body.extend_from_slice(b",\"lease_duration\":");
    number(body, auth.lease_duration);
    body.extend_from_slice(if auth.renewable { b",\"renewable\":true" } else { b",\"renewable\":false" });
    body.extend_from_slice(b",\"entity_id\":");
    escape(body, &auth.entity_id);
    body.extend_from_slice(b",\"token_type\":");
    escape(body, auth.token_type);
    body.extend_from_slice(if auth.orphan { b",\"orphan\":true" } else { b",\"orphan\":false" });
    body.extend_from_slice(b",\"mfa_requirement\":null,\"num_uses\":");
    number(body, auth.num_uses);
    body.push(b'}');
}

/// Appends a list of strings.
pub(crate) fn strings<T: AsRef<str>>(body: &mut Vec<u8>, items: &[T]) {
    body.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        escape(body, item.as_ref());
    }
    body.push(b']');
}

/// Appends a number.
pub(crate) fn number(body: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        // One decimal digit.
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    body.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use strongroom_mount::Object;

    fn read(reply: &Reply) -> Value {
        serde_json::from_slice(&reply.body).unwrap()
    }

    #[test]
    fn an_answer_stands_in_the_envelope() {
        let data = Object::build(|object| object.string("k", "v"));
        let reply = Reply::answer(&RequestId::next(), "transit", Response::data(data).warn("w\""));
        let mut body = read(&reply);
        assert!(body.as_object_mut().unwrap().remove("request_id").unwrap().as_str().unwrap().len() == 36);
        assert_eq!(
            body,
            json!({"lease_id": "", "renewable": false, "lease_duration": 0, "data": {"k": "v"}, "wrap_info": null,
                "warnings": ["w\""], "auth": null, "mount_type": "transit"})
        );
        assert_eq!((reply.status, reply.content_type), (200, "application/json"));
    }

    #[test]
    fn data_may_also_stand_at_the_top() {
        for (inner, keys) in [(json!({"a/": {}}), 10), (json!({}), 9)] {
            let response = Response { data: Some(Object::from(&inner)), copied_to_top: true, ..Response::default() };
            let body = read(&Reply::answer(&RequestId::next(), "system", response));
            assert_eq!((body.get("a/").is_some(), &body["data"]), (inner.get("a/").is_some(), &inner));
            assert_eq!(body.as_object().unwrap().len(), keys);
        }
    }

    #[test]
    fn nothing_is_204_without_a_body() {
        let reply = Reply::answer(&RequestId::next(), "system", Response::none());
        assert_eq!((reply.status, reply.body.len()), (204, 0));
        let http = reply.into_http();
        assert!(http.headers().get("content-type").is_none());
        assert_eq!(http.headers()["cache-control"], "no-store");
    }

    #[test]
    fn an_auth_block_has_every_field_that_strict_clients_read() {
        let auth = Auth {
            client_token: zeroize::Zeroizing::new("hvs.x".into()),
            accessor: "acc".into(),
            policies: vec!["default".into()],
            token_policies: vec!["default".into()],
            identity_policies: vec![],
            metadata: Some([("a".to_owned(), "b\n".to_owned())].into()),
            lease_duration: u64::MAX,
            renewable: true,
            entity_id: String::new(),
            token_type: "service",
            orphan: false,
            num_uses: 3,
        };
        let body = read(&Reply::answer(&RequestId::next(), "token", Response::auth(auth)));
        assert_eq!(
            body["auth"],
            json!({"client_token": "hvs.x", "accessor": "acc", "policies": ["default"], "token_policies": ["default"],
                "metadata": {"a": "b\n"}, "lease_duration": u64::MAX, "renewable": true, "entity_id": "",
                "token_type": "service", "orphan": false, "mfa_requirement": null, "num_uses": 3})
        );
    }

    #[test]
    fn errors_are_framed_as_clients_know_them() {
        for (error, status, text) in [
            (Error::caller("no \"x\""), 400, Some("no \"x\"")),
            (Error::denied(), 403, Some("1 error occurred:\n\t* permission denied\n\n")),
            (Error::missing(), 404, None),
            (Error::unsupported_path(), 404, Some("1 error occurred:\n\t* unsupported path\n\n")),
            (Error::unsupported_operation(), 405, Some("1 error occurred:\n\t* unsupported operation\n\n")),
            (Error::caller("x").blame(Blame::Conflict), 409, Some("x")),
            (Error::caller("x").blame(Blame::TooLarge), 413, Some("x")),
            (Error::us("hush"), 500, Some("internal error")),
            (Error::caller("x").blame(Blame::Integrity), 500, Some("x")),
            (Error::caller("x").blame(Blame::ClientsExpect500), 500, Some("x")),
            (Error::caller("x").blame(Blame::Peer), 503, Some("x")),
            (Error::caller("x").blame(Blame::NoSpace), 507, Some("x")),
        ] {
            let reply = Reply::error(&error);
            let errors = text.map_or(json!([]), |text| json!([text]));
            assert_eq!((reply.status, read(&reply)), (status, json!({"errors": errors})));
        }
        assert_eq!(read(&Reply::refusal(&Refusal::sealed())), json!({"errors": ["Vault is sealed"]}));
        assert!(Reply::refusal(&Refusal::empty(400)).body.is_empty());
    }

    #[test]
    fn numbers_are_written_whole() {
        for n in [0, 7, 10, 2_764_800, u64::MAX] {
            let mut out = Vec::new();
            number(&mut out, n);
            assert_eq!(String::from_utf8(out).unwrap(), n.to_string());
        }
    }
}
