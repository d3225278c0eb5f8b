//! `share` and `quorum` link without std and without an allocator, and do nothing that depends on a secret.

use std::process::Command;

#[test]
fn share_and_quorum_link_without_std_and_branch_on_no_secret() {
    let check = concat!(env!("CARGO_MANIFEST_DIR"), "/no_std/check");
    let output = Command::new(check)
        .arg(concat!(env!("CARGO_TARGET_TMPDIR"), "/no_std"))
        .env("CARGO", env!("CARGO"))
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{error}");
    assert_eq!(out.matches("the secret came back").count(), if out.contains("skipped") { 2 } else { 4 }, "{out}");
    println!("{out}");
}
