//! A share as people enter it: hex or base64.

use super::Error;
use strongroom_secret::SecretBytes;

/// Reads a share from text: hex in either case, else base64. The texts of its refusals are Vault's.
pub(super) fn read(text: &str) -> Result<SecretBytes, Error> {
    let text = text.trim();
    let decoded = match hex::decode(text) {
        Ok(bytes) => bytes,
        Err(_) => base64_simd::STANDARD
            .decode_to_vec(text)
            .map_err(|_| Error::Share("'key' must be a valid hex or base64 string".into()))?,
    };
    let share = SecretBytes::from_vec(decoded);
    if share.len() < LEAST {
        return Err(Error::Share(format!("invalid key: key is shorter than minimum {LEAST} bytes")));
    }
    if share.len() > MOST {
        return Err(Error::Share(format!("invalid key: key is longer than maximum {MOST} bytes")));
    }
    Ok(share)
}

const LEAST: usize = 16;
const MOST: usize = 33;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_hex_in_either_case_or_base64() {
        let bytes: Vec<u8> = (0..33).map(|byte| byte * 7).collect();
        for text in [
            hex::encode(&bytes),
            hex::encode_upper(&bytes),
            base64_simd::STANDARD.encode_to_string(&bytes),
            format!(" {}\n", hex::encode(&bytes)),
        ] {
            assert!(read(&text).unwrap().same_as(&bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_share_is_refused_in_vault_s_words() {
        for (text, want) in [
            ("not a key at all!", "'key' must be a valid hex or base64 string"),
            ("AAAA", "invalid key: key is shorter than minimum 16 bytes"),
            ("", "invalid key: key is shorter than minimum 16 bytes"),
            (&"00".repeat(34), "invalid key: key is longer than maximum 33 bytes"),
        ] {
            assert_eq!(read(text).err().map(|error| error.to_string()).as_deref(), Some(want));
        }
    }
}
