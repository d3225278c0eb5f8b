//! wrk as the load generator, with keep-alive connections.

use std::path::Path;
use std::process::Command;

/// What one run gave.
pub(crate) struct Load {
    /// Requests per second.
    pub(crate) rate: f64,
    /// Requests answered in all.
    pub(crate) answered: u64,
    /// Answers that were no 2xx, and socket errors.
    pub(crate) failed: u64,
    /// 50th and 99th percentile of latency, as wrk writes them.
    pub(crate) latency: (String, String),
}

/// POSTs `body` to `url` for `seconds` with 64 clients.
///
/// # Panics
/// As [`script`].
pub(crate) fn post(directory: &Path, url: &str, token: Option<&str>, body: &str, seconds: u64) -> Load {
    let text = format!("wrk.method = \"POST\"\nwrk.body = '{body}'\n");
    script(directory, url, token, &text, 64, seconds)
}

/// GETs `url` for `seconds` with 64 clients.
///
/// # Panics
/// As [`script`].
pub(crate) fn get(directory: &Path, url: &str, token: Option<&str>, seconds: u64) -> Load {
    script(directory, url, token, "wrk.method = \"GET\"\n", 64, seconds)
}

/// Runs a script of wrk's for `seconds` with `clients` connections.
///
/// # Panics
/// When wrk is missing or says something else than expected: `scripts/setup.sh bench` installs it.
pub(crate) fn script(directory: &Path, url: &str, token: Option<&str>, text: &str, clients: u64, seconds: u64) -> Load {
    let script = directory.join("load.lua");
    let header = token.map_or(String::new(), |token| format!("wrk.headers[\"X-Vault-Token\"] = \"{token}\"\n"));
    let text = format!("wrk.headers[\"Content-Type\"] = \"application/json\"\n{header}{text}");
    std::fs::write(&script, text).expect("the script can be written");
    let output = Command::new("wrk")
        .arg(format!("-t{}", clients.min(2)))
        .args([&format!("-c{clients}"), "--latency", &format!("-d{seconds}s"), "-s"])
        .arg(&script)
        .arg(url)
        .output()
        .expect("wrk runs: scripts/setup.sh bench installs it");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let word_after = |mark: &str| text.split(mark).nth(1).and_then(|rest| rest.split_whitespace().next());
    let count_before = |mark: &str| {
        text.lines()
            .find(|line| line.contains(mark))
            .and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
    };
    let bad = text
        .split("Non-2xx or 3xx responses:")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    let socket = text
        .lines()
        .find(|line| line.contains("Socket errors:"))
        .map_or(0, |line| line.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse::<u64>().ok()).sum());
    Load {
        rate: word_after("Requests/sec:")
            .and_then(|word| word.parse().ok())
            .unwrap_or_else(|| panic!("wrk said: {text}")),
        answered: count_before(" requests in ").unwrap_or(0),
        failed: bad.unwrap_or(0) + socket,
        latency: (word_after("50%").unwrap_or("?").to_owned(), word_after("99%").unwrap_or("?").to_owned()),
    }
}

/// User and system CPU seconds that a process has used so far.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Fields 14 and 15; the name in field 2 may hold spaces, so count from its closing parenthesis.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = after.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<f64>().ok()).sum();
    ticks / 100.0
}
