//! `operator reencrypt`: begins the job, follows it, and shows its proof.

use super::super::connect::{call, format};
use super::super::{Failure, Outcome, field, warn};
use crate::flags::Parsed;
use crate::output::{self, Format};
use serde_json::Value;
use std::io::Write;
use std::time::Duration;

/// How often the server is asked.
const PERIOD: Duration = Duration::from_millis(500);

pub(super) fn run(parsed: &Parsed) -> Outcome {
    let ask = |method: &str| -> Result<Value, Failure> {
        let whole = call(parsed, method, "sys/reencrypt", None)?.json();
        warn(&whole);
        Ok(whole["data"].clone())
    };
    if parsed.on("status") || parsed.on("detach") {
        let data = ask(if parsed.on("status") { "GET" } else { "POST" })?;
        show(parsed, &data)?;
        return outcome(&data);
    }
    let mut data = ask("POST")?;
    // Progress is for who watches: it goes to stderr, and what stdout holds stays one document.
    let watched = format(parsed)? == Format::Table && parsed.get("field").is_none();
    while runs(&data) {
        if watched {
            eprint!("\r{}", progress(&data));
            let _ = std::io::stderr().flush();
        }
        std::thread::sleep(PERIOD);
        data = ask("GET")?;
    }
    if watched {
        eprintln!();
    }
    show(parsed, &data)?;
    outcome(&data)
}

fn runs(data: &Value) -> bool {
    matches!(data["state"].as_str(), Some("sealing" | "proving"))
}

/// One line, always of the same length or longer than the one that it overwrites.
fn progress(data: &Value) -> String {
    let number = |name: &str| data[name].as_u64().unwrap_or(0);
    match data["state"].as_str() {
        Some("proving") => format!("{:<60}", "every row has been seen; the proof walks the whole store"),
        _ => {
            let text =
                format!("{} of about {} rows seen, {} sealed anew", number("seen"), number("rows"), number("resealed"));
            format!("{text:<60}")
        }
    }
}

fn show(parsed: &Parsed, data: &Value) -> Outcome {
    if let Some(name) = parsed.get("field") {
        return field(data, data, name);
    }
    match format(parsed)? {
        Format::Json => print!("{}", output::json(data)),
        Format::Yaml => print!("{}", output::yaml(data)),
        Format::Table => print!("{}", table(data)),
    }
    Ok(())
}

fn table(data: &Value) -> String {
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut put = |title: &str, value: &Value| {
        if !value.is_null() {
            rows.push((title.to_owned(), output::cell(value)));
        }
    };
    put("State", &data["state"]);
    put("Stopped By", &data["stopped_by"]);
    put("Term", &data["term"]);
    put("Started", &data["started"]);
    put("Finished", &data["finished"]);
    put("Rows Seen", &data["seen"]);
    put("Rows Sealed Anew", &data["resealed"]);
    let proof = &data["proof"];
    put("Rows In Proof", &proof["rows"]);
    for (term, count) in proof["rows_by_term"].as_object().into_iter().flatten() {
        put(&format!("Rows Under Term {term}"), count);
    }
    put("Rows Under Older Terms", &proof["rows_under_older_terms"]);
    put("Problems", &proof["problems"]);
    put("Terms In Keyring", &data["keyring_terms"]);
    output::pairs(rows)
}

/// A job that stopped, or whose proof does not hold, is no success.
fn outcome(data: &Value) -> Outcome {
    match data["state"].as_str() {
        Some("stopped") => Err(Failure::Refused(format!(
            "The re-encryption stopped before its end: {}. Begun again, it goes on where it was.",
            output::cell(&data["stopped_by"])
        ))),
        Some("unproven") => Err(Failure::Refused(
            "The proof does not hold, and the older keys stay: strongroom write -f sys/integrity/verify names what is wrong."
                .into(),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_did_not_end_well_is_no_success() {
        for (state, well) in
            [("complete", true), ("sealing", true), ("none", true), ("stopped", false), ("unproven", false)]
        {
            assert_eq!(outcome(&json!({"state": state})).is_ok(), well, "{state}");
        }
    }

    #[test]
    fn the_table_shows_the_counts_by_term() {
        let proof = json!({"rows": 9, "rows_by_term": {"2": 9}, "rows_under_older_terms": 0, "problems": 0});
        let text = table(&json!({"state": "complete", "term": 2, "proof": proof, "keyring_terms": 1}));
        for part in ["complete", "Rows Under Term 2", "Rows Under Older Terms    0", "Terms In Keyring"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(
            progress(&json!({"state": "sealing", "rows": 4, "seen": 3, "resealed": 2})).starts_with("3 of about 4")
        );
        assert!(runs(&json!({"state": "proving"})) && !runs(&json!({"state": "complete"})));
    }
}
