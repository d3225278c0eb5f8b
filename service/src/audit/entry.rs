//! One audit line in Vault's schema: `{"time","type","auth","request","response","error"}`, built in one buffer.
//!
//! The request's line and the response's share all but a few bytes, so the buffer of the first becomes the second.

use super::mask::{Plain, mask_json, mask_text};
use super::spare;
use super::token::Signature;
use crate::request::RequestId;
use crate::respond::{number, strings};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use strongroom_clock::Timestamp;
use strongroom_mount::json::escape;
use strongroom_mount::response::Raw;
use strongroom_mount::{Auth, Caller, Fields, Object, Param};
use strongroom_secret::mac::HmacKey;

/// What is asked: all that a request's line says.
pub struct Asked<'a> {
    /// When.
    pub time: Timestamp,
    /// The request's id.
    pub id: &'a RequestId,
    /// The capability's name, or the verb where there is none.
    pub operation: &'a str,
    /// The canonical path.
    pub path: &'a str,
    /// Where it leads; `None` where nothing is mounted.
    pub mount: Option<Mounted<'a>>,
    /// The parameters; `None` where they could not be read.
    pub fields: Option<&'a Fields>,
    /// The route's parameters: those of the path are in the path already.
    pub params: &'a [Param],
    /// Who asks; nobody where the token is not valid.
    pub caller: &'a Caller,
    /// The token as sent.
    pub token: Option<&'a str>,
    /// `service` or `batch`; empty without a token.
    pub token_type: &'static str,
    /// Whether the policies allow it.
    pub allowed: bool,
    /// Where it comes from.
    pub remote: SocketAddr,
    /// Seconds for which the answer is to be wrapped.
    pub wrap_ttl: u64,
    /// What is wrong with it already; empty when nothing is.
    pub error: &'a str,
}

/// A mount, as the log names it.
#[derive(Clone, Copy)]
pub struct Mounted<'a> {
    /// `transit/`.
    pub point: &'a str,
    /// `transit`.
    pub kind: &'a str,
    /// `transit_1a2b3c4d`.
    pub accessor: &'a str,
    /// `secret` or `auth`.
    pub class: &'static str,
    /// Request fields that stay readable, as the mount was tuned.
    pub plain_request: &'a [String],
    /// Response fields that stay readable.
    pub plain_response: &'a [String],
    /// Whether the data is the caller's own, so that numbers in it are masked as well.
    pub own_data: bool,
}

/// What is answered.
#[derive(Default)]
pub struct Answered<'a> {
    /// The envelope's data.
    pub data: Option<&'a Object>,
    /// A token that was made or renewed.
    pub auth: Option<&'a Auth>,
    /// A body that is not JSON.
    pub raw: Option<&'a Raw>,
    /// Warnings.
    pub warnings: &'a [String],
    /// What the caller sees as the error; empty when there is none.
    pub error: &'a str,
}

/// How a device writes values.
pub(super) struct Hand<'a> {
    /// The device's salt.
    pub key: &'a HmacKey,
    /// `log_raw`: values stay.
    pub raw: bool,
    /// `hmac_accessor`: accessors are masked too.
    pub mask_accessors: bool,
}

impl Hand<'_> {
    fn secret(&self, out: &mut Vec<u8>, text: &str) {
        if self.raw || text.is_empty() { escape(out, text) } else { mask_text(out, self.key, text.as_bytes()) }
    }

    fn accessor(&self, out: &mut Vec<u8>, text: &str) {
        if self.mask_accessors { self.secret(out, text) } else { escape(out, text) }
    }

    fn plain<'a>(&self, names: &'a [String], own_data: bool) -> Plain<'a> {
        Plain { names, numbers: !own_data, all: self.raw }
    }

    /// What every line of one token says about it.
    pub(super) fn signature(&self, caller: &Caller, token: Option<&str>, token_type: &str) -> Signature {
        let token = token.unwrap_or_default();
        let mut auth = Vec::with_capacity(512);
        let mut request = Vec::with_capacity(256);
        if !token.is_empty() {
            request.extend_from_slice(b",\"client_token\":");
            self.secret(&mut request, token);
        }
        if token_type.is_empty() {
            auth.extend_from_slice(b"{\"policy_results\":");
            return Signature { auth, request };
        }
        auth.extend_from_slice(b"{\"client_token\":");
        self.secret(&mut auth, token);
        if !caller.accessor.is_empty() {
            auth.extend_from_slice(b",\"accessor\":");
            self.accessor(&mut auth, &caller.accessor);
            request.extend_from_slice(b",\"client_token_accessor\":");
            self.accessor(&mut request, &caller.accessor);
        }
        auth.extend_from_slice(b",\"display_name\":");
        escape(&mut auth, &caller.display_name);
        auth.extend_from_slice(b",\"policies\":");
        strings(&mut auth, &caller.policies);
        auth.extend_from_slice(b",\"token_policies\":");
        strings(&mut auth, &caller.policies);
        if !caller.entity_id.is_empty() {
            auth.extend_from_slice(b",\"entity_id\":");
            escape(&mut auth, &caller.entity_id);
        }
        auth.extend_from_slice(b",\"token_type\":");
        escape(&mut auth, token_type);
        auth.extend_from_slice(b",\"policy_results\":");
        Signature { auth, request }
    }
}

/// `response` has one letter more than `request`: the first line begins after it.
const SLACK: usize = 1;
/// `{"time":"` and the time, `","type":"`.
const TYPE_AT: usize = 9 + 30 + 10;

/// A line in the making.
pub(super) struct Line {
    buffer: Vec<u8>,
    /// Where what only the request's line says begins.
    shared_end: usize,
    /// Whether it holds secrets as they are: `log_raw`.
    raw: bool,
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.raw {
            spare::give(std::mem::take(&mut self.buffer));
        }
    }
}

impl Line {
    /// The request's line.
    pub(super) fn asked(hand: &Hand<'_>, signature: &Signature, asked: &Asked<'_>) -> Line {
        let body = asked.fields.map_or(0, |fields| fields.body().len().min(4096));
        let mut buffer = spare::take(1024 + body + signature.auth.len() + signature.request.len());
        buffer.resize(SLACK + TYPE_AT, b' ');
        buffer.extend_from_slice(b"request\",\"auth\":");
        buffer.extend_from_slice(&signature.auth);
        buffer.extend_from_slice(if asked.allowed { b"{\"allowed\":true}}" } else { b"{\"allowed\":false}}" });
        buffer.extend_from_slice(b",\"request\":{\"id\":\"");
        buffer.extend_from_slice(asked.id.as_str().as_bytes());
        buffer.extend_from_slice(b"\",\"operation\":\"");
        buffer.extend_from_slice(asked.operation.as_bytes());
        buffer.push(b'"');
        if let Some(mount) = &asked.mount {
            mounted(&mut buffer, mount);
        }
        buffer.extend_from_slice(&signature.request);
        buffer.extend_from_slice(b",\"namespace\":{\"id\":\"root\"},\"path\":");
        escape(&mut buffer, asked.path);
        if let Some(fields) = asked.fields {
            data(&mut buffer, hand, asked, fields);
        }
        buffer.extend_from_slice(b",\"remote_address\":\"");
        address(&mut buffer, asked.remote.ip());
        buffer.extend_from_slice(b"\",\"remote_port\":");
        number(&mut buffer, asked.remote.port().into());
        if asked.wrap_ttl > 0 {
            buffer.extend_from_slice(b",\"wrap_ttl\":");
            number(&mut buffer, asked.wrap_ttl);
        }
        buffer.push(b'}');
        let mut line = Line { shared_end: buffer.len(), buffer, raw: hand.raw };
        line.start(SLACK, asked.time);
        line.end(asked.error);
        line
    }

    /// The response's line, which says all that the request's said.
    pub(super) fn answered(
        mut self,
        hand: &Hand<'_>,
        mount: Option<Mounted<'_>>,
        time: Timestamp,
        answer: &Answered<'_>,
    ) -> Line {
        self.buffer.truncate(self.shared_end);
        self.start(0, time);
        self.buffer[TYPE_AT..TYPE_AT + 9].copy_from_slice(b"response\"");
        let buffer = &mut self.buffer;
        buffer.extend_from_slice(b",\"response\":{");
        let start = buffer.len();
        if let Some(mount) = &mount {
            mounted(buffer, mount);
        }
        if let Some(auth) = answer.auth {
            buffer.extend_from_slice(b",\"auth\":");
            auth_block(buffer, hand, auth);
        }
        if let Some(data) = answer.data {
            buffer.extend_from_slice(b",\"data\":");
            let (names, own) = mount.map_or((&[][..], false), |mount| (mount.plain_response, mount.own_data));
            mask_json(buffer, hand.key, data.as_bytes(), hand.plain(names, own));
        }
        if let Some(raw) = answer.raw {
            buffer.extend_from_slice(b",\"data\":{\"http_content_type\":");
            escape(buffer, raw.content_type);
            buffer.extend_from_slice(b",\"http_raw_body\":");
            mask_text(buffer, hand.key, &raw.body);
            buffer.push(b'}');
        }
        if !answer.warnings.is_empty() {
            buffer.extend_from_slice(b",\"warnings\":");
            strings(buffer, answer.warnings);
        }
        if buffer.get(start) == Some(&b',') {
            buffer.remove(start);
        }
        buffer.push(b'}');
        self.end(answer.error);
        self
    }

    /// The line with its newline.
    pub(super) fn as_bytes(&self) -> &[u8] {
        if self.buffer[0] == b' ' { &self.buffer[SLACK..] } else { &self.buffer }
    }

    fn start(&mut self, at: usize, time: Timestamp) {
        let head = &mut self.buffer[at..at + TYPE_AT];
        head[..9].copy_from_slice(b"{\"time\":\"");
        head[9..39].copy_from_slice(&time.rfc3339());
        head[39..].copy_from_slice(b"\",\"type\":\"");
    }

    fn end(&mut self, error: &str) {
        if !error.is_empty() {
            self.buffer.extend_from_slice(b",\"error\":");
            escape(&mut self.buffer, error);
        }
        self.buffer.extend_from_slice(b"}\n");
    }
}

/// An address; the common kind without the formatter, which costs more than all of the rest of the line's numbers.
fn address(buffer: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            for (at, octet) in ip.octets().into_iter().enumerate() {
                if at > 0 {
                    buffer.push(b'.');
                }
                number(buffer, octet.into());
            }
        }
        // Writing to a vector does not fail.
        IpAddr::V6(ip) => _ = write!(buffer, "{ip}"),
    }
}

fn mounted(buffer: &mut Vec<u8>, mount: &Mounted<'_>) {
    buffer.extend_from_slice(b",\"mount_point\":");
    escape(buffer, mount.point);
    buffer.extend_from_slice(b",\"mount_type\":");
    escape(buffer, mount.kind);
    buffer.extend_from_slice(b",\"mount_accessor\":");
    escape(buffer, mount.accessor);
    buffer.extend_from_slice(b",\"mount_class\":\"");
    buffer.extend_from_slice(mount.class.as_bytes());
    buffer.push(b'"');
}

fn data(buffer: &mut Vec<u8>, hand: &Hand<'_>, asked: &Asked<'_>, fields: &Fields) {
    let in_path = |name: &str| {
        asked.params.iter().any(|param| param.place == strongroom_mount::route::Place::Path && param.name == name)
    };
    let mut names = fields.iter().filter(|(name, _)| !in_path(name)).peekable();
    if names.peek().is_none() {
        return;
    }
    let (plain, own) = asked.mount.as_ref().map_or((&[][..], false), |mount| (mount.plain_request, mount.own_data));
    buffer.extend_from_slice(b",\"data\":{");
    for (at, (name, json)) in names.enumerate() {
        if at > 0 {
            buffer.push(b',');
        }
        escape(buffer, name);
        buffer.push(b':');
        let spared = plain.iter().any(|plain| plain == name);
        let mut rules = hand.plain(&[], own);
        rules.all |= spared;
        mask_json(buffer, hand.key, json.as_bytes(), rules);
    }
    buffer.push(b'}');
}

fn auth_block(buffer: &mut Vec<u8>, hand: &Hand<'_>, auth: &Auth) {
    buffer.extend_from_slice(b"{\"client_token\":");
    hand.secret(buffer, &auth.client_token);
    buffer.extend_from_slice(b",\"accessor\":");
    hand.accessor(buffer, &auth.accessor);
    buffer.extend_from_slice(b",\"policies\":");
    strings(buffer, &auth.policies);
    buffer.extend_from_slice(b",\"token_policies\":");
    strings(buffer, &auth.token_policies);
    if let Some(metadata) = auth.metadata.as_ref().filter(|metadata| !metadata.is_empty()) {
        buffer.extend_from_slice(b",\"metadata\":{");
        for (at, (name, value)) in metadata.iter().enumerate() {
            if at > 0 {
                buffer.push(b',');
            }
            escape(buffer, name);
            buffer.push(b':');
            hand.secret(buffer, value);
        }
        buffer.push(b'}');
    }
    buffer.extend_from_slice(b",\"token_type\":");
    escape(buffer, auth.token_type);
    buffer.extend_from_slice(b",\"token_ttl\":");
    number(buffer, auth.lease_duration);
    buffer.push(b'}');
}
