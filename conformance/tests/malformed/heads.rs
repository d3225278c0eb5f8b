//! Methods, paths, targets, request lines and headers.

use crate::table::{Table, Wanted};

pub(crate) fn add(table: &mut Table) {
    methods(table);
    paths(table);
    targets(table);
    lines(table);
    headers(table);
}

fn methods(table: &mut Table) {
    table.class("method");
    for method in
        ["FROB", "TRACE", "CONNECT", "get", "Post", "PROPFIND", "PURGE", "LINK", "PRI", "X", "*", "GET!", "%47ET"]
    {
        let target = if method == "CONNECT" { "t:80" } else { "/v1/sys/mounts" };
        let status = if method == "CONNECT" { 404 } else { 405 };
        table.request(method, &format!("{method} {target} HTTP/1.1"), "", b"", status);
    }
    for (name, method) in [
        ("an empty method", ""),
        ("a method in brackets", "(GET)"),
        ("a comma", "GET,POST"),
        ("a colon", "GET:"),
        ("a quote", "\"GET\""),
    ] {
        table.request(name, &format!("{method} /v1/sys/mounts HTTP/1.1"), "", b"", 400);
    }
    table.raw("a method with a NUL", "G\0T /v1/sys/mounts HTTP/1.1\r\nHost: t\r\n\r\n", 400);
    table.raw("a method beyond ASCII", "GÉT /v1/sys/mounts HTTP/1.1\r\nHost: t\r\n\r\n", 400);
    table.request("a method of 4,000 letters", &format!("{} /v1/sys/mounts HTTP/1.1", "A".repeat(4000)), "", b"", 405);
    for (line, status) in [
        ("DELETE /v1/sys/health", 405),
        ("PATCH /v1/sys/health", 405),
        ("LIST /v1/sys/seal-status", 405),
        ("POST /v1/sys/leader", 405),
        ("GET /v1/sys/unseal", 405),
        ("DELETE /v1/sys/init", 405),
        ("GET /v1/sys/seal", 405),
        ("HEAD /v1/sys/mounts", 405),
        ("OPTIONS /v1/sys/mounts", 405),
        ("SCAN /v1/sys/mounts", 404),
        ("LIST /v1/sys/mounts", 404),
        ("PATCH /v1/sys/mounts", 400),
        ("DELETE /v1/auth/token/create", 405),
        ("GET /v1/transit/encrypt/k", 405),
    ] {
        table.request(line, &format!("{line} HTTP/1.1"), "", b"", status);
    }
}

fn paths(table: &mut Table) {
    table.class("path");
    for path in [
        "/v1/sys/../sys/mounts",
        "/v1/%2e%2e/sys/mounts",
        "/v1/%2E%2E/sys/mounts",
        "/v1/.%2e/sys/mounts",
        "/v1/sys/%2e%2e%2fmounts",
        "/v1/sys/..%2fmounts",
        "/v1/sys/..",
        "/v1/..",
        "/v1/../v1/sys/mounts",
        "/../v1/sys/mounts",
        "/v1/sys/./mounts",
        "/v1/sys/%2E/mounts",
        "/v1/./sys/mounts",
        "/v1/sys/mounts/.",
        "/v1/transit/..%2fsys/mounts",
        "/v1/transit/keys/%2e%2e/%2e%2e/sys/mounts",
        "/v1/a%00b",
        "/v1/sys/mounts%00",
        "/v1/%00",
        "/v1/a%01b",
        "/v1/a%09b",
        "/v1/a%0ab",
        "/v1/a%0d%0aX-Vault-Token:%20x",
        "/v1/a%1bb",
        "/v1/%7f",
        "/v1/a%c2%85b",
        "/v1/%zz",
        "/v1/%",
        "/v1/%4",
        "/v1/a%g0",
        "/v1/%u002e",
        "/v1/%c3%28",
        "/v1/%ff",
        "/v1/%c0%ae%c0%ae/sys/mounts",
        "/v1/%e0%80%ae/sys/mounts",
        "/v1/%ed%a0%80",
        "/v1/%f4%90%80%80",
        "/v1/a%e2%80%8bb",
        "/v1/a%e2%80%aeb",
        "/v1/a%e2%80%a8b",
        "/v1/%ef%bb%bfsys/mounts",
        "/v1/a%ef%bf%bf",
        "/v1/a%f3%a0%80%81",
        "/v1/a%ee%80%80",
    ] {
        table.get(path, 400);
    }
    for path in [
        "/v1/SYS/mounts",
        "/v1/sys/MOUNTS",
        "/v1/sys;/mounts",
        "/v1/sys/mounts;a=b",
        "/v1/sys/mounts%20",
        "/v1/sys%5cmounts",
        "/v1/sys/mounts.json",
        "/v1/%252e%252e/sys/mounts",
        "/v1/sys/%252e%252e",
        "/v1/sys/...",
        "/v1/sys/mounts/",
        "/v1/nosuch",
        "/v1/",
        "/v1/%ef%bc%8e%ef%bc%8e/sys/mounts",
        "/v1/raw/core/keyring",
        "/v1/sys/raw/core/keyring",
    ] {
        table.get(path, 404);
    }
    for path in ["/", "/v2/sys/health", "/nothing", "/v1", "/V1/sys/health", "/ui/", "/v1.0/sys/health", "/metrics"] {
        table.get(path, 404);
    }
    // The same path, and served as such.
    for path in ["/v1//sys//mounts", "//v1/sys/mounts", "/v1/sys%2fmounts", "/%76%31/sys/mounts", "/v1/%73ys/mounts"] {
        table.get(path, 200);
    }
}

fn targets(table: &mut Table) {
    table.class("target");
    for (name, target, status) in [
        ("an asterisk", "*", 404),
        ("an absolute target", "http://other.example/v1/sys/mounts", 200),
        ("an absolute target without a path", "http://other.example", 404),
        ("a scheme that is none", "://v1/sys/mounts", 404),
        ("no slash", "v1/sys/mounts", 400),
        ("a fragment", "/v1/sys/mounts#x", 200),
        ("a backslash", "/v1\\sys\\mounts", 404),
        ("angle brackets", "/v1/<sys>", 400),
        ("a brace", "/v1/{sys}", 404),
        ("a caret", "/v1/a^b", 404),
        ("a pipe", "/v1/a|b", 404),
        ("a quote", "/v1/a\"b", 404),
        ("a backtick", "/v1/a`b", 400),
        ("a question mark alone", "/v1/sys/mounts?", 200),
        ("many question marks", "/v1/sys/mounts????", 200),
        ("a query with an escape that is broken", "/v1/sys/mounts?a=%zz&%=%", 200),
    ] {
        table.request(name, &format!("GET {target} HTTP/1.1"), "", b"", status);
    }
    let long = |name: &str, length: usize| (name.to_owned(), format!("/v1/{}", "a".repeat(length)));
    let ((short, path), (name, longer)) = (long("a path of 32 KiB", 32 << 10), long("a path of 64 KiB", 64 << 10));
    table.request(&short, &format!("GET {path} HTTP/1.1"), "", b"", 404);
    table.request(&name, &format!("GET {longer} HTTP/1.1"), "", b"", 414);
    table.request("a path of 30,000 slashes", &format!("GET /v1/{} HTTP/1.1", "/".repeat(30_000)), "", b"", 404);
    table.request("a path of 10,000 segments", &format!("GET /v1/{} HTTP/1.1", "a/".repeat(10_000)), "", b"", 404);
    let many: String = (0..5000).map(|n| format!("a{n}=b&")).collect();
    table.request("5,000 parameters", &format!("GET /v1/sys/mounts?{many} HTTP/1.1"), "", b"", 200);
    let raw = b"GET /v1/\xff\xfe HTTP/1.1\r\nHost: t\r\n\r\n".to_vec();
    table.raw("raw bytes beyond ASCII that are no UTF-8", raw, 400);
    for (query, status) in [
        ("list=maybe", 400),
        ("list=", 400),
        ("scan=2", 400),
        ("list=true&scan=true", 400),
        ("list=%ff", 400),
        ("list=true%00", 400),
    ] {
        table.get(&format!("/v1/sys/mounts?{query}"), status);
    }
    for code in ["x", "-1", "99", "600", "0", "2e2", "4294967496", "200%0d%0aa:b", ""] {
        table.get(&format!("/v1/sys/health?activecode={code}"), 400);
    }
}

fn lines(table: &mut Table) {
    table.class("request line");
    for (name, line) in [
        ("no version", "GET /v1/sys/health"),
        ("no version, but a space", "GET /v1/sys/health "),
        ("no target", "GET HTTP/1.1"),
        ("a method alone", "GET"),
        ("version 0.9", "GET /v1/sys/health HTTP/0.9"),
        ("version 1.2", "GET /v1/sys/health HTTP/1.2"),
        ("version 2.0", "GET /v1/sys/health HTTP/2.0"),
        ("version 3.0", "GET /v1/sys/health HTTP/3.0"),
        ("version 1", "GET /v1/sys/health HTTP/1"),
        ("version 1.10", "GET /v1/sys/health HTTP/1.10"),
        ("version 01.1", "GET /v1/sys/health HTTP/01.1"),
        ("a version in lower case", "GET /v1/sys/health http/1.1"),
        ("another protocol", "GET /v1/sys/health SIP/2.0"),
        ("two versions", "GET /v1/sys/health HTTP/1.1 HTTP/1.1"),
        ("a space before the method", " GET /v1/sys/health HTTP/1.1"),
        ("two spaces before the target", "GET  /v1/sys/health HTTP/1.1"),
        ("two spaces before the version", "GET /v1/sys/health  HTTP/1.1"),
        ("a space after the version", "GET /v1/sys/health HTTP/1.1 "),
        ("a tab before the target", "GET\t/v1/sys/health HTTP/1.1"),
        ("a tab before the version", "GET /v1/sys/health\tHTTP/1.1"),
        ("a carriage return within", "GET /v1/sys/\rhealth HTTP/1.1"),
        ("a NUL within", "GET /v1/sys/\0health HTTP/1.1"),
        ("a space within the target", "GET /v1/sys/ health HTTP/1.1"),
        ("an answer in place of a request", "HTTP/1.1 200 OK"),
        ("the preface of HTTP/2", "PRI * HTTP/2.0"),
    ] {
        table.raw(name, format!("{line}\r\nHost: t\r\nConnection: close\r\n\r\n"), 400);
    }
    for (name, bytes) in [
        ("binary noise", (0..=255).collect::<Vec<u8>>()),
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("an SSH greeting", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ("a mail greeting", b"EHLO t\r\n\r\n".to_vec()),
        ("a proxy's greeting", b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n".to_vec()),
        ("a proxy's binary greeting", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec()),
        ("a SOCKS greeting", b"\x05\x01\x00".to_vec()),
    ] {
        table.cut(name, bytes, Wanted::Status(400));
    }
    table.cut("nothing at all", "", Wanted::Closed);
    table.cut("nothing but line ends", "\r\n\r\n", Wanted::Closed);
    table.cut("half a request line", "GET /v1/sys/he", Wanted::Closed);
    table.cut("half a head", "GET /v1/sys/health HTTP/1.1\r\nHost: t\r\n", Wanted::Closed);
}

fn headers(table: &mut Table) {
    table.class("header");
    for (name, line) in [
        ("no colon", "A b\r\n"),
        ("a space before the colon", "A : b\r\n"),
        ("a tab before the colon", "A\t: b\r\n"),
        ("an empty name", ": b\r\n"),
        ("a space within the name", "A B: c\r\n"),
        ("an at sign in the name", "A@B: c\r\n"),
        ("a bracket in the name", "A(B): c\r\n"),
        ("a name beyond ASCII", "É: c\r\n"),
        ("a NUL in the name", "A\0: c\r\n"),
        ("a NUL in the value", "A: b\0c\r\n"),
        ("a bell in the value", "A: \x07\r\n"),
        ("an escape in the value", "A: \x1b[0m\r\n"),
        ("a delete in the value", "A: \x7f\r\n"),
        ("a vertical tab in the value", "A: b\x0b\r\n"),
        ("a carriage return in the value", "A: b\rc\r\n"),
        ("a bare line feed after the value", "A: b\n"),
        ("a bare line feed within the value", "A: b\nC: d\r\n"),
        ("a fold", "A: b\r\n c\r\n"),
        ("a fold by a tab", "A: b\r\n\tc\r\n"),
        ("a fold at the start", " A: b\r\n"),
        ("two Hosts", "Host: other\r\n"),
        ("a wrapping TTL that is a word", "X-Vault-Wrap-TTL: soon\r\n"),
        ("a negative wrapping TTL", "X-Vault-Wrap-TTL: -5\r\n"),
        ("a wrapping TTL too large", "X-Vault-Wrap-TTL: 99999999999999999999h\r\n"),
        ("a wrapping TTL with an exponent", "X-Vault-Wrap-TTL: 1e400\r\n"),
        ("a wrapping TTL that is a list", "X-Vault-Wrap-TTL: 5,5\r\n"),
        ("a wrapping TTL without a unit's number", "X-Vault-Wrap-TTL: h\r\n"),
        ("a wrapping TTL that is no number", "X-Vault-Wrap-TTL: NaN\r\n"),
    ] {
        table.header(name, line, 400);
    }
    for namespace in ["x", "root/x", "../", "sys", "auth", ".", "*", "ROOT", "%00", "a//b"] {
        table.header(&format!("namespace {namespace}"), &format!("X-Vault-Namespace: {namespace}\r\n"), 404);
    }
    // Heard, and without any power.
    for (name, line) in [
        ("an upgrade to h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
        ("an upgrade to a web socket", "Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n"),
        ("a hop of nonsense that no proxy of ours sent", "X-Forwarded-For: ' OR 1=1\r\n"),
        ("a path from elsewhere", "X-Original-URL: /v1/sys/seal\r\nX-Rewrite-URL: /v1/sys/seal\r\n"),
        ("another method", "X-HTTP-Method-Override: DELETE\r\n"),
        ("a range", "Range: bytes=0-0,1-1,2-2\r\n"),
        ("a condition", "If-None-Match: *\r\nIf-Match: \"x\"\r\n"),
        ("a coding that nobody has", "Accept-Encoding: x\r\nAccept: nothing/at-all\r\n"),
        ("an expectation that is unknown", "Expect: 200-ok\r\n"),
        ("an empty value", "A:\r\n"),
        ("a value in Latin-1", "A: \u{e9}\r\n"),
        ("a log4j look-up", "User-Agent: ${jndi:ldap://t/a}\r\n"),
        ("a shell's function", "User-Agent: () { :; }; exit\r\n"),
        ("close and keep-alive", "Connection: keep-alive\r\n"),
        ("its own header taken away", "Connection: close, X-Vault-Token\r\n"),
    ] {
        table.header(name, line, 200);
    }
    let many = |count: usize| -> String { (0..count).map(|n| format!("A{n}: b\r\n")).collect() };
    table.header("1,000 headers", &many(1000), 431);
    table.header("10,000 headers", &many(10_000), 431);
    table.header("one header 200 times", &"A: b\r\n".repeat(200), 431);
    table.header("a value of 1 MiB", &format!("A: {}\r\n", "b".repeat(1 << 20)), 431);
    table.header("a name of 200 KiB", &format!("{}: b\r\n", "a".repeat(200 << 10)), 431);
    table.raw("no Host", "GET /v1/sys/health HTTP/1.1\r\nConnection: close\r\n\r\n", 400);
    table.raw(
        "a cookie of 100 KiB in place of a Host",
        format!("GET / HTTP/1.1\r\nCookie: {}\r\n\r\n", "c".repeat(100_000)),
        400,
    );
}
