//! A small HTTP client: one request, one connection, plain or TLS.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use zeroize::Zeroizing;

/// Where a server is and how it is talked to.
pub(crate) struct Client {
    pub(crate) address: String,
    pub(crate) token: Option<Zeroizing<String>>,
    pub(crate) namespace: Option<String>,
    pub(crate) wrap_ttl: Option<String>,
    pub(crate) trust: Trust,
    pub(crate) timeout: Duration,
}

/// Whom a client trusts, and who it is.
#[derive(Default)]
pub(crate) struct Trust {
    /// PEM files, or a directory of them; none: the system's.
    pub(crate) ca_cert: Option<String>,
    pub(crate) ca_path: Option<String>,
    pub(crate) client_cert: Option<String>,
    pub(crate) client_key: Option<String>,
    pub(crate) server_name: Option<String>,
    pub(crate) skip_verify: bool,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// Why there was none: what to do next stands in it.
#[derive(Debug)]
pub(crate) struct NoAnswer(pub(crate) String);

impl Answer {
    /// The body as JSON; null where there is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The server's words when it refused.
    pub(crate) fn errors(&self) -> Vec<String> {
        let body = self.json();
        let listed = body["errors"].as_array().into_iter().flatten().filter_map(Value::as_str);
        listed.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect()
    }
}

impl Client {
    /// Sends one request below `/v1/`. `body` is JSON.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, NoAnswer> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| NoAnswer(format!("no runtime: {error}")))?;
        let act = async {
            match tokio::time::timeout(self.timeout, self.send(method, path, body)).await {
                Ok(answer) => answer,
                Err(_) => Err(NoAnswer(format!("{} did not answer within {:?}", self.address, self.timeout))),
            }
        };
        runtime.block_on(act)
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, NoAnswer> {
        let wrong = |text: String| NoAnswer(format!("{}: {text}", self.address));
        let uri: http::Uri = self.address.trim_end_matches('/').parse().map_err(|_| {
            NoAnswer(format!(
                "the address {:?} is no URL: use http(s)://host:port (VAULT_ADDR or -address)",
                self.address
            ))
        })?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("the address must begin with http:// or https://".into())),
        };
        let host = uri.host().ok_or_else(|| wrong("the address names no host".into()))?;
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let bare_host = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((bare_host, port)).await.map_err(|error| {
            wrong(format!("cannot connect ({error}): is the server running, and is VAULT_ADDR or -address right?"))
        })?;
        let _ = stream.set_nodelay(true);
        let text = body.map(Value::to_string).unwrap_or_default();
        let target = format!("{}/v1/{}", uri.path().trim_end_matches('/'), escaped(path));
        let mut request = http::Request::builder()
            .method(method)
            .uri(target)
            .header("host", format!("{host}:{port}"))
            .header("user-agent", concat!("strongroom/", env!("CARGO_PKG_VERSION")))
            .header("x-vault-request", "true")
            .header("connection", "close");
        if body.is_some() {
            let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
            request = request.header("content-type", kind);
        }
        if let Some(token) = &self.token {
            request = request.header("x-vault-token", token.as_str());
        }
        if let Some(namespace) = &self.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        if let Some(ttl) = &self.wrap_ttl {
            request = request.header("x-vault-wrap-ttl", ttl);
        }
        let request = request
            .body(Full::new(Bytes::from(text)))
            .map_err(|_| wrong("the path, the token or another header holds characters that cannot be sent".into()))?;
        if !tls {
            return exchange(TokioIo::new(stream), request).await.map_err(wrong);
        }
        let config = self.trust.config().map_err(NoAnswer)?;
        let name = self.trust.server_name.as_deref().unwrap_or(bare_host).to_owned();
        let name = ServerName::try_from(name).map_err(|_| wrong("the server's name is no name".into()))?;
        let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await.map_err(|error| {
            wrong(format!(
                "TLS: {error}. Name the server's CA with VAULT_CACERT or -ca-cert; a plain listener needs http://"
            ))
        })?;
        exchange(TokioIo::new(stream), request).await.map_err(wrong)
    }
}

async fn exchange<S>(stream: TokioIo<S>, request: http::Request<Full<Bytes>>) -> Result<Answer, String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| match error.is_parse() {
        true => format!("the answer is no HTTP ({error}): a TLS listener needs https://"),
        false => format!("the connection broke: {error}"),
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(broken)?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.map_err(broken)?.to_bytes();
    driver.abort();
    Ok(Answer { status, body })
}

impl Trust {
    fn config(&self) -> Result<Arc<rustls::ClientConfig>, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = if self.skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        let config = match (&self.client_cert, &self.client_key) {
            (Some(cert), Some(key)) => {
                let chain = certificates(Path::new(cert))?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{key}: {error}"))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| format!("client certificate: {error}"))?
            }
            (None, None) => builder.with_no_client_auth(),
            _ => return Err("a client certificate needs both -client-cert and -client-key".into()),
        };
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<rustls::RootCertStore, String> {
        let mut files: Vec<std::path::PathBuf> = Vec::new();
        files.extend(self.ca_cert.iter().map(Into::into));
        if let Some(directory) = self.ca_path.as_ref().filter(|_| self.ca_cert.is_none()) {
            let listed = std::fs::read_dir(directory).map_err(|error| format!("{directory}: {error}"))?;
            files.extend(listed.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()));
        }
        if self.ca_cert.is_none() && self.ca_path.is_none() {
            files.extend(SYSTEM.iter().map(Into::into).filter(|path: &std::path::PathBuf| path.exists()).take(1));
        }
        let mut roots = rustls::RootCertStore::empty();
        for file in &files {
            for certificate in certificates(file)? {
                // Old roots of the system may not fit today's rules; what remains decides.
                let _ = roots.add(certificate);
            }
        }
        if roots.is_empty() {
            return Err("no CA certificate was found: name one with VAULT_CACERT or -ca-cert".into());
        }
        Ok(roots)
    }
}

const SYSTEM: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    read.map_err(|error| format!("{}: {error}", file.display()))
}

/// `-tls-skip-verify`: any certificate will do. For a first look, never for work.
#[derive(Debug)]
struct Unverified(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The path with everything escaped that a request line does not take; a query stays as it is.
fn escaped(path: &str) -> String {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z'
            | b'a'..=b'z'
            | b'0'..=b'9'
            | b'/'
            | b'-'
            | b'_'
            | b'.'
            | b'~'
            | b':'
            | b'@'
            | b'+'
            | b'='
            | b',' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    if let Some(query) = query {
        out.push('?');
        out.push_str(query);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_and_queries_are_not() {
        assert_eq!(escaped("a b/ü?list=true&x=%20"), "a%20b/%C3%BC?list=true&x=%20");
    }

    fn client(address: &str) -> Client {
        Client {
            address: address.into(),
            token: None,
            namespace: None,
            wrap_ttl: None,
            trust: Trust::default(),
            timeout: Duration::from_secs(5),
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        for (address, part) in [
            ("127.0.0.1:1", "must begin with http"),
            ("ftp://x", "must begin with http"),
            ("http://[", "is no URL"),
            ("http://127.0.0.1:1", "is the server running"),
        ] {
            let Err(NoAnswer(text)) = client(address).call("GET", "x", None) else { panic!("{address} answered") };
            assert!(text.contains(part), "{text}");
        }
    }
}
