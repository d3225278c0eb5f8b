//! From flags and environment to a client, and from an answer to an outcome.

use super::{Failure, Outcome};
use crate::client::{Answer, Client, NoAnswer, Trust};
use crate::flags::{Flag, Parsed, flag, switch};
use crate::output::Format;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

pub(super) const CLIENT_FLAGS: &[Flag] = &[
    flag("address", "URL", "The server; else VAULT_ADDR, else https://127.0.0.1:8200."),
    flag("ca-cert", "FILE", "CA certificates, PEM; else VAULT_CACERT, else the system's."),
    flag("ca-path", "DIR", "A directory of CA certificates; else VAULT_CAPATH."),
    flag("client-cert", "FILE", "This client's certificate, PEM; else VAULT_CLIENT_CERT."),
    flag("client-key", "FILE", "Its private key, PEM; else VAULT_CLIENT_KEY."),
    flag("tls-server-name", "NAME", "The name that the server's certificate must have; else VAULT_TLS_SERVER_NAME."),
    switch("tls-skip-verify", "Accept any certificate: never for work; else VAULT_SKIP_VERIFY."),
    flag("namespace", "PATH", "The namespace; else VAULT_NAMESPACE."),
    flag("ns", "PATH", "The same as -namespace."),
    flag("wrap-ttl", "SPAN", "Wrap the answer for this long; else VAULT_WRAP_TTL."),
    flag("format", "table|json|yaml", "How to print; else VAULT_FORMAT."),
    flag("field", "NAME", "Print this field and nothing else."),
];

/// A variable of the environment under Vault's name, else OpenBao's: `ADDR`.
pub(super) fn variable(name: &str) -> Option<String> {
    ["VAULT", "BAO"]
        .iter()
        .filter_map(|family| std::env::var(format!("{family}_{name}")).ok())
        .find(|value| !value.is_empty())
}

/// The client that the flags and the environment describe.
pub(super) fn client(parsed: &Parsed) -> Result<Client, Failure> {
    let given = |name: &str, env: &str| parsed.get(name).map(str::to_owned).or_else(|| variable(env));
    let skip = parsed.on("tls-skip-verify")
        || variable("SKIP_VERIFY")
            .is_some_and(|value| matches!(value.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"));
    let timeout = match variable("CLIENT_TIMEOUT") {
        Some(text) => strongroom_hcl::duration(&text)
            .ok_or_else(|| format!("VAULT_CLIENT_TIMEOUT {text:?} is no span of time such as 60s"))?,
        None => Duration::from_secs(60),
    };
    Ok(Client {
        address: given("address", "ADDR").unwrap_or_else(|| "https://127.0.0.1:8200".into()),
        token: token()?,
        namespace: parsed.get("ns").map(str::to_owned).or_else(|| given("namespace", "NAMESPACE")),
        wrap_ttl: given("wrap-ttl", "WRAP_TTL"),
        trust: Trust {
            ca_cert: given("ca-cert", "CACERT"),
            ca_path: given("ca-path", "CAPATH"),
            client_cert: given("client-cert", "CLIENT_CERT"),
            client_key: given("client-key", "CLIENT_KEY"),
            server_name: given("tls-server-name", "TLS_SERVER_NAME"),
            skip_verify: skip,
        },
        timeout,
    })
}

/// The token: `VAULT_TOKEN`, else what `login` stored.
fn token() -> Result<Option<Zeroizing<String>>, Failure> {
    if let Some(token) = variable("TOKEN") {
        return Ok(Some(Zeroizing::new(token)));
    }
    let Some(path) = token_file() else { return Ok(None) };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(Zeroizing::new(text.trim().to_owned())).filter(|token| !token.is_empty())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::Local(format!("{}: {error}", path.display()))),
    }
}

/// Where `login` keeps the token: the stock clients' place.
pub(super) fn token_file() -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os("HOME")?).join(".vault-token"))
}

/// Keeps a token, readable by its owner only.
pub(super) fn keep_token(token: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = token_file().ok_or_else(|| std::io::Error::other("HOME is not set"))?;
    let next = path.with_extension("next");
    let _ = std::fs::remove_file(&next);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
    file.write_all(token.as_bytes())?;
    std::fs::rename(&next, &path)
}

/// How to print.
pub(super) fn format(parsed: &Parsed) -> Result<Format, Failure> {
    let name = parsed.get("format").map(str::to_owned).or_else(|| variable("FORMAT")).unwrap_or_default();
    Format::from_name(&name)
        .ok_or_else(|| Failure::Local(format!("invalid output format {name:?}: table, json or yaml")))
}

/// One request that must succeed.
pub(super) fn call(parsed: &Parsed, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
    let client = client(parsed)?;
    let answer = send(&client, method, path, body)?;
    if answer.is_success() { Ok(answer) } else { Err(refused(&client, method, path, &answer)) }
}

/// One request, whatever comes of it.
pub(super) fn send(client: &Client, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
    client.call(method, path, body).map_err(|NoAnswer(text)| Failure::Local(text))
}

/// What the server said, and what to do next where that is known.
pub(super) fn refused(client: &Client, method: &str, path: &str, answer: &Answer) -> Failure {
    let address = client.address.trim_end_matches('/');
    let mut text = format!("Error: {method} {address}/v1/{path}\nCode: {}. ", answer.status);
    let errors = answer.errors();
    match errors.is_empty() {
        true => text.push_str("The server gave no reason."),
        false => {
            text.push_str("Errors:\n");
            errors.iter().for_each(|error| text.push_str(&format!("\n* {error}")));
        }
    }
    let said = |part: &str| errors.iter().any(|error| error.contains(part));
    let hint = match answer.status {
        503 if said("sealed") => {
            "The server is sealed: strongroom status says what it waits for, operator unseal enters a share."
        }
        403 if client.token.is_none() => "No token was sent: set VAULT_TOKEN, or strongroom login.",
        403 => {
            "The token may be wrong or expired, or its policies do not allow this: strongroom token lookup, token capabilities PATH."
        }
        404 if errors.is_empty() => "Nothing is there.",
        _ => "",
    };
    if !hint.is_empty() {
        text.push_str(&format!("\n\n{hint}"));
    }
    Failure::Refused(text)
}

/// A success that has nothing to show but itself.
pub(super) fn success(text: &str) -> Outcome {
    println!("Success! {text}");
    Ok(())
}
