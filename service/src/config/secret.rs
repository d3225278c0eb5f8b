//! Secrets in a configuration: written there, or where to find them.

use super::reader::Reader;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use strongroom_hcl::{Body, Placed};
use strongroom_secret::SecretBytes;
use zeroize::Zeroize;

/// A secret of the configuration.
pub enum Secret {
    /// It is known. Shared, because reconnecting to a device needs it as long as the seal is configured.
    Known(Arc<SecretBytes>),
    /// `prompt://`: somebody is to be asked at start.
    Prompt,
}

/// Resolves `env://NAME`, `file://PATH`, `prompt://` (where `may_prompt`) or takes the text itself.
pub(super) fn resolve(
    reader: &mut Reader<'_>,
    body: &Body,
    name: &str,
    mut given: Placed<String>,
    may_prompt: bool,
) -> Option<Secret> {
    let text = std::mem::take(&mut given.value);
    if text == "prompt://" && may_prompt {
        return Some(Secret::Prompt);
    }
    let found = if let Some(variable) = text.strip_prefix("env://") {
        match reader.environment.get(variable) {
            Some(value) => Ok(SecretBytes::from_slice(value.as_bytes())),
            None => Err(format!("{name}: the environment variable {variable} is not set")),
        }
    } else if let Some(path) = text.strip_prefix("file://") {
        reader.secret_files.push(path.into());
        from_file(path).map_err(|reason| format!("{name}: {path}: {reason}"))
    } else if text == "prompt://" {
        Err(format!("{name} cannot be asked for: give it, or use env:// or file://"))
    } else if text.is_empty() {
        Err(format!("{name} is empty"))
    } else {
        return Some(Secret::Known(Arc::new(SecretBytes::from_vec(text.into_bytes()))));
    };
    match found {
        Ok(secret) => Some(Secret::Known(Arc::new(secret))),
        Err(reason) => {
            reader.refuse(body, given.position, reason);
            None
        }
    }
}

/// The content of a file that nobody but its owner and group can read or change; one line end is cut off, unless the
/// file is exactly a raw 32-byte key.
fn from_file(path: &str) -> Result<SecretBytes, String> {
    let shown = |error: std::io::Error| error.to_string();
    let data = std::fs::metadata(path).map_err(shown)?;
    if !data.is_file() {
        return Err("it is not a file".into());
    }
    let mode = data.permissions().mode() & 0o777;
    if mode & 0o037 != 0 {
        return Err(format!("mode {mode:04o} lets others read or change it: chmod 0600"));
    }
    if data.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let mut bytes = std::fs::read(path).map_err(shown)?;
    if bytes.len() != 32 {
        while let Some(b'\n' | b'\r') = bytes.last() {
            bytes.pop();
        }
    }
    if bytes.is_empty() {
        bytes.zeroize();
        return Err("it is empty".into());
    }
    Ok(SecretBytes::from_vec(bytes))
}

const LONGEST: u64 = 64 * 1024;
