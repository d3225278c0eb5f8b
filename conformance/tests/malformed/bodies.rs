//! Bodies: what is no JSON, what is too much of it, and what says to be something else.

use crate::table::Table;

const CREATE: &str = "auth/token/create";

pub(crate) fn add(table: &mut Table) {
    table.class("JSON");
    for (name, body) in [
        ("an open brace", "{"),
        ("a closing brace", "}"),
        ("a brace too many", "{}}"),
        ("an unclosed string", "{\"a"),
        ("a name without a value", "{\"a\"}"),
        ("a name and a colon", "{\"a\":}"),
        ("a name and no colon", "{\"a\" 1}"),
        ("a name that is a number", "{1:1}"),
        ("a name without quotes", "{a:1}"),
        ("a name that is null", "{null:1}"),
        ("single quotes", "{'a':1}"),
        ("a bare word", "x"),
        ("a list", "[]"),
        ("a list of objects", "[{\"ttl\":\"1h\"}]"),
        ("a number", "12"),
        ("a string", "\"x\""),
        ("true", "true"),
        ("null and more", "null null"),
        ("a trailing comma", "{\"a\":1,}"),
        ("a leading comma", "{,\"a\":1}"),
        ("two commas", "{\"a\":1,,\"b\":2}"),
        ("a comma alone", "{,}"),
        ("a semicolon", "{\"a\":1;\"b\":2}"),
        ("NaN", "{\"a\":NaN}"),
        ("Infinity", "{\"a\":Infinity}"),
        ("minus Infinity", "{\"a\":-Infinity}"),
        ("undefined", "{\"a\":undefined}"),
        ("True", "{\"a\":True}"),
        ("a comment behind", "{\"a\":1}//x"),
        ("a comment within", "{/*x*/\"a\":1}"),
        ("a shell's comment", "#x\n{}"),
        ("two objects", "{}{}"),
        ("two objects on two lines", "{}\n{}"),
        ("a name twice", "{\"type\":\"service\",\"type\":\"batch\"}"),
        ("a name twice, once escaped", "{\"type\":\"service\",\"\\u0074ype\":\"batch\"}"),
        ("a lone surrogate", "{\"type\":\"\\ud800\"}"),
        ("a lone low surrogate", "{\"type\":\"\\udc00\"}"),
        ("surrogates in the wrong order", "{\"type\":\"\\udc00\\ud800\"}"),
        ("a lone surrogate in a name", "{\"\\ud800\":1}"),
        ("an escape that is none", "{\"a\":\"\\q\"}"),
        ("an escape in hexadecimal", "{\"a\":\"\\x41\"}"),
        ("an escape cut short", "{\"a\":\"\\u12\"}"),
        ("an escape that is no number", "{\"a\":\"\\u12g4\"}"),
        ("a control character", "{\"a\":\"\u{1}\"}"),
        ("a line feed in a string", "{\"a\":\"\n\"}"),
        ("a tab in a string", "{\"a\":\"\t\"}"),
        ("a NUL in a string", "{\"a\":\"\0\"}"),
        ("a NUL behind", "{}\0"),
        ("a byte order mark", "\u{feff}{}"),
        ("a space that is no white space", "{\u{a0}\"a\":1}"),
        ("a form feed", "{\x0c\"a\":1}"),
        ("a leading zero", "{\"a\":01}"),
        ("a plus", "{\"a\":+1}"),
        ("a point in front", "{\"a\":.5}"),
        ("a point behind", "{\"a\":1.}"),
        ("an exponent without digits", "{\"a\":1e}"),
        ("two points", "{\"a\":1.2.3}"),
        ("hexadecimal", "{\"a\":0x10}"),
        ("a minus alone", "{\"a\":-}"),
        ("a number too large", "{\"ttl\":1e999}"),
        ("YAML", "ttl: 1h\n"),
        ("XML", "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>"),
        ("a form that says to be JSON", "ttl=1h"),
    ] {
        table.post(name, CREATE, "", body.as_bytes(), 400);
    }
    for (name, body) in [
        ("invalid UTF-8 in a value", &b"{\"ttl\":\"\xff\"}"[..]),
        ("invalid UTF-8 in a name", b"{\"\xc3\x28\":1}"),
        ("an overlong form", b"{\"a\":\"\xc0\xaf\"}"),
        ("a surrogate in UTF-8", b"{\"a\":\"\xed\xa0\x80\"}"),
        ("UTF-16", b"\xff\xfe{\0}\0"),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\xae\x05\0"),
        ("CBOR", b"\xa1\x61a\x01"),
    ] {
        table.post(name, CREATE, "", body, 400);
    }
    table.class("size");
    for depth in [1001, 10_000, 100_000] {
        let lists = format!("{{\"meta\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        table.post(&format!("{depth} lists deep"), CREATE, "", lists.as_bytes(), 400);
        let objects = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        table.post(&format!("{depth} objects deep"), CREATE, "", objects.as_bytes(), 400);
        table.post(&format!("{depth} lists that do not close"), CREATE, "", "[".repeat(depth).as_bytes(), 400);
    }
    let wide: Vec<String> = (0..50_000).map(|n| format!("\"k{n}\":{n}")).collect();
    table.post("50,000 names", "sys/policies/acl/wide", "", format!("{{{}}}", wide.join(",")).as_bytes(), 400);
    table.post(
        "a name of 1 MiB",
        "sys/policies/acl/wide",
        "",
        format!("{{\"{}\":1}}", "n".repeat(1 << 20)).as_bytes(),
        400,
    );
    table.post(
        "a number of 100,000 digits",
        CREATE,
        "",
        format!("{{\"ttl\":{}}}", "9".repeat(100_000)).as_bytes(),
        400,
    );
    table.post(
        "a TTL of 100,000 digits",
        CREATE,
        "",
        format!("{{\"ttl\":\"{}s\"}}", "9".repeat(100_000)).as_bytes(),
        400,
    );
    table.post(
        "a policy of 2 MiB",
        "sys/policies/acl/big",
        "",
        format!("{{\"policy\":\"{}\"}}", "# x\\n".repeat(1 << 19)).as_bytes(),
        400,
    );
    table.post(
        "a policy 10,000 blocks deep",
        "sys/policies/acl/deep",
        "",
        format!("{{\"policy\":\"{}\"}}", "a { ".repeat(10_000)).as_bytes(),
        400,
    );

    table.class("type");
    const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
    table.post("a form that is no UTF-8", CREATE, FORM, b"ttl=\xff", 400);
    table.post("a form that looks like JSON", CREATE, FORM, b"{\"ttl\":", 400);
    table.post("parts", CREATE, "Content-Type: multipart/form-data; boundary=x\r\n", b"--x\r\n\r\na\r\n--x--\r\n", 400);
    for (name, headers, status) in [
        ("a patch without a type", "", 400),
        ("a patch of JSON", "Content-Type: application/json\r\n", 415),
        ("a patch of steps", "Content-Type: application/json-patch+json\r\n", 415),
        ("a patch whose type repeats itself to its sender", "Content-Type: a\"b\\\r\n", 415),
    ] {
        let headers = format!("{headers}Content-Length: 2\r\n");
        table.request(name, "PATCH /v1/sys/policies/acl/p HTTP/1.1", &headers, b"{}", status);
    }
    ciphertexts(table);
}

/// Texts that come back to transit as what it gave out.
fn ciphertexts(table: &mut Table) {
    table.class("ciphertext");
    for text in [
        "",
        "x",
        "vault",
        "vault:",
        "vault:v1",
        "vault:v1:",
        "vault:v0:AAAA",
        "vault:v-1:AAAA",
        "vault:v99:AAAA",
        "vault:v4294967297:AAAA",
        "vault:v18446744073709551617:AAAA",
        "vault:vx:AAAA",
        "vault:v01:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "vault:v1:****",
        "vault:v1:AAA",
        "vault:v1:AAAA",
        "vault:v1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "vault:v1:vault:v1:AAAA",
        "VAULT:V1:AAAA",
        " vault:v1:AAAA",
        "bao:v1:AAAA",
        "vault:v1:\u{0}",
        "vault:v1:../../..",
    ] {
        let body = serde_json::json!({ "ciphertext": text }).to_string();
        table.post(&format!("{text:?}"), "transit/decrypt/k", "", body.as_bytes(), 400);
    }
    for (name, body) in [
        ("a plaintext that is no base64", "{\"plaintext\":\"*\"}"),
        ("a plaintext without its padding", "{\"plaintext\":\"AAA\"}"),
        ("a plaintext that is a list", "{\"plaintext\":[]}"),
        ("a batch that is none", "{\"batch_input\":{}}"),
        ("a batch of numbers", "{\"batch_input\":[1]}"),
        ("an empty batch", "{\"batch_input\":[]}"),
        ("a batch within a batch", "{\"batch_input\":[{\"batch_input\":[]}]}"),
        ("a version that is none", "{\"plaintext\":\"AAAA\",\"key_version\":\"x\"}"),
        ("a version that is not there", "{\"plaintext\":\"AAAA\",\"key_version\":7}"),
        ("a negative version", "{\"plaintext\":\"AAAA\",\"key_version\":-1}"),
    ] {
        table.post(name, "transit/encrypt/k", "", body.as_bytes(), 400);
    }
}
