//! TLS of a listener: 1.3, and 1.2 where the configuration asks for it (RFC 8446, RFC 5246). The certificate can be
//! replaced while connections go on; a new one counts from the next handshake.

use crate::config;
use parking_lot::RwLock;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A certificate that can be replaced.
pub struct Certificate {
    config: config::Tls,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// A file that cannot be read, or a key that is not the certificate's, with the path.
    pub fn load(config: &config::Tls) -> Result<Arc<Self>, String> {
        let current = RwLock::new(Arc::new(read(config)?));
        Ok(Arc::new(Certificate { config: config.clone(), current }))
    }

    /// Reads both files again. Handshakes from now on use them.
    ///
    /// # Errors
    /// As [`Certificate::load`]; the old certificate goes on being used.
    pub fn reload(&self) -> Result<(), String> {
        *self.current.write() = Arc::new(read(&self.config)?);
        Ok(())
    }

    /// The server's side of TLS with this certificate.
    ///
    /// # Errors
    /// A file of client authorities that cannot be read, with its path.
    pub fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, String> {
        let tls = &self.config;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions: Vec<_> = [
            (config::TlsVersion::Tls13, &rustls::version::TLS13),
            (config::TlsVersion::Tls12, &rustls::version::TLS12),
        ]
        .into_iter()
        .filter(|(version, _)| (tls.min_version..=tls.max_version).contains(version))
        .map(|(_, version)| version)
        .collect();
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&versions)
            .map_err(|error| format!("TLS: {error}"))?;
        let builder = match &tls.client_ca_file {
            Some(path) if !tls.disable_client_certs => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = if tls.require_client_cert { verifier } else { verifier.allow_unauthenticated() };
                builder.with_client_cert_verifier(
                    verifier.build().map_err(|error| format!("{}: {error}", path.display()))?,
                )
            }
            None if tls.require_client_cert => {
                return Err("tls_require_and_verify_client_cert needs tls_client_ca_file".into());
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.config.cert_file.display())
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().clone())
    }
}

fn read(config: &config::Tls) -> Result<CertifiedKey, String> {
    let chain = certificates(&config.cert_file)?;
    let key = PrivateKeyDer::from_pem_file(&config.key_file)
        .map_err(|error| format!("{}: no private key can be read: {error}", config.key_file.display()))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .map_err(|error| format!("{} and {}: {error}", config.cert_file.display(), config.key_file.display()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |error: rustls_pki_types::pem::Error| format!("{}: {error}", path.display());
    let chain: Vec<_> = CertificateDer::pem_file_iter(path).map_err(wrong)?.collect::<Result<_, _>>().map_err(wrong)?;
    if chain.is_empty() {
        return Err(format!("{}: holds no certificate", path.display()));
    }
    Ok(chain)
}
