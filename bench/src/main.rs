//! Measures the program against a bare baseline in the same run, round by round in turn, and reports medians and ratios.
//!
//! `bench transit [SECONDS] [ROUNDS]`   encrypt 32 B with a policy-bound token, two policies and file audit, against `echo`
//! `bench kv [SECONDS] [ROUNDS] [SECRETS]` read a secret of version 2 against `echo`; write versions against bare redb
//! `bench start [ROUNDS]`               start to active with a static seal and with SoftHSM2
//! With `OPENBAO=<path of its binary>`, OpenBao does the same in the same run.
//! Results are printed, and written as JSON under `target/bench/`.
#![forbid(unsafe_code)]

mod echo;
mod kv;
mod openbao;
mod redb;
mod start;
mod transit;
mod wrk;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (name, result) = match arguments.first().map(String::as_str) {
        Some("transit") => ("transit", transit::run(number(1, 8), number(2, 3))),
        Some("kv") => ("kv", kv::run(number(1, 8), number(2, 3), number(3, 1_000_000))),
        Some("start") => ("start", start::run(number(1, 15))),
        _ => {
            eprintln!(
                "usage: bench transit [SECONDS] [ROUNDS] | bench kv [SECONDS] [ROUNDS] [SECRETS] | bench start [ROUNDS]"
            );
            std::process::exit(1);
        }
    };
    let directory = std::path::Path::new("target/bench");
    let written = std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(directory.join(format!("{name}.json")), format!("{result:#}\n")));
    if let Err(error) = written {
        eprintln!("target/bench/{name}.json: {error}");
        std::process::exit(1);
    }
}

/// The middle value.
///
/// # Panics
/// When there is none.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
