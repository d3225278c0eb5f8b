//! Every test in a process of its own: the test starts itself again with the module's environment set.

use crate::skips::skips;
use crate::stand::DIRECTORY;
use crate::{Kind, Stand};
use std::process::Command;

/// The environment variable that tells a test that it is the second process, and which phase of the test it is.
const PHASE: &str = "STRONGROOM_STAND_PHASE";

/// No test takes this long; a hanging module must not hang the suite.
const SECONDS_MAX: &str = "300";

/// Runs `body` in a process of its own on a fresh stand. Call it first and alone in a `#[test]`.
pub fn isolated(kind: Kind, body: impl FnOnce(&Stand)) {
    phased(kind, 1, body);
}

/// As [`isolated`], in several processes one after the other on the same stand; [`phase`] tells which one this is.
pub fn phased(kind: Kind, phases: usize, body: impl FnOnce(&Stand)) {
    if std::env::var_os(PHASE).is_some() {
        return body(&Stand::inherited(kind));
    }
    let output = run(kind, phases);
    assert!(output.passed, "{}", output.text);
}

/// The phase that this process is, from 0.
pub fn phase() -> usize {
    std::env::var(PHASE).ok().and_then(|text| text.parse().ok()).expect("only called in a test's own process")
}

/// Runs a case of the conformance suite. A case that `skips.toml` lists must fail, and for the reason listed.
pub fn conform(kind: Kind, case: &str, phases: usize, body: impl FnOnce(&Stand)) {
    if std::env::var_os(PHASE).is_some() {
        return body(&Stand::inherited(kind));
    }
    let output = run(kind, phases);
    match skips().iter().find(|skip| skip.token == kind.name() && skip.case == case) {
        None => assert!(output.passed, "{case} on {}:\n{}", kind.name(), output.text),
        Some(skip) => {
            assert!(!output.passed, "{case} passes on {} now: take it out of skips.toml", kind.name());
            assert!(
                output.text.contains(&skip.error),
                "{case} on {} is skipped because {:?}, but failed otherwise:\n{}",
                kind.name(),
                skip.error,
                output.text
            );
        }
    }
}

struct Output {
    passed: bool,
    text: String,
}

fn run(kind: Kind, phases: usize) -> Output {
    let directory = tempfile::Builder::new().prefix("strongroom-hw-").tempdir().expect("a temporary directory");
    let stand = Stand::prepare(kind, directory.path());
    let test = std::thread::current().name().expect("a test's thread is named after it").to_string();
    let mut text = String::new();
    for phase in 0..phases {
        let output = Command::new("timeout")
            .args(["--kill-after=5", SECONDS_MAX])
            .arg(std::env::current_exe().expect("a running program has a file"))
            .args([&test, "--exact", "--nocapture", "--test-threads=1"])
            .envs(stand.environment())
            .env(DIRECTORY, stand.directory())
            .env(PHASE, phase.to_string())
            .output()
            .expect("the test can be started again");
        text.push_str(&String::from_utf8_lossy(&output.stdout));
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            return Output { passed: false, text: format!("phase {phase}: {}\n{text}", output.status) };
        }
        // A name that fits no test runs none, and passes.
        assert!(text.contains("1 passed"), "the test {test} did not run:\n{text}");
    }
    Output { passed: true, text }
}
