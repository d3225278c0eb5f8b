//! `status`: 0 unsealed, 1 error, 2 sealed.

use super::connect::{client, format, refused, send};
use super::{Command, Failure, Outcome, field};
use crate::flags::Parsed;
use crate::output::{self, Format};
use serde_json::Value;

pub(super) const COMMANDS: &[Command] = &[Command {
    words: "status",
    usage: "[flags]",
    about: "Shows whether the server is sealed, and what it waits for. Exit code 0 unsealed, 1 error, 2 sealed.",
    flags: &[],
    client: true,
    run: status,
}];

fn status(parsed: &Parsed) -> Outcome {
    let client = client(parsed)?;
    let answer = send(&client, "GET", "sys/seal-status", None)?;
    if !answer.is_success() {
        return match refused(&client, "GET", "sys/seal-status", &answer) {
            Failure::Refused(text) => Err(Failure::Local(text)),
            other => Err(other),
        };
    }
    let status = answer.json();
    show(parsed, &status)?;
    if status["sealed"].as_bool() == Some(false) { Ok(()) } else { Err(Failure::Code(2)) }
}

/// Prints a seal status.
pub(super) fn show(parsed: &Parsed, status: &Value) -> Outcome {
    if let Some(name) = parsed.get("field") {
        return field(status, &Value::Null, name);
    }
    match format(parsed)? {
        Format::Json => print!("{}", output::json(status)),
        Format::Yaml => print!("{}", output::yaml(status)),
        Format::Table => print!("{}", output::pairs(rows(status))),
    }
    Ok(())
}

fn rows(status: &Value) -> Vec<(String, String)> {
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut row = |name: &str, value: String| rows.push((name.into(), value));
    let sealed = status["sealed"].as_bool().unwrap_or(true);
    let recovery = status["recovery_seal"].as_bool().unwrap_or(false);
    let of = |name: &str| output::cell(&status[name]);
    row("Seal Type", of("type"));
    if recovery && !status["recovery_seal_type"].is_null() {
        row("Recovery Seal Type", of("recovery_seal_type"));
    }
    row("Initialized", of("initialized"));
    row("Sealed", of("sealed"));
    let shares = if recovery { "Total Recovery Shares" } else { "Total Shares" };
    row(shares, of("n"));
    row("Threshold", of("t"));
    if sealed {
        row("Unseal Progress", format!("{}/{}", of("progress"), of("t")));
        let nonce = of("nonce");
        row("Unseal Nonce", if nonce.is_empty() { "n/a".into() } else { nonce });
    }
    row("Version", of("version"));
    if !status["build_date"].as_str().unwrap_or_default().is_empty() {
        row("Build Date", of("build_date"));
    }
    row("Storage Type", of("storage_type"));
    for (title, name) in [
        ("Cluster Name", "cluster_name"),
        ("Cluster ID", "cluster_id"),
        ("Rollback", "rollback"),
        ("Epoch", "epoch"),
        ("Epoch Words", "epoch_words"),
    ] {
        if !status[name].is_null() {
            row(title, of(name));
        }
    }
    row("HA Enabled", "false".into());
    for warning in status["warnings"].as_array().into_iter().flatten() {
        row("Warning", output::cell(warning));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_sealed_server_shows_its_progress_and_an_open_one_its_cluster() {
        let sealed = json!({"type": "shamir", "initialized": true, "sealed": true, "t": 3, "n": 5, "progress": 1, "nonce": "x",
            "version": "1", "build_date": "", "recovery_seal": false, "storage_type": "inmem", "warnings": ["w"]});
        let rows = rows(&sealed);
        let value = |name: &str| rows.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str());
        assert_eq!(
            (value("Sealed"), value("Unseal Progress"), value("Unseal Nonce")),
            (Some("true"), Some("1/3"), Some("x"))
        );
        assert_eq!((value("Total Shares"), value("Warning"), value("Cluster ID")), (Some("5"), Some("w"), None));
        let open = json!({"type": "pkcs11", "sealed": false, "recovery_seal": true, "recovery_seal_type": "shamir", "n": 3, "t": 2,
            "cluster_id": "c", "rollback": "protected"});
        let rows = super::rows(&open);
        let value = |name: &str| rows.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str());
        assert_eq!(
            (value("Total Recovery Shares"), value("Cluster ID"), value("Unseal Progress")),
            (Some("3"), Some("c"), None)
        );
    }
}
