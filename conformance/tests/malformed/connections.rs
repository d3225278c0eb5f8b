//! What is hostile in time and not in bytes: slow senders and readers, idle connections, and noise where TLS is spoken.

use crate::table::read_answer;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use strongroom_conformance::TestServer;
use strongroom_conformance::server::Config;

/// The address of the listener that the log names with this scheme, and that is not the first one.
fn other_listener(server: &TestServer, scheme: &str) -> SocketAddr {
    let named = |log: &str| {
        let lines = log.lines().filter_map(|line| line.split_once(&format!("listening on {scheme}://")));
        let mut addresses = lines.filter_map(|(_, address)| address.trim().parse().ok());
        addresses.rfind(|address| *address != server.address())
    };
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        // It is ready before it says where it listens.
        match named(&server.log()) {
            Some(address) => return address,
            None if Instant::now() > end => panic!("the log names no {scheme} listener:\n{}", server.log()),
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

#[test]
fn slow_and_idle_connections_are_closed_and_others_are_served() {
    let stanzas = "listener \"tcp\" { address = \"127.0.0.1:0\"  tls_disable = true
        http_read_header_timeout = \"1s\"  http_read_timeout = \"1s\"  http_idle_timeout = \"1s\"  http_write_timeout = \"1s\" }";
    let (server, init) = TestServer::unsealed(Config { stanzas: stanzas.into(), ..Config::default() });
    let address = other_listener(&server, "http");
    let head = format!("POST /v1/sys/tools/hash HTTP/1.1\r\nHost: t\r\nX-Vault-Token: {}\r\n", init.root);
    let kinds = [
        ("nothing", String::new(), None),
        ("a line end now and then", "\r\n".to_owned(), None),
        ("half a request line", "GET /v1/sys".to_owned(), None),
        ("half a head", "GET /v1/sys/health HTTP/1.1\r\nHost: t\r\n".to_owned(), None),
        ("a head without its body", format!("{head}Content-Length: 10\r\n\r\n"), Some(408)),
        ("half a body", format!("{head}Content-Length: 10\r\n\r\n{{"), Some(408)),
        ("half a chunk", format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\n{{"), Some(408)),
        ("no last chunk", format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n"), Some(408)),
        ("a whole request, and then nothing", "GET /v1/sys/health HTTP/1.1\r\nHost: t\r\n\r\n".to_owned(), Some(200)),
        (
            "a second head that does not end",
            "GET /v1/sys/health HTTP/1.1\r\nHost: t\r\n\r\nGET /v1".to_owned(),
            Some(200),
        ),
    ];
    // Many of each at once: they cost nobody else anything.
    let mut open: Vec<(&str, Option<u16>, TcpStream)> = Vec::new();
    for _ in 0..20 {
        for (name, bytes, status) in &kinds {
            let mut stream = TcpStream::connect(address).expect("the server listens");
            stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
            stream.write_all(bytes.as_bytes()).expect("the server reads");
            open.push((name, *status, stream));
        }
        let beside = TcpStream::connect(address).expect("the server listens");
        assert_eq!(health(beside), Some(200), "others are served meanwhile");
    }
    for (name, status, mut stream) in open {
        let answer = read_answer(&mut stream);
        let text = String::from_utf8_lossy(&answer);
        assert_eq!(text.get(9..12).and_then(|code| code.parse().ok()), status, "{name}: {text}");
        let mut rest = Vec::new();
        // Closed with or without a farewell; a timeout is neither.
        let ended = stream.read_to_end(&mut rest);
        assert!(ended.is_ok_and(|_| rest.is_empty()), "{name}: it is closed");
    }
    assert_eq!(server.client().call("GET", "sys/health", None).status, 200);
}

fn health(mut stream: TcpStream) -> Option<u16> {
    stream.write_all(b"GET /v1/sys/health HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").ok()?;
    let answer = read_answer(&mut stream);
    String::from_utf8_lossy(&answer).get(9..12)?.parse().ok()
}

#[test]
fn noise_where_tls_is_spoken_is_closed_and_handshakes_go_on() {
    let directory = std::sync::Arc::new(tempfile::tempdir().expect("a temporary directory"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    std::fs::write(directory.path().join("cert.pem"), made.cert.pem()).expect("written");
    std::fs::write(directory.path().join("key.pem"), made.signing_key.serialize_pem()).expect("written");
    let stanzas = "listener \"tcp\" { address = \"127.0.0.1:0\"  tls_cert_file = \"{dir}/cert.pem\"
        tls_key_file = \"{dir}/key.pem\"  http_read_header_timeout = \"1s\" }";
    let server = TestServer::start_in(directory, Config { stanzas: stanzas.into(), ..Config::default() });
    let address = other_listener(&server, "https");
    let hello = |version: u8, length: u16, body: &[u8]| [&[0x16, 3, version][..], &length.to_be_bytes(), body].concat();
    let kinds: Vec<(&str, Vec<u8>)> = vec![
        ("plain HTTP", b"GET /v1/sys/health HTTP/1.1\r\nHost: t\r\n\r\n".to_vec()),
        ("nothing", Vec::new()),
        ("one byte of a record", vec![0x16]),
        ("noise", (0..=255).cycle().take(4096).collect()),
        ("zeroes", vec![0; 4096]),
        ("an SSL 2 hello", b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10".to_vec()),
        ("a record that is empty", hello(1, 0, b"")),
        ("a record larger than any", hello(1, 0xffff, &[0; 1024])),
        ("a record that breaks off", hello(1, 512, b"\x01\x00\x01\xfc")),
        ("a hello longer than its record", hello(1, 4, b"\x01\xff\xff\xff")),
        (
            "a hello of 16 MiB in small records",
            hello(1, 4, b"\x01\xff\xff\xfe").into_iter().chain(hello(1, 1, b"\0").repeat(5000)).collect(),
        ),
        ("a hello without content", hello(1, 4, b"\x01\0\0\0")),
        ("a finished before the hello", hello(3, 4, b"\x14\0\0\0")),
        ("an alert", vec![0x15, 3, 3, 0, 2, 2, 40]),
        ("application data", vec![0x17, 3, 3, 0, 5, 1, 2, 3, 4, 5]),
        ("a change of cipher", vec![0x14, 3, 3, 0, 1, 1]),
        ("a heartbeat", vec![0x18, 3, 2, 0, 3, 1, 0x40, 0]),
        ("a record of no type", vec![0xff, 3, 3, 0, 1, 0]),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
    ];
    for (name, bytes) in &kinds {
        let mut stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
        // It may be refused before it is whole.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        let timed_out = ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!timed_out, "{name}: the connection is closed");
        // An alert is two bytes in a record; nothing else is ever said.
        assert!(answer.is_empty() || answer[0] == 0x15, "{name}: {}", answer.escape_ascii());
    }
    let curl = std::process::Command::new("curl")
        .args(["-sS", "--max-time", "20", "--cacert"])
        .arg(server.directory().join("cert.pem"))
        .arg("--resolve")
        .arg(format!("localhost:{}:127.0.0.1", address.port()))
        .arg(format!("https://localhost:{}/v1/sys/seal-status", address.port()))
        .output()
        .expect("curl runs: scripts/setup.sh test installs it");
    assert!(curl.status.success() && curl.stdout.starts_with(b"{"), "{}", String::from_utf8_lossy(&curl.stderr));
    assert!(!server.log().contains("panicked"), "{}", server.log());
}
