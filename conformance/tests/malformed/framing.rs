//! Lengths and chunks: where a body ends, and what may not be told in two ways.

use crate::table::{Table, Wanted};

const LINE: &str = "POST /v1/sys/tools/hash HTTP/1.1";

pub(crate) fn add(table: &mut Table) {
    lengths(table);
    chunks(table);
}

fn lengths(table: &mut Table) {
    table.class("length");
    for (name, headers, body) in [
        ("two that differ", "Content-Length: 2\r\nContent-Length: 3\r\n", "{} "),
        ("two that are equal", "Content-Length: 2\r\nContent-Length: 2\r\n", "{}"),
        ("a list", "Content-Length: 2, 2\r\n", "{}"),
        ("a list with nothing in it", "Content-Length: ,\r\n", ""),
        ("a negative one", "Content-Length: -2\r\n", "{}"),
        ("one with a plus", "Content-Length: +2\r\n", "{}"),
        ("a word", "Content-Length: two\r\n", "{}"),
        ("hexadecimal", "Content-Length: 0x2\r\n", "{}"),
        ("a fraction", "Content-Length: 2.0\r\n", "{}"),
        ("an exponent", "Content-Length: 2e0\r\n", "{}"),
        ("a space within", "Content-Length: 1 0\r\n", "{}        "),
        ("nothing", "Content-Length:\r\n", ""),
        ("quotes", "Content-Length: \"2\"\r\n", "{}"),
        ("2^64", "Content-Length: 18446744073709551616\r\n", "{}"),
        ("digits of another script", "Content-Length: ٢\r\n", "{}"),
        ("a space before the colon", "Content-Length : 2\r\n", "{}"),
        ("a fold", "Content-Length:\r\n 2\r\n", "{}"),
        ("beside chunks", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("behind chunks", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"),
        ("zero behind chunks", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "0\r\n\r\n"),
    ] {
        table.request(name, LINE, headers, body.as_bytes(), 400);
    }
    table.request("99 GB", LINE, "Content-Length: 99999999999\r\n", b"{", 413);
    table.request("2^64 - 1", LINE, "Content-Length: 18446744073709551615\r\n", b"{", 431);
    table.request("one more than the limit", LINE, "Content-Length: 33554433\r\n", b"{", 413);
    table.request("leading zeroes", LINE, "Content-Length: 0002\r\n", b"{}", 200);
    let open = "POST /v1/sys/unseal HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: 262145\r\n\r\n{";
    table.raw("300 KiB of somebody without a token", open, 413);
    let broken = format!("{LINE}\r\nHost: t\r\nX-Vault-Token: {}\r\nContent-Length: 100\r\n\r\n{{", table.token);
    table.cut("a body that breaks off", broken, Wanted::Status(400));
    // A body where none belongs is no second request.
    let hidden = "GET /v1/sys/seal-status HTTP/1.1\r\nHost: t\r\n\r\n";
    let length = format!("Content-Length: {}\r\n", hidden.len());
    table.request("a request within the body of a GET", "GET /v1/sys/mounts HTTP/1.1", &length, hidden.as_bytes(), 200);
    table.request(
        "a request within the body of a HEAD",
        "HEAD /v1/sys/health HTTP/1.1",
        &length,
        hidden.as_bytes(),
        200,
    );
}

fn chunks(table: &mut Table) {
    table.class("chunks");
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
    for (name, headers) in [
        ("an unknown coding", "Transfer-Encoding: xchunked\r\n"),
        ("identity", "Transfer-Encoding: identity\r\n"),
        ("gzip", "Transfer-Encoding: gzip\r\n"),
        ("gzip, then chunks", "Transfer-Encoding: gzip, chunked\r\n"),
        ("chunks, then gzip", "Transfer-Encoding: chunked, gzip\r\n"),
        ("chunks twice", "Transfer-Encoding: chunked, chunked\r\n"),
        ("chunks on two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        ("chunks, then identity on another line", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
        ("a vertical tab before the coding", "Transfer-Encoding: \x0bchunked\r\n"),
        ("quotes about the coding", "Transfer-Encoding: \"chunked\"\r\n"),
        ("a parameter behind the coding", "Transfer-Encoding: chunked;q=1\r\n"),
        ("a comma behind the coding", "Transfer-Encoding: chunked,\r\n"),
        ("no coding", "Transfer-Encoding:\r\n"),
        ("a space before the colon", "Transfer-Encoding : chunked\r\n"),
        ("a bare line feed before the coding", "A: b\nTransfer-Encoding: chunked\r\n"),
        ("a fold before the coding", "Transfer-Encoding:\r\n chunked\r\n"),
    ] {
        table.request(name, LINE, headers, b"0\r\n\r\n", 400);
    }
    for (name, body) in [
        ("a size that is no number", "zz\r\n{}\r\n0\r\n\r\n"),
        ("a negative size", "-2\r\n{}\r\n0\r\n\r\n"),
        ("a size with a prefix", "0x2\r\n{}\r\n0\r\n\r\n"),
        ("a size with a plus", "+2\r\n{}\r\n0\r\n\r\n"),
        ("no size", "\r\n{}\r\n0\r\n\r\n"),
        ("a size of 2^68", "ffffffffffffffffff\r\n{}\r\n"),
        ("a bare line feed behind the size", "2\n{}\r\n0\r\n\r\n"),
        ("a carriage return alone behind the size", "2\r{}\r\n0\r\n\r\n"),
        ("a line feed within an extension", "2;a\nb\r\n{}\r\n0\r\n\r\n"),
        ("more than the size says", "1\r\n{}\r\n0\r\n\r\n"),
        ("no line end behind a chunk", "2\r\n{}0\r\n\r\n"),
        ("a bare line feed behind a chunk", "2\r\n{}\n0\r\n\r\n"),
        ("a NUL as size", "\0\r\n{}\r\n0\r\n\r\n"),
        ("an extension of 64 KiB", &format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "a".repeat(64 << 10))),
        ("trailers of 64 KiB", &format!("2\r\n{{}}\r\n0\r\nA: {}\r\n\r\n", "a".repeat(64 << 10))),
        ("2,000 trailers", &format!("2\r\n{{}}\r\n0\r\n{}\r\n", "A: b\r\n".repeat(2000))),
    ] {
        table.request(name, LINE, CHUNKED, body.as_bytes(), 400);
    }
    for (name, body) in [
        ("a short extension", "2;a=b\r\n{}\r\n0\r\n\r\n"),
        ("leading zeroes", "0000000002\r\n{}\r\n0\r\n\r\n"),
        ("a trailer that is a token", "2\r\n{}\r\n0\r\nX-Vault-Token: x\r\n\r\n"),
        ("a request behind the last chunk", "0\r\n\r\nGET /v1/sys/seal HTTP/1.1\r\nHost: t\r\n\r\n"),
        ("a chunk for each byte", "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"),
    ] {
        table.request(name, LINE, CHUNKED, body.as_bytes(), 200);
    }
    table.request(
        "more chunks than the limit",
        "POST /v1/sys/unseal HTTP/1.1",
        CHUNKED,
        "10000\r\n".bytes().chain([b'x'; 65536]).chain(*b"\r\n").collect::<Vec<_>>().repeat(5).as_slice(),
        413,
    );
    let old = format!(
        "POST /v1/sys/tools/hash HTTP/1.0\r\nHost: t\r\nX-Vault-Token: {}\r\n{CHUNKED}\r\n0\r\n\r\n",
        table.token
    );
    table.raw("chunks in HTTP/1.0", old, 400);
}
