//! Spans of time as Vault's clients read and write them.

use strongroom_mount::{Error, Fields, weak};

/// Whole seconds in Go's writing: `3h25m19s`, `0s`, `-1s`.
pub(super) fn text(seconds: i64) -> String {
    let sign = if seconds < 0 { "-" } else { "" };
    let total = seconds.unsigned_abs();
    let (hours, minutes, seconds) = (total / 3_600, total / 60 % 60, total % 60);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// A parameter in whole seconds. What is shorter than one is one: 0 would mean never.
pub(super) fn seconds(fields: &Fields, name: &str) -> Result<Option<u64>, Error> {
    let seconds = fields.seconds(name)?;
    let some =
        || fields.string(name).ok().flatten().and_then(|text| weak::parse_span(&text)).is_some_and(|span| span > 0);
    Ok(if seconds == Some(0) && some() { Some(1) } else { seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_go_writes_them() {
        for (seconds, want) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m0s"),
            (1_800, "30m0s"),
            (12_319, "3h25m19s"),
            (360_000, "100h0m0s"),
            (-1, "-1s"),
            (i64::MIN, "-2562047788015215h30m8s"),
        ] {
            assert_eq!(text(seconds), want);
        }
    }

    #[test]
    fn a_part_of_a_second_is_one() {
        let read = |json: &str| {
            let fields = Fields::from_json(format!("{{\"t\":{json}}}").into_bytes().into()).unwrap();
            seconds(&fields, "t")
        };
        assert_eq!(read("\"500ms\"").unwrap(), Some(1));
        assert_eq!(read("\"0s\"").unwrap(), Some(0));
        assert_eq!(read("0").unwrap(), Some(0));
        assert_eq!(read("\"1h\"").unwrap(), Some(3_600));
        assert_eq!(read("null").unwrap(), None);
        assert!(read("\"-1s\"").is_err() && read("\"soon\"").is_err());
    }
}
