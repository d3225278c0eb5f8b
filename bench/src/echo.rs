//! The bare HTTP server, started beside what is measured.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Starts the echo beside this program, answering `size` bytes: the child, and where it listens.
///
/// # Panics
/// When it was not built.
pub(crate) fn echo(size: usize) -> (Child, String) {
    let program = std::env::current_exe().expect("a program knows its path").with_file_name("echo");
    let mut child = Command::new(program)
        .args(["0", &size.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the echo is built beside the bench: cargo build --release -p strongroom-bench");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("stdout is piped");
    BufReader::new(stdout).read_line(&mut line).expect("the echo says where it listens");
    (child, line.trim().to_owned())
}
