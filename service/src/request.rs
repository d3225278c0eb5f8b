//! From an HTTP request to what the pipeline works on: the canonical path, the operation, the token, the parameters.
//!
//! The path is parsed once, here: escapes are resolved, duplicate slashes collapsed, `..` and non-printable characters
//! refused. Policies, routes and the audit log all see this one form, so no two of them can disagree about a path.

use crate::config::Redact;
use crate::respond::Refusal;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Method};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use strongroom_mount::{Error, Fields, Operation};
use zeroize::Zeroizing;

/// Vault's own headers, hashed once.
static TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
static NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
static WRAP_TTL: HeaderName = HeaderName::from_static("x-vault-wrap-ttl");

/// A path below `/v1/`, canonical: no leading slash, no empty segment but a last one, no `.` or `..`, printable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiPath(String);

impl ApiPath {
    /// Reads the path of a request line; `None` when it is not below `/v1/`.
    ///
    /// # Errors
    /// 400: a broken escape, a segment `.` or `..`, a character that cannot be printed (with an empty body).
    pub fn parse(raw: &str) -> Result<Option<Self>, Refusal> {
        if let Some(rest) = raw.strip_prefix("/v1/")
            && is_canonical(rest.as_bytes())
        {
            return Ok(Some(ApiPath(rest.to_owned())));
        }
        let decoded = unescape(raw)?;
        if decoded.chars().any(is_unprintable) {
            return Err(Refusal::empty(400));
        }
        let mut path = String::with_capacity(decoded.len());
        for segment in decoded.split('/') {
            if segment == "." || segment == ".." {
                return Err(Refusal::text(400, "relative paths not supported"));
            }
            if !segment.is_empty() {
                path.push('/');
                path.push_str(segment);
            }
        }
        if decoded.ends_with('/') {
            path.push('/');
        }
        Ok(path.strip_prefix("/v1/").map(|rest| ApiPath(rest.to_owned())))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn into_directory(mut self) -> Self {
        if !self.0.ends_with('/') {
            self.0.push('/');
        }
        self
    }
}

/// Whether nothing has to be resolved, collapsed or refused: the common case, one pass and no copy but the last.
fn is_canonical(path: &[u8]) -> bool {
    let mut before = b'/';
    for &byte in path {
        if !(0x20..0x7f).contains(&byte) || byte == b'%' || (before == b'/' && (byte == b'/' || byte == b'.')) {
            return false;
        }
        before = byte;
    }
    true
}

fn unescape(raw: &str) -> Result<String, Refusal> {
    let broken = || Refusal::text(400, "the path holds a broken escape or is not UTF-8");
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let [high, low, tail @ ..] = rest else { return Err(broken()) };
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        let (Some(high), Some(low)) = (digit(high), digit(low)) else { return Err(broken()) };
        // Two hexadecimal digits make one byte.
        bytes.push((high << 4 | low) as u8);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| broken())
}

/// Controls, invisible marks, line separators, private use and non-characters.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{10ffff}')
}

/// What the request line asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// GET, without `?list=` or `?scan=`.
    Get,
    /// LIST, or GET with `?list=true`.
    List,
    /// SCAN, or GET with `?scan=true`.
    Scan,
    /// POST and PUT, which are the same.
    Write,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
    /// HEAD: served by `sys/health` alone.
    Head,
    /// OPTIONS: preflights, which are off.
    Options,
}

impl Verb {
    fn of(method: &Method) -> Result<Self, Refusal> {
        Ok(match method.as_str() {
            "GET" => Verb::Get,
            "POST" | "PUT" => Verb::Write,
            "LIST" => Verb::List,
            "SCAN" => Verb::Scan,
            "DELETE" => Verb::Delete,
            "PATCH" => Verb::Patch,
            "HEAD" => Verb::Head,
            "OPTIONS" => Verb::Options,
            _ => return Err(Refusal::bare(405)),
        })
    }

    /// The operation that routes and policies know; `None` for HEAD and OPTIONS.
    pub fn operation(self) -> Option<Operation> {
        Some(match self {
            Verb::Get => Operation::Read,
            Verb::List => Operation::List,
            Verb::Scan => Operation::Scan,
            Verb::Write => Operation::Update,
            Verb::Patch => Operation::Patch,
            Verb::Delete => Operation::Delete,
            Verb::Head | Verb::Options => return None,
        })
    }
}

/// A request without its body.
pub struct Head {
    /// The envelope's and the audit log's id.
    pub id: RequestId,
    /// What is wanted.
    pub verb: Verb,
    /// The canonical path.
    pub path: ApiPath,
    /// The query as it came, without the question mark.
    pub query: String,
    /// Whether `?help=1` asks for a description in place of the operation.
    pub help: bool,
    /// The token; `None` when none was sent.
    pub token: Option<Zeroizing<String>>,
    /// Seconds for which the answer is to be wrapped; 0 is not at all.
    pub wrap_ttl: u64,
    /// The body's type as given.
    pub content_type: Option<String>,
    /// Who sent it.
    pub remote: SocketAddr,
    /// What answers that need no token leave out, on the listener that it came through.
    pub redact: Redact,
}

impl Head {
    /// Reads request line and headers; `None` when the path is not below `/v1/`.
    ///
    /// # Errors
    /// 400, 404 and 405, as clients know them.
    pub fn parse(
        method: &Method,
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
        remote: SocketAddr,
    ) -> Result<Option<Self>, Refusal> {
        let Some(path) = ApiPath::parse(path)? else { return Ok(None) };
        let mut verb = Verb::of(method)?;
        let query = query.unwrap_or_default();
        let mut help = false;
        if verb == Verb::Get && !query.is_empty() {
            let list = flag(query, "list")?;
            let scan = flag(query, "scan")?;
            verb = match (list, scan) {
                (true, true) => return Err(Refusal::bare(400)),
                (true, false) => Verb::List,
                (false, true) => Verb::Scan,
                (false, false) => Verb::Get,
            };
            help = pairs(query).any(|(name, _)| name == "help");
        }
        let path = if matches!(verb, Verb::List | Verb::Scan) { path.into_directory() } else { path };
        namespace(headers)?;
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let content_type = text(&CONTENT_TYPE).map(str::to_owned);
        Ok(Some(Head {
            id: RequestId::next(),
            verb,
            path,
            query: query.to_owned(),
            help,
            token: token(headers),
            wrap_ttl: wrap_ttl(text(&WRAP_TTL))?,
            content_type,
            remote,
            redact: Redact::default(),
        }))
    }

    /// The parameters of a read, list, scan or delete, from the query.
    pub fn query_fields(&self) -> Fields {
        let mut fields = Fields::default();
        let mut names: Vec<(String, Vec<String>)> = Vec::new();
        for (name, value) in pairs(&self.query) {
            if matches!(name.as_str(), "list" | "scan" | "help") {
                continue;
            }
            match names.iter_mut().find(|(held, _)| *held == name) {
                Some((_, values)) => values.push(value),
                None => names.push((name, vec![value])),
            }
        }
        for (name, values) in &names {
            match &values[..] {
                [one] => fields.add(name, one),
                many => fields.add_list(name, &many.iter().map(String::as_str).collect::<Vec<_>>()),
            }
        }
        fields
    }

    /// The parameters of a write, from its body. The body's first byte decides how it is read, not its declared type:
    /// a form is a form only when it says so and does not look like JSON.
    ///
    /// # Errors
    /// 400 `failed to decode JSON input: …`; for PATCH 400 or 415 when the type is not that of a merge patch.
    pub fn body_fields(&self, body: bytes::Bytes) -> Result<Fields, Error> {
        let declared = self.content_type.as_deref().unwrap_or_default();
        let kind = declared.split(';').next().unwrap_or_default().trim();
        let json = matches!(body.trim_ascii_start().first(), Some(b'{' | b'[') | None);
        if !json && kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            let text = std::str::from_utf8(&body)
                .map_err(|_| Error::caller("failed to decode form input: it is not UTF-8"))?;
            let mut fields = Fields::default();
            for (name, value) in pairs(text) {
                fields.add(&name, &value);
            }
            return Ok(fields);
        }
        Fields::from_json(body)
    }

    /// PATCH must say that it is a merge patch.
    ///
    /// # Errors
    /// 400 when no type is given, 415 when it is another.
    pub fn check_patch_type(&self) -> Result<(), Refusal> {
        if self.verb != Verb::Patch {
            return Ok(());
        }
        let Some(declared) = self.content_type.as_deref().filter(|declared| !declared.is_empty()) else {
            return Err(Refusal::text(400, "mime: no media type"));
        };
        let kind = declared.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/merge-patch+json") {
            return Ok(());
        }
        // What was sent is repeated to the caller as JSON text, so it cannot break out of it.
        Err(Refusal::text(
            415,
            format!("PATCH requires Content-Type of application/merge-patch+json, provided {declared}"),
        ))
    }
}

/// The value of one parameter of a query or form, decoded.
pub fn query_value(query: &str, name: &str) -> Option<String> {
    pairs(query).find(|(held, _)| held == name).map(|(_, value)| value)
}

/// `a=b&c=d`, decoded; a broken escape stays as it stands.
fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (form_text(name), form_text(value))
    })
}

fn form_text(text: &str) -> String {
    let text = text.replace('+', " ");
    unescape(&text).unwrap_or(text)
}

/// A boolean of the query as Go reads it; absent is false.
fn flag(query: &str, name: &str) -> Result<bool, Refusal> {
    match query_value(query, name).as_deref() {
        None => Ok(false),
        Some(text) => parse_go_bool(text).ok_or(Refusal::bare(400)),
    }
}

/// `1 t T TRUE true True`, and their opposites.
pub fn parse_go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// `X-Vault-Token`, else `Authorization: Bearer …`. Bytes that are no text make a token that nobody has.
fn token(headers: &HeaderMap) -> Option<Zeroizing<String>> {
    let text = |value: &http::HeaderValue| {
        let text = String::from_utf8_lossy(value.as_bytes());
        let text = text.trim();
        (!text.is_empty()).then(|| Zeroizing::new(text.to_owned()))
    };
    if let Some(value) = headers.get(&TOKEN)
        && let Some(token) = text(value)
    {
        return Some(token);
    }
    let bearer = headers.get(AUTHORIZATION)?;
    text(bearer)?.strip_prefix("Bearer ").map(|token| Zeroizing::new(token.trim().to_owned())).filter(|t| !t.is_empty())
}

/// There are no namespaces: none, the empty one, `/` and `root` are this one.
fn namespace(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get(&NAMESPACE).map(http::HeaderValue::as_bytes) {
        None | Some(b"" | b"/" | b"root" | b"root/") => Ok(()),
        Some(_) => Err(Refusal::text(404, "namespace not found")),
    }
}

fn wrap_ttl(header: Option<&str>) -> Result<u64, Refusal> {
    let Some(text) = header.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(0) };
    let nanos = strongroom_mount::weak::parse_span(text).filter(|nanos| *nanos >= 0);
    let nanos = nanos.ok_or_else(|| Refusal::text(400, "X-Vault-Wrap-TTL is not a span that is zero or longer"))?;
    // Not negative: it was filtered above.
    Ok(nanos.unsigned_abs() / 1_000_000_000)
}

/// A version 4 UUID that no other request of this process has. Unique, not secret: a counter under a mixing function,
/// from a random start, since drawing 16 random bytes costs more than a token's HMAC.
#[derive(Clone, Copy)]
pub struct RequestId([u8; 36]);

impl RequestId {
    /// The next one.
    pub fn next() -> Self {
        static START: OnceLock<(u64, u64)> = OnceLock::new();
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let (first, second) = START.get_or_init(|| {
            // Not from the module's generator, whose first byte takes 30 ms: a sealed server answers before that.
            let draw = || RandomState::new().hash_one(0u8);
            (draw(), draw())
        });
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        RequestId::of(mix(first.wrapping_add(count)), mix(second.wrapping_sub(count)))
    }

    fn of(high: u64, low: u64) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut bits = u128::from(high) << 64 | u128::from(low);
        bits = bits & !(0xf << 76) | 0x4 << 76;
        bits = bits & !(0x3 << 62) | 0x2 << 62;
        let mut text = [b'-'; 36];
        let mut shift = 128;
        for (at, byte) in text.iter_mut().enumerate() {
            if !matches!(at, 8 | 13 | 18 | 23) {
                shift -= 4;
                *byte = DIGITS[(bits >> shift) as usize & 0xf];
            }
        }
        RequestId(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Hexadecimal digits and dashes are ASCII.
        std::str::from_utf8(&self.0).expect("digits and dashes")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The finaliser of SplitMix64: a bijection, so different counts stay different.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(raw: &str) -> Result<Option<String>, u16> {
        ApiPath::parse(raw).map(|path| path.map(|path| path.0)).map_err(|refusal| refusal.status())
    }

    fn head(method: &str, target: &str, headers: &[(&'static str, &str)]) -> Result<Option<Head>, Refusal> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Head::parse(&method, path, query, &map, "127.0.0.1:9".parse().unwrap())
    }

    #[test]
    fn one_path_has_one_form() {
        for raw in ["/v1/a/b", "//v1//a///b", "/v1/a%2fb", "/v1/%61/b", "/%76%31/a/b"] {
            assert_eq!(path(raw), Ok(Some("a/b".into())), "{raw}");
        }
        assert_eq!(path("/v1/a/b//"), Ok(Some("a/b/".into())));
        assert_eq!(path("/v1/"), Ok(Some(String::new())));
        assert_eq!(path("/v1/a%20b;c/..x/%C3%BC"), Ok(Some("a b;c/..x/ü".into())));
        assert_eq!(path("/v1/.well/.x"), Ok(Some(".well/.x".into())));
    }

    #[test]
    fn what_is_not_below_v1_is_no_path_of_the_api() {
        for raw in ["/", "/v1", "/v2/sys", "/ui", "*", "", "/V1/sys/mounts"] {
            assert_eq!(path(raw), Ok(None), "{raw}");
        }
    }

    #[test]
    fn relative_broken_and_unprintable_paths_are_refused() {
        for raw in [
            "/v1/a/../b",
            "/v1/..",
            "/v1/./a",
            "/v1/a/.",
            "/v1/a/%2e%2e/b",
            "/v1/a%2f..%2fb",
            "/v1/%2E/b",
            "/v1/a%00b",
            "/v1/a%0ab",
            "/v1/a%7fb",
            "/v1/%zz",
            "/v1/%",
            "/v1/%4",
            "/v1/%c0%ae%c0%ae/x",
            "/v1/%ff",
            "/v1/a%e2%80%8bb",
            "/v1/a%e2%80%aeb",
            "/v1/%ef%bb%bfa",
            "/v1/a%c2%85b",
            "/../v1/a",
        ] {
            assert_eq!(path(raw), Err(400), "{raw}");
        }
    }

    #[test]
    fn a_list_may_be_asked_for_in_three_ways() {
        for (method, target) in
            [("LIST", "/v1/a"), ("GET", "/v1/a?list=True"), ("GET", "/v1/a/?list=1"), ("LIST", "/v1/a/")]
        {
            let head = head(method, target, &[]).unwrap().unwrap();
            assert_eq!((head.verb, head.path.as_str()), (Verb::List, "a/"), "{method} {target}");
        }
        assert_eq!(head("GET", "/v1/a?list=false", &[]).unwrap().unwrap().verb, Verb::Get);
        for target in ["/v1/a?list=", "/v1/a?list=maybe", "/v1/a?list=true&scan=true", "/v1/a?scan=x"] {
            assert_eq!(head("GET", target, &[]).err().unwrap().status(), 400, "{target}");
        }
        assert_eq!(head("POST", "/v1/a?list=maybe", &[]).unwrap().unwrap().verb, Verb::Write);
    }

    #[test]
    fn unknown_methods_are_405() {
        for method in ["TRACE", "FROB", "get", "CONNECT"] {
            assert_eq!(head(method, "/v1/a", &[]).err().unwrap().status(), 405, "{method}");
        }
    }

    #[test]
    fn the_token_comes_from_either_header() {
        let token = |headers: &[(&'static str, &str)]| {
            head("GET", "/v1/a", headers).unwrap().unwrap().token.map(|token| token.to_string())
        };
        assert_eq!(token(&[("x-vault-token", " t ")]).as_deref(), Some("t"));
        assert_eq!(token(&[("authorization", "Bearer  t")]).as_deref(), Some("t"));
        assert_eq!(token(&[("x-vault-token", "a"), ("authorization", "Bearer b")]).as_deref(), Some("a"));
        assert_eq!(token(&[("x-vault-token", ""), ("authorization", "Bearer b")]).as_deref(), Some("b"));
        for headers in
            [[("authorization", "bearer t")], [("authorization", "Basic dDp0")], [("authorization", "Bearer ")]]
        {
            assert_eq!(token(&headers), None, "{headers:?}");
        }
        assert!(token(&[("x-vault-token", "tök")]).is_some());
    }

    #[test]
    fn namespaces_and_wrapping_headers_are_read() {
        for name in ["", "/", "root"] {
            assert!(head("GET", "/v1/a", &[("x-vault-namespace", name)]).is_ok(), "{name}");
        }
        assert_eq!(head("GET", "/v1/a", &[("x-vault-namespace", "x")]).err().unwrap().status(), 404);
        let ttl = |text: &str| head("GET", "/v1/a", &[("x-vault-wrap-ttl", text)]).map(|head| head.unwrap().wrap_ttl);
        assert!(matches!((ttl("0"), ttl(""), ttl("60"), ttl("1m")), (Ok(0), Ok(0), Ok(60), Ok(60))));
        assert!(ttl("soon").is_err() && ttl("-5").is_err());
    }

    #[test]
    fn queries_and_forms_become_fields() {
        let head = head("GET", "/v1/a?after=k%31&v=1&v=2&help=1&x=a+b", &[]).unwrap().unwrap();
        let fields = head.query_fields();
        assert!(head.help && !fields.has("help"));
        assert_eq!(fields.string("after").unwrap().unwrap(), "k1");
        assert_eq!(fields.string("x").unwrap().unwrap(), "a b");
        assert_eq!(fields.list("v").unwrap().unwrap(), ["1", "2"]);
    }

    #[test]
    fn the_first_byte_decides_how_a_body_is_read() {
        let body = |kind: &'static str, text: &'static str| {
            let head = head("POST", "/v1/a", &[("content-type", kind)]).unwrap().unwrap();
            head.body_fields(bytes::Bytes::from_static(text.as_bytes()))
        };
        const FORM: &str = "application/x-www-form-urlencoded";
        for (kind, text) in
            [(FORM, "{\"a\":\"1\"}"), (FORM, "a=1"), ("text/plain", " {\"a\":1}"), ("nonsense", "{\"a\":1}")]
        {
            assert_eq!(body(kind, text).unwrap().string("a").unwrap().unwrap(), "1", "{kind} {text}");
        }
        assert!(body(FORM, "").unwrap().is_empty());
        assert!(body("application/json", "a=1").is_err());
    }

    #[test]
    fn a_patch_says_that_it_is_one() {
        let check = |headers: &[(&'static str, &str)]| {
            head("PATCH", "/v1/a", headers).unwrap().unwrap().check_patch_type().map_err(|refusal| refusal.status())
        };
        assert_eq!(check(&[]), Err(400));
        assert_eq!(check(&[("content-type", "application/json")]), Err(415));
        assert_eq!(check(&[("content-type", "application/merge-patch+json; charset=utf-8")]), Ok(()));
    }

    #[test]
    fn request_ids_are_version_4_uuids_and_differ() {
        let ids: std::collections::BTreeSet<String> = (0..1000).map(|_| RequestId::next().to_string()).collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            let bytes = id.as_bytes();
            assert!(bytes[14] == b'4' && matches!(bytes[19], b'8' | b'9' | b'a' | b'b'), "{id}");
            assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        }
    }
}
