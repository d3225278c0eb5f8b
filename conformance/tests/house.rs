//! The house: which crate may import which, what may stand where, what the repository may not hold. From `cargo metadata`.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Crate → what it may import of ours. `secret`, `hcl` and `clock` may be imported by all but each other.
///
/// `airgap`, `x509`, `agent` and `ceremony` are drawn and not built yet.
const ALLOWED: &[(&str, &[&str])] = &[
    ("secret", &[]),
    ("hcl", &[]),
    ("clock", &[]),
    ("airgap", &[]),
    ("hsm", &[]),
    ("keystore", &[]),
    ("x509", &[]),
    ("mount", &["keystore", "hsm"]),
    ("unseal", &["hsm"]),
    ("engines", &["mount", "x509", "keystore"]),
    ("auth", &["mount", "keystore"]),
    ("agent", &["unseal", "hsm"]),
    ("service", &["engines", "auth", "mount", "unseal", "keystore", "hsm"]),
    ("ceremony", &["unseal", "x509", "hsm", "airgap"]),
    ("cli", &["service", "agent", "airgap", "ceremony"]),
];

/// Crates that judge, and may import anything: never published, never linked into the product.
const JUDGES: &[&str] = &["conformance", "bench", "hw-tests"];
const EVERYWHERE: &[&str] = &["secret", "hcl", "clock"];
const VENDORS: &[&str] = &["cryptoki", "cryptoki-sys", "tss-esapi", "yubihsm"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("conformance lies in the repository").to_path_buf()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

/// Our crates: directory → names of what they depend on, without dev-dependencies.
fn ours(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .filter(|package| package["source"].is_null())
        .map(|package| {
            let name = package["name"].as_str().expect("a name").trim_start_matches("strongroom-").to_owned();
            let needs = package["dependencies"].as_array().expect("dependencies").iter();
            let needs = needs.filter(|need| need["kind"].as_str() != Some("dev"));
            (name, needs.map(|need| need["name"].as_str().expect("a name").to_owned()).collect())
        })
        .collect()
}

#[test]
fn arrows_point_down_only() {
    let crates = ours(&metadata());
    for (name, needs) in &crates {
        if JUDGES.contains(&name.as_str()) || name.contains("shim") {
            continue;
        }
        let allowed = ALLOWED.iter().find(|(held, _)| held == name);
        let (_, allowed) = allowed.unwrap_or_else(|| {
            panic!("{name} has no place in the house: give it a line here and in docs/architecture.md")
        });
        for need in needs.iter().filter_map(|need| need.strip_prefix("strongroom-")) {
            let free = EVERYWHERE.contains(&need) && !EVERYWHERE.contains(&name.as_str());
            assert!(free || allowed.contains(&need), "{name} imports {need}: arrows point down only");
        }
    }
}

#[test]
fn every_directory_of_ours_is_a_crate_with_its_name() {
    for package in
        metadata()["packages"].as_array().expect("packages").iter().filter(|package| package["source"].is_null())
    {
        let name = package["name"].as_str().expect("a name");
        let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
        let directory =
            manifest.parent().and_then(Path::file_name).and_then(|name| name.to_str()).expect("a directory");
        assert!(name == format!("strongroom-{directory}") || name.contains("shim"), "{name} lies in {directory}");
        assert_eq!(package["publish"].as_array().map(Vec::len), Some(0), "{name} must not be published by accident");
        assert_eq!(package["license"], "Apache-2.0", "{name}");
    }
}

#[test]
fn vendor_crates_runtimes_and_databases_stay_where_they_belong() {
    for (name, needs) in ours(&metadata()) {
        if JUDGES.contains(&name.as_str()) || name.contains("shim") {
            continue;
        }
        let vendor = needs.iter().find(|need| VENDORS.contains(&need.as_str()));
        assert!(name == "hsm" || vendor.is_none(), "{name} names {vendor:?}, which only hsm may");
        let below_mount =
            ["secret", "hcl", "clock", "airgap", "hsm", "keystore", "unseal", "x509", "mount", "engines", "auth"];
        if below_mount.contains(&name.as_str()) {
            for runtime in ["tokio", "hyper", "rustls", "tokio-rustls"] {
                assert!(!needs.contains(runtime), "{name} names {runtime}: only service and cli know the runtime");
            }
        }
        assert!(name == "keystore" || !needs.contains("redb"), "{name} names redb, which only keystore may");
    }
}

#[test]
fn what_deny_toml_bans_is_not_in_the_lock_file_and_all_comes_from_the_registry() {
    let deny = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml");
    let banned: Vec<&str> =
        deny.lines().filter_map(|line| line.trim().strip_prefix("{ crate = \"")?.split('"').next()).collect();
    assert!(banned.len() >= 5, "deny.toml lists what is banned");
    let licences: BTreeSet<&str> = deny
        .lines()
        .skip_while(|line| !line.starts_with("allow = ["))
        .skip(1)
        .take_while(|line| !line.starts_with(']'))
        .filter_map(|line| line.trim().strip_prefix('"')?.split('"').next())
        .collect();
    // The lock file also names crates that a feature would bring in; what counts is what is linked.
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--target=all", "--edges=all", "--prefix=none", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8(output.stdout).expect("names are UTF-8");
    assert!(tree.lines().count() > 100, "cargo tree lists what is linked");
    for name in tree.lines().filter_map(|line| line.split(' ').next()) {
        assert!(!banned.contains(&name), "{name} is banned: deny.toml says why");
    }
    for package in metadata()["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        let source = package["source"].as_str().unwrap_or("registry+ours");
        assert!(source.starts_with("registry+"), "{name} comes from {source}");
        let licence = package["license"].as_str().unwrap_or_else(|| panic!("{name} states no licence"));
        assert!(allowed_licence(licence, &licences), "{name} is under {licence}, which deny.toml does not allow");
    }
}

/// Whether an SPDX expression can be met with `allowed`: each AND part by one of its OR parts.
fn allowed_licence(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let expression = expression.replace(['(', ')'], "").replace('/', " OR ");
    expression.split(" AND ").all(|part| part.split(" OR ").any(|one| allowed.contains(one.trim())))
}

/// Files that git knows, as text; what is not UTF-8 is left out.
fn tracked() -> Vec<(PathBuf, String)> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().expect("git runs");
    let names = String::from_utf8(output.stdout).expect("names are UTF-8");
    let names = names.split('\0').filter(|name| !name.is_empty());
    names.filter_map(|name| Some((name.into(), std::fs::read_to_string(root().join(name)).ok()?))).collect()
}

/// Where unsafe code may stand: the edges to vendors' libraries, secret pages and the allocator, the module's RSA (decision
/// 0020), the shim that is a library itself, and the proof that shares need no system.
const UNSAFE: &[&str] = &[
    "hsm/src/pkcs11",
    "secret/src/page.rs",
    "secret/src/allocator.rs",
    "secret/src/rsa.rs",
    "hw-tests/shim",
    "unseal/no_std",
];

#[test]
fn unsafe_code_stands_only_where_it_may() {
    let files = tracked();
    for (path, text) in files.iter().filter(|(path, _)| path.extension().is_some_and(|kind| kind == "rs")) {
        let uses = text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or_default();
            code.contains("unsafe ") && !code.contains("unsafe_code") && !code.contains('"')
        });
        let may = UNSAFE.iter().any(|place| path.starts_with(place));
        assert!(!uses || may, "{} holds unsafe code", path.display());
    }
}

#[test]
fn nothing_names_one_machine_and_every_document_that_is_linked_exists() {
    let home = concat!("/ro", "ot/");
    let desk = concat!("/wo", "rk/");
    for (path, text) in tracked() {
        if path.starts_with("conformance/wire") || path.extension().is_some_and(|kind| kind == "lock" || kind == "sum")
        {
            continue;
        }
        for word in [home, desk] {
            assert!(!text.contains(word), "{} names a path of one machine: {word}", path.display());
        }
        if path.extension().is_some_and(|kind| kind == "md") {
            for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let target = link.split('#').next().unwrap_or_default();
                if target.is_empty() || target.contains("://") {
                    continue;
                }
                let near = root().join(&path).parent().expect("a file has a directory").join(target);
                assert!(near.exists(), "{} links to {link}, which is not there", path.display());
            }
        }
    }
}

/// `T-22`, `A-157`, `F-33`: threats, attacks and faults, by the number under which a document explains them.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.filter(|word| match word.split_once('-') {
        Some(("T" | "A" | "F", digits)) => {
            (2..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    })
}

#[test]
fn every_number_of_a_threat_or_fault_is_explained() {
    let files = tracked();
    let explaining =
        files.iter().filter(|(path, _)| path.ends_with("docs/threat-model.md") || path.ends_with("docs/hardware.md"));
    let explained: BTreeSet<&str> = explaining.flat_map(|(_, text)| numbers(text)).collect();
    assert!(explained.len() > 30, "the documents are where they were: {explained:?}");
    for (path, text) in &files {
        if path.starts_with("conformance/wire") || path.extension().is_none_or(|kind| kind != "rs" && kind != "md") {
            continue;
        }
        for number in numbers(text) {
            assert!(
                explained.contains(number),
                "{} names {number}, which docs/threat-model.md does not explain",
                path.display()
            );
        }
    }
}
