//! `sys/init`.

use super::strict::Strict;
use crate::custody::{InitRequest, Initialised};
use bytes::Bytes;
use strongroom_mount::{Error, Object};
use strongroom_secret::SecretBytes;

/// GET.
pub fn state(initialised: bool) -> Object {
    Object::build(|out| out.value("initialized", &initialised))
}

/// PUT: what was asked for. `stored_shares` of older clients is passed over.
pub fn request(body: Bytes) -> Result<InitRequest, Error> {
    let body = Strict::read(body)?;
    Ok(InitRequest {
        secret_shares: body.int("secret_shares")?,
        secret_threshold: body.int("secret_threshold")?,
        pgp_keys: body.strings("pgp_keys")?,
        recovery_shares: body.int("recovery_shares")?,
        recovery_threshold: body.int("recovery_threshold")?,
        recovery_pgp_keys: body.strings("recovery_pgp_keys")?,
        root_token_pgp_key: body.string("root_token_pgp_key")?,
    })
}

/// The answer: the only place where the shares and the root token are ever seen. It is wiped when it has been sent.
pub fn answer(made: &Initialised, root_token: &str) -> Object {
    Object::with_capacity(4096, |out| {
        list(out, "keys", "keys_base64", &made.keys);
        if !made.recovery_keys.is_empty() {
            list(out, "recovery_keys", "recovery_keys_base64", &made.recovery_keys);
        }
        out.string("root_token", root_token);
        if !made.warnings.is_empty() {
            out.strings("warnings", made.warnings.iter().map(String::as_str));
        }
    })
}

fn list(out: &mut strongroom_mount::json::Writer, hex_name: &str, base64_name: &str, keys: &[SecretBytes]) {
    let write = |out: &mut strongroom_mount::json::Writer, name: &str, encode: &dyn Fn(&[u8]) -> String| {
        let texts: Vec<zeroize::Zeroizing<String>> = keys.iter().map(|key| encode(key.expose()).into()).collect();
        out.strings(name, texts.iter().map(|text| text.as_str()));
    };
    write(out, hex_name, &|key| hex::encode(key));
    write(out, base64_name, &|key| base64_simd::STANDARD.encode_to_string(key));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_strictly() {
        let text =
            br#"{"secret_shares":5,"secret_threshold":3,"stored_shares":null,"pgp_keys":null,"root_token_pgp_key":""}"#;
        let read = request(Bytes::from_static(text)).unwrap();
        assert_eq!(read, InitRequest { secret_shares: 5, secret_threshold: 3, ..InitRequest::default() });
        assert_eq!(request(Bytes::new()).unwrap(), InitRequest::default());
        for wrong in [&br#"{"secret_shares":"five"}"#[..], br#"{"secret_shares":"#, br#"{"pgp_keys":"x"}"#, b"[]"] {
            let error = request(Bytes::copy_from_slice(wrong)).unwrap_err();
            assert!(error.text.contains("failed to decode JSON input"), "{}", error.text);
        }
    }
}
