//! `listener "tcp" { … }`.

use super::ResponseHeaders;
use super::reader::Reader;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use strongroom_hcl::{Block, Body, Placed};

/// Where and how the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// `host:port`; port 0 lets the system choose.
    pub address: String,
    /// TLS; `None` is plain HTTP, on loopback or accepted in so many words.
    pub tls: Option<Tls>,
    /// How long the headers of a request may take.
    pub read_header_timeout: Duration,
    /// How long a whole request may take to arrive.
    pub read_timeout: Duration,
    /// How long a connection may stay idle between requests.
    pub idle_timeout: Duration,
    /// How long an answer may take to leave; zero is no limit.
    pub write_timeout: Duration,
    /// The largest body, in bytes.
    pub max_request_size: u64,
    /// How long one request may take here, never zero; `None`: the server's.
    pub max_request_duration: Option<Duration>,
    /// Whether requests must carry `X-Vault-Request: true`.
    pub require_request_header: bool,
    /// Whether `sys/metrics` answers without a token.
    pub unauthenticated_metrics_access: bool,
    /// Whether the unauthenticated answers leave out addresses, the cluster's name, the version.
    pub redact: Redact,
    /// Proxies whose `X-Forwarded-For` counts: addresses or networks.
    pub forwarded_for: Vec<String>,
    /// Headers added to answers.
    pub response_headers: ResponseHeaders,
}

/// What unauthenticated answers leave out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redact {
    /// Addresses of nodes.
    pub addresses: bool,
    /// The cluster's name.
    pub cluster_name: bool,
    /// The version and its dates.
    pub version: bool,
}

/// TLS of a listener. The files are read at start and at every reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Certificate chain, PEM.
    pub cert_file: PathBuf,
    /// Private key, PEM.
    pub key_file: PathBuf,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// The newest version that is spoken.
    pub max_version: TlsVersion,
    /// Who may sign clients' certificates, PEM.
    pub client_ca_file: Option<PathBuf>,
    /// Whether a client must show a certificate.
    pub require_client_cert: bool,
    /// Whether clients are not even asked for one.
    pub disable_client_certs: bool,
}

/// Versions of TLS that are spoken at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// Reads the stanza.
pub(super) fn read(reader: &mut Reader<'_>, block: Block) -> Option<Listener> {
    let Block { position, labels, mut body } = block;
    match labels.first().map_or("tcp", |label| label.value.as_str()) {
        "tcp" => {}
        "unix" => {
            reader.refuse(&body, position, "listener \"unix\" is not offered: use \"tcp\" on 127.0.0.1");
            return None;
        }
        other => {
            reader.refuse(&body, position, format!("unknown listener {other:?}: use \"tcp\""));
            return None;
        }
    }
    let address = address(reader, &mut body);
    let seconds = |reader: &mut Reader<'_>, body: &mut Body, name, default| {
        reader.take(body.duration(name)).map_or(Duration::from_secs(default), |span| span.value)
    };
    let listener = Listener {
        tls: tls(reader, &mut body, &address, position),
        address,
        read_header_timeout: seconds(reader, &mut body, "http_read_header_timeout", 10),
        read_timeout: seconds(reader, &mut body, "http_read_timeout", 30),
        idle_timeout: seconds(reader, &mut body, "http_idle_timeout", 300),
        write_timeout: seconds(reader, &mut body, "http_write_timeout", 0),
        max_request_size: max_request_size(reader, &mut body),
        max_request_duration: (reader.take(body.duration("max_request_duration")))
            .map(|span| span.value)
            .filter(|span| !span.is_zero()),
        require_request_header: flag(reader, &mut body, "require_request_header"),
        unauthenticated_metrics_access: metrics(reader, &mut body),
        redact: Redact {
            addresses: flag(reader, &mut body, "redact_addresses"),
            cluster_name: flag(reader, &mut body, "redact_cluster_name"),
            version: flag(reader, &mut body, "redact_version"),
        },
        forwarded_for: forwarded_for(reader, &mut body),
        response_headers: ResponseHeaders::read(reader, &mut body),
    };
    reader.without_effect(&mut body, WITHOUT_EFFECT);
    reader.finish(body);
    Some(listener)
}

fn flag(reader: &mut Reader<'_>, body: &mut Body, name: &'static str) -> bool {
    reader.take(body.bool(name)).is_some_and(|flag| flag.value)
}

fn address(reader: &mut Reader<'_>, body: &mut Body) -> String {
    let Some(given) = reader.take(body.text("address")) else { return "127.0.0.1:8200".into() };
    match given.value.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            if host.contains(':') && !given.value.starts_with('[') {
                reader.refuse(body, given.position, "address: an IPv6 address stands in brackets: \"[::1]:8200\"");
            }
        }
        _ => reader.refuse(body, given.position, "address must be host:port, such as \"127.0.0.1:8200\""),
    }
    given.value
}

/// Whether what listens at `address` can be reached from this machine alone.
fn on_loopback(address: &str) -> bool {
    match address.parse::<SocketAddr>() {
        Ok(address) => is_loopback(address.ip()),
        Err(_) => address.rsplit_once(':').is_some_and(|(host, _)| host == "localhost"),
    }
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn tls(reader: &mut Reader<'_>, body: &mut Body, address: &str, stanza: strongroom_hcl::Position) -> Option<Tls> {
    let disabled = reader.take(body.bool("tls_disable"));
    let accepted = flag(reader, body, "i_accept_plaintext");
    let file = |reader: &mut Reader<'_>, body: &mut Body, name| -> Option<PathBuf> {
        reader.take(body.text(name)).map(|path| path.value.into())
    };
    let cert_file = file(reader, body, "tls_cert_file");
    let key_file = file(reader, body, "tls_key_file");
    let client_ca_file = file(reader, body, "tls_client_ca_file");
    let require_client_cert = flag(reader, body, "tls_require_and_verify_client_cert");
    let disable_client_certs = flag(reader, body, "tls_disable_client_certs");
    let min_version = version(reader, body, "tls_min_version");
    let max_version = version(reader, body, "tls_max_version").unwrap_or(TlsVersion::Tls13);
    // TLS 1.2 is spoken only where somebody asks for it, by either key.
    let min_version = min_version.unwrap_or(max_version);
    if let Some(Placed { value: true, position }) = disabled {
        if !on_loopback(address) && !accepted {
            let text = format!(
                "tls_disable on {address}, which other machines can reach: everybody in between reads tokens and \
                 secrets. Use TLS, listen on 127.0.0.1, or set i_accept_plaintext = true"
            );
            reader.refuse(body, position, text);
        }
        return None;
    }
    let (Some(cert_file), Some(key_file)) = (cert_file, key_file) else {
        let text = "a TLS listener needs tls_cert_file and tls_key_file (or tls_disable = true on loopback)";
        reader.refuse(body, stanza, text);
        return None;
    };
    if min_version > max_version {
        reader.refuse(body, stanza, "tls_min_version is later than tls_max_version");
    }
    if require_client_cert && disable_client_certs {
        reader.refuse(
            body,
            stanza,
            "tls_require_and_verify_client_cert and tls_disable_client_certs exclude each other",
        );
    }
    Some(Tls {
        cert_file,
        key_file,
        min_version,
        max_version,
        client_ca_file,
        require_client_cert,
        disable_client_certs,
    })
}

fn version(reader: &mut Reader<'_>, body: &mut Body, name: &'static str) -> Option<TlsVersion> {
    let given = reader.take(body.text(name))?;
    match given.value.as_str() {
        "tls12" => Some(TlsVersion::Tls12),
        "tls13" => Some(TlsVersion::Tls13),
        "tls10" | "tls11" => {
            reader.refuse(body, given.position, format!("{name}: {} is not spoken any more (RFC 8996)", given.value));
            None
        }
        _ => {
            reader.refuse(body, given.position, format!("{name} must be \"tls12\" or \"tls13\""));
            None
        }
    }
}

fn max_request_size(reader: &mut Reader<'_>, body: &mut Body) -> u64 {
    const DEFAULT: u64 = 32 << 20;
    let Some(given) = reader.take(body.int("max_request_size")) else { return DEFAULT };
    match u64::try_from(given.value) {
        Ok(0) => DEFAULT,
        Ok(size) if size <= 1 << 30 => size,
        _ => {
            reader.refuse(body, given.position, "max_request_size must be a number of bytes, at most 1 GiB");
            DEFAULT
        }
    }
}

fn metrics(reader: &mut Reader<'_>, body: &mut Body) -> bool {
    let Some(mut telemetry) = reader.take(body.object("telemetry")) else { return false };
    let open = flag(reader, &mut telemetry, "unauthenticated_metrics_access");
    reader.without_effect(&mut telemetry, &["disallow_metrics", "metrics_only"]);
    reader.finish(telemetry);
    open
}

fn forwarded_for(reader: &mut Reader<'_>, body: &mut Body) -> Vec<String> {
    let Some(given) = reader.take(body.words("x_forwarded_for_authorized_addrs")) else { return Vec::new() };
    for one in &given {
        let (ip, bits) = one.value.split_once('/').map_or((one.value.as_str(), None), |(ip, bits)| (ip, Some(bits)));
        let fits = match (ip.parse::<IpAddr>(), bits.map(str::parse::<u8>)) {
            (Ok(_), None) => true,
            (Ok(ip), Some(Ok(bits))) => bits <= if ip.is_ipv4() { 32 } else { 128 },
            _ => false,
        };
        if !fits {
            reader.refuse(
                body,
                one.position,
                "x_forwarded_for_authorized_addrs takes addresses and networks (10.0.0.0/8)",
            );
        }
    }
    given.into_iter().map(|one| one.value).collect()
}

const WITHOUT_EFFECT: &[&str] = &[
    "cluster_address",
    "tls_cipher_suites",
    "tls_prefer_server_cipher_suites",
    "x_forwarded_for_hop_skips",
    "x_forwarded_for_reject_not_authorized",
    "x_forwarded_for_reject_not_present",
    "x_forwarded_for_client_cert_header",
    "x_forwarded_for_client_cert_header_decoders",
    "profiling",
    "inflight_requests_logging",
    "proxy_protocol_behavior",
    "proxy_protocol_authorized_addrs",
    "agent_api",
    "proxy_api",
    "role",
    "purpose",
    "chroot_namespace",
    "disable_replication_status_endpoints",
    "disable_request_limiter",
    "disable_unauthed_rekey_endpoints",
    "disable_unauthed_generate_root_endpoints",
    "allow_unauthenticated_rekey",
    "max_json_depth",
    "max_json_string_value_length",
    "max_json_object_entry_count",
    "max_json_array_element_count",
    "max_json_token",
    "tls_acme_ca_directory",
    "tls_acme_ca_root",
    "tls_acme_cache_path",
    "tls_acme_disable_alpn_challenge",
    "tls_acme_disable_http_challenge",
    "tls_acme_domains",
    "tls_acme_eab_key_id",
    "tls_acme_eab_mac_key",
    "tls_acme_email",
    "tls_acme_key_type",
    "tls_acme_test_ca_directory",
];
