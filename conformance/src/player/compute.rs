//! Values that must be computed between two requests.

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512};
use aws_lc_rs::rsa::{OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// `xor` (an encoded root token with its one-time password) or `byok` (a target key wrapped for transit import).
pub(super) fn compute(kind: &str, args: &Value) -> Result<Value, String> {
    let arg = |name: &str| args[name].as_str().ok_or_else(|| format!("{kind} needs {name}"));
    match kind {
        "xor" => {
            let encoded = arg("encoded")?.trim_end_matches('=');
            let padded = format!("{encoded}{}", "=".repeat(encoded.len().wrapping_neg() % 4));
            let encoded = STANDARD.decode(padded).map_err(|_| "the encoded token is not base64")?;
            let token: Vec<u8> = encoded.iter().zip(arg("otp")?.bytes()).map(|(a, b)| a ^ b).collect();
            String::from_utf8(token).map(Value::from).map_err(|_| "the decoded token is not text".to_owned())
        }
        "byok" => {
            wrap(arg("wrapping_key")?, arg("target")?, args["hash"].as_str().unwrap_or("SHA256")).map(Value::from)
        }
        other => Err(format!("the player does not compute {other}")),
    }
}

/// RSA-OAEP around a fresh AES-256 key, then the target under AES-KWP (RFC 5649), in base64.
fn wrap(wrapping_key: &str, target: &str, hash: &str) -> Result<String, String> {
    let failed = |_| "the key could not be wrapped".to_owned();
    let der: String = wrapping_key.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(der).map_err(|_| "the wrapping key is not PEM")?;
    let target = STANDARD.decode(target).map_err(|_| "the target is not base64")?;
    let algorithm = match hash {
        "SHA1" => &OAEP_SHA1_MGF1SHA1,
        "SHA256" => &OAEP_SHA256_MGF1SHA256,
        "SHA384" => &OAEP_SHA384_MGF1SHA384,
        "SHA512" => &OAEP_SHA512_MGF1SHA512,
        other => return Err(format!("the player has no OAEP with {other}")),
    };
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key).map_err(failed)?;
    let public = PublicEncryptingKey::from_der(&der).map_err(|_| "the wrapping key is no RSA key".to_owned())?;
    let public = OaepPublicEncryptingKey::new(public).map_err(failed)?;
    let mut out = vec![0; public.ciphertext_size()];
    public.encrypt(algorithm, &key, &mut out, None).map_err(failed)?;
    let mut wrapped = vec![0; target.len() + 15];
    let kek = AesKek::new(&AES_256, &key).map_err(failed)?;
    out.extend(&*kek.wrap_with_padding(&target, &mut wrapped).map_err(failed)?);
    Ok(STANDARD.encode(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_root_token_is_decoded() {
        let args = serde_json::json!({"encoded": "AwMD", "otp": "abc"});
        assert_eq!(compute("xor", &args).unwrap(), "ba`");
        assert!(compute("totp", &args).is_err());
    }
}
