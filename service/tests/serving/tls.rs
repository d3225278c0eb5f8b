//! TLS: a certificate is replaced while a connection goes on; signals reopen the audit file.

use crate::stand::{audit, lines};
use rustls::pki_types::ServerName;
use std::path::Path;
use std::sync::Arc;
use strongroom_clock::Clock;
use strongroom_keystore::Store;
use strongroom_service::config::{Config, Environment};
use strongroom_service::custody::Custody;
use strongroom_service::{Running, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Writes a new certificate for `localhost` with a key of its own, and gives it as trusted.
fn certify(directory: &Path) -> rustls::pki_types::CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(directory.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

async fn start(directory: &Path, more: &str) -> Running {
    let at = |name: &str| format!("{:?}", directory.join(name).to_str().unwrap());
    let text = format!(
        "storage \"inmem\" {{}}\nlistener \"tcp\" {{ address = \"127.0.0.1:0\"\n tls_cert_file = {}\n tls_key_file = {} }}\n{more}",
        at("cert.pem"),
        at("key.pem")
    );
    let config = Config::parse("test.hcl", &text, &Environment::default()).unwrap().config;
    let custody = Custody::new(Store::inmem(), &config, Clock::system()).unwrap();
    Server::start(&config, custody, Clock::system()).await.unwrap()
}

async fn connect(
    running: &Running,
    trusted: &rustls::pki_types::CertificateDer<'static>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(running.addresses()[0]).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

async fn health(stream: &mut TlsStream<TcpStream>) -> bool {
    stream.write_all(b"GET /v1/sys/health HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    let mut held = vec![0; 4096];
    let length = stream.read(&mut held).await.unwrap();
    held[..length].starts_with(b"HTTP/1.1 501")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_replaced_and_no_connection_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let first = certify(directory.path());
    let running = start(directory.path(), "").await;
    let mut before = connect(&running, &first).await.unwrap();
    assert_eq!(before.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    assert!(health(&mut before).await);
    let second = certify(directory.path());
    running.reload();
    assert!(health(&mut before).await, "the old connection goes on");
    assert!(connect(&running, &first).await.is_err(), "a new one has the new certificate");
    assert!(health(&mut connect(&running, &second).await.unwrap()).await);
    // A certificate that cannot be read changes nothing.
    std::fs::write(directory.path().join("cert.pem"), "nonsense").unwrap();
    running.reload();
    assert!(health(&mut connect(&running, &second).await.unwrap()).await);
    drop(before);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_are_watched_behind_tls_too() {
    let directory = tempfile::tempdir().unwrap();
    let trusted = certify(directory.path());
    let running = start(directory.path(), "").await;
    for (name, bytes) in crate::refusals::ambiguous("none") {
        let mut stream = connect(&running, &trusted).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut held = Vec::new();
        // Closed without a farewell where bytes are left unread.
        let _ = stream.read_to_end(&mut held).await;
        let all = String::from_utf8_lossy(&held);
        assert!(all.matches("HTTP/1.1 400 ").count() == 1 && !all.contains("\"initialized\""), "{name}: {all}");
    }
    assert!(health(&mut connect(&running, &trusted).await.unwrap()).await);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_opens_the_audit_file_again() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("audit.log");
    let stand = crate::stand::Stand::unsealed(&audit(&log)).await;
    stand.root("GET", "sys/mounts", None).await;
    let before = lines(&log).len();
    std::fs::rename(&log, directory.path().join("moved")).unwrap();
    stand.running.reload();
    stand.root("GET", "sys/mounts", None).await;
    assert_eq!(lines(&directory.path().join("moved")).len(), before);
    assert_eq!(lines(&log).len(), 2);
    stand.running.stop().await;
}
