//! Who else could change what the server trusts: its configuration, keys of TLS, files of secrets, libraries, the store.
//!
//! A file can be changed by whoever may write to it, and be replaced by whoever may write to a directory on the way to it,
//! links included. In a directory with the sticky bit only the owner of a name replaces it, so such a directory does no
//! harm. What is not there is passed over: whoever needs it will say so.

use super::{Config, SealKind};
use std::collections::VecDeque;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// What should be looked at, and what must not be used.
#[derive(Default)]
pub(super) struct Findings {
    /// One line each.
    pub(super) warnings: Vec<String>,
    /// One line each.
    pub(super) mistakes: Vec<String>,
}

/// How much is lost when anybody may change it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// Worth a warning.
    Warned,
    /// The file itself must not be open to anybody.
    Refused,
    /// Nor may any directory on the way to it: its content runs here, and sees every key.
    RefusedWithItsWay,
}

/// Looks at all of it. `configuration` and `secrets` are the files that were read for this configuration.
pub(super) fn check(config: &Config, configuration: &[PathBuf], secrets: &[PathBuf]) -> Findings {
    let mut findings = Findings::default();
    let mut look = |path: &Path, what: &str, weight| findings.look(&Me::of_process(), path, what, weight);
    for file in configuration {
        look(file, "the configuration", Weight::Warned);
    }
    for seal in &config.seals {
        if let SealKind::Pkcs11(device) = &seal.kind {
            look(&device.library, "a PKCS#11 library", Weight::RefusedWithItsWay);
        }
    }
    // Their own modes were checked when they were read.
    for file in secrets {
        look(file, "a secret", Weight::Refused);
    }
    for tls in config.listeners.iter().filter_map(|listener| listener.tls.as_ref()) {
        look(&tls.key_file, "a TLS key", Weight::Refused);
        look(&tls.cert_file, "a TLS certificate", Weight::Warned);
        if let Some(authorities) = &tls.client_ca_file {
            look(authorities, "the authorities of clients", Weight::Warned);
        }
    }
    for tls in config.listeners.iter().filter_map(|listener| listener.tls.as_ref()) {
        if std::fs::metadata(&tls.key_file).is_ok_and(|data| data.mode() & 0o004 != 0) {
            findings.warnings.push(format!("{}: a TLS key that anybody may read: chmod o-r", tls.key_file.display()));
        }
    }
    if let Some(directory) = config.store_directory() {
        findings.look(&Me::of_process(), directory, "the store", Weight::Warned);
    }
    findings
}

impl Findings {
    fn look(&mut self, me: &Me, path: &Path, what: &str, weight: Weight) {
        let (way, whole) = way(path);
        for (at, (place, data)) in way.iter().enumerate() {
            let Some(who) = me.rival(data) else { continue };
            let itself = whole && at + 1 == way.len();
            let text = match itself {
                true => format!("{}: {what} that {who} may change", place.display()),
                false => format!("{}: {who} may replace {what} there: {}", place.display(), path.display()),
            };
            let refused = match weight {
                Weight::Warned => false,
                Weight::Refused => itself,
                Weight::RefusedWithItsWay => true,
            };
            if refused && who == ANYBODY {
                self.mistakes.push(format!("{text}: chmod o-w"));
            } else if !self.warnings.iter().any(|other| other.starts_with(&format!("{}: ", place.display()))) {
                // One line for each place, however much lies below it.
                self.warnings.push(text);
            }
        }
    }
}

/// Who this process is: what only it and root may change is nobody else's.
struct Me {
    user: u32,
    group: u32,
}

const ANYBODY: &str = "anybody";

impl Me {
    fn of_process() -> Self {
        Me { user: rustix::process::geteuid().as_raw(), group: rustix::process::getegid().as_raw() }
    }

    /// Who else may write there.
    fn rival(&self, data: &Metadata) -> Option<String> {
        self.rival_by(data.mode(), data.uid(), data.gid(), data.is_dir())
    }

    fn rival_by(&self, mode: u32, owner: u32, group: u32, directory: bool) -> Option<String> {
        let sticky = directory && mode & 0o1000 != 0;
        if mode & 0o002 != 0 && !sticky {
            Some(ANYBODY.to_owned())
        } else if mode & 0o020 != 0 && !sticky && group != 0 && group != self.group {
            Some(format!("group {group}"))
        } else if owner != 0 && owner != self.user {
            Some(format!("user {owner}"))
        } else {
            None
        }
    }
}

/// Links that are followed; the system follows as many.
const LINKS: usize = 40;

/// Every directory in which a name is looked up on the way to `path`, and what lies at its end, links resolved. Ends early
/// where something is missing, and says whether it came to the end.
fn way(path: &Path) -> (Vec<(PathBuf, Metadata)>, bool) {
    let mut found: Vec<(PathBuf, Metadata)> = Vec::new();
    let Ok(path) = std::path::absolute(path) else { return (found, false) };
    let names =
        |path: &Path| -> Vec<PathBuf> { path.components().map(|part| PathBuf::from(part.as_os_str())).collect() };
    let mut rest: VecDeque<PathBuf> = names(&path).into();
    let (mut here, mut links) = (PathBuf::from("/"), 0);
    while let Some(name) = rest.pop_front() {
        let next = match name.components().next() {
            Some(Component::ParentDir) => here.parent().unwrap_or(Path::new("/")).to_owned(),
            _ => here.join(&name),
        };
        let Ok(data) = std::fs::symlink_metadata(&next) else { return (found, false) };
        if data.is_symlink() {
            links += 1;
            let Ok(target) = std::fs::read_link(&next) else { return (found, false) };
            if links > LINKS {
                return (found, false);
            }
            for name in names(&target).into_iter().rev() {
                rest.push_front(name);
            }
            // Joined to an absolute target, it begins at the root again.
            continue;
        }
        here = next;
        // What lies at the end comes last, even when it was passed on the way.
        found.retain(|(place, _)| *place != here);
        found.push((here.clone(), data));
    }
    (found, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    const ME: Me = Me { user: 500, group: 500 };

    #[test]
    fn only_root_and_oneself_are_no_rivals() {
        let rival = |mode, owner, group, directory| ME.rival_by(mode, owner, group, directory);
        for (mode, owner, group, directory) in [
            (0o600, 500, 500, false),
            (0o640, 0, 42, false),
            (0o664, 500, 500, false),
            (0o775, 0, 0, true),
            (0o1777, 0, 0, true),
        ] {
            assert_eq!(rival(mode, owner, group, directory), None, "{mode:o} {owner}:{group}");
        }
        assert_eq!(rival(0o602, 500, 500, false).as_deref(), Some("anybody"));
        assert_eq!(rival(0o1602, 500, 500, false).as_deref(), Some("anybody"), "sticky means nothing on a file");
        assert_eq!(rival(0o777, 0, 0, true).as_deref(), Some("anybody"));
        assert_eq!(rival(0o660, 500, 42, false).as_deref(), Some("group 42"));
        assert_eq!(rival(0o600, 501, 500, false).as_deref(), Some("user 501"));
        assert_eq!(rival(0o1777, 501, 0, true).as_deref(), Some("user 501"), "its owner replaces what lies in it");
    }

    /// A directory with `open/`, which anybody may write to, and `closed/`.
    fn directories() -> tempfile::TempDir {
        let all = tempfile::tempdir().unwrap();
        for (name, mode) in [("open", 0o777), ("closed", 0o755)] {
            std::fs::create_dir(all.path().join(name)).unwrap();
            chmod(&all.path().join(name), mode);
        }
        all
    }

    fn chmod(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn touch(path: &Path, mode: u32) {
        std::fs::write(path, "x").unwrap();
        chmod(path, mode);
    }

    fn look(path: &Path, weight: Weight) -> Findings {
        let mut findings = Findings::default();
        findings.look(&Me::of_process(), path, "a thing", weight);
        findings
    }

    #[test]
    fn links_are_followed_and_every_directory_on_the_way_counts() {
        let all = directories();
        let (open, closed) = (all.path().join("open"), all.path().join("closed"));
        touch(&closed.join("file"), 0o644);
        assert!(look(&closed.join("file"), Weight::RefusedWithItsWay).warnings.is_empty());
        // A link that anybody may turn, to a file that nobody may change.
        symlink("../closed/file", open.join("link")).unwrap();
        // A link that nobody may turn, to a place where anybody may put another.
        touch(&open.join("file"), 0o644);
        symlink(open.join("file"), closed.join("link")).unwrap();
        symlink("link", closed.join("link-to-link")).unwrap();
        for path in [open.join("link"), closed.join("link"), closed.join("link-to-link"), closed.join("../open/file")] {
            let found = look(&path, Weight::Refused);
            assert_eq!((found.warnings.len(), found.mistakes.len()), (1, 0), "{path:?}: {:?}", found.warnings);
            assert!(found.warnings[0].starts_with(&format!("{}: anybody may replace", open.display())), "{path:?}");
            let found = look(&path, Weight::RefusedWithItsWay);
            assert_eq!((found.warnings.len(), found.mistakes.len()), (0, 1), "{path:?}");
        }
        chmod(&open, 0o1777);
        assert!(look(&open.join("link"), Weight::RefusedWithItsWay).mistakes.is_empty(), "sticky");
        chmod(&open, 0o777);
        let missing = look(&open.join("missing"), Weight::Refused);
        assert_eq!((missing.warnings.len(), missing.mistakes.len()), (1, 0), "its place is worth a warning");
        symlink("loop", closed.join("loop")).unwrap();
        for nothing in [closed.join("loop"), closed.join("nothing"), closed.join("file/below")] {
            assert!(look(&nothing, Weight::RefusedWithItsWay).mistakes.is_empty(), "{nothing:?}");
        }
    }

    #[test]
    fn a_file_that_anybody_may_change_is_refused_where_that_is_the_end() {
        let all = directories();
        let file = all.path().join("closed/file");
        touch(&file, 0o666);
        for (weight, warnings, mistakes) in
            [(Weight::Warned, 1, 0), (Weight::Refused, 0, 1), (Weight::RefusedWithItsWay, 0, 1)]
        {
            let found = look(&file, weight);
            assert_eq!((found.warnings.len(), found.mistakes.len()), (warnings, mistakes));
            let text = found.warnings.iter().chain(&found.mistakes).next().unwrap();
            assert!(text.starts_with(&format!("{}: a thing that anybody may change", file.display())), "{text}");
        }
    }

    #[test]
    fn all_that_a_configuration_trusts_is_looked_at() {
        let all = directories();
        let at = |name: &str| all.path().join("closed").join(name);
        for name in ["server.hcl", "cert.pem", "ca.pem", "lib.so", "key.pem"] {
            touch(&at(name), 0o600);
        }
        std::fs::create_dir(at("store")).unwrap();
        chmod(&at("store"), 0o700);
        touch(&at("pin"), 0o600);
        std::fs::write(
            at("server.hcl"),
            format!(
                "storage \"embedded\" {{ path = {:?} }}\nlistener \"tcp\" {{ tls_cert_file = {:?}\n tls_key_file = {:?}\n \
                 tls_client_ca_file = {:?} }}\nseal \"pkcs11\" {{ lib = {:?}\n token_label = \"t\"\n pin = \"file://{}\"\n \
                 key_label = \"k\" }}\n",
                at("store"),
                at("cert.pem"),
                at("key.pem"),
                at("ca.pem"),
                at("lib.so"),
                at("pin").display()
            ),
        )
        .unwrap();
        let load = || Config::load(&[at("server.hcl")], &super::super::Environment::default());
        let warnings = || load().unwrap_or_else(|mistakes| panic!("{mistakes}")).warnings;
        assert_eq!(warnings(), Vec::<String>::new());
        for (name, open, closed, part) in [
            ("server.hcl", 0o602, 0o600, "the configuration"),
            ("cert.pem", 0o602, 0o600, "a TLS certificate"),
            ("ca.pem", 0o602, 0o600, "the authorities of clients"),
            ("store", 0o702, 0o700, "the store"),
            ("key.pem", 0o604, 0o600, "a TLS key that anybody may read"),
        ] {
            chmod(&at(name), open);
            let found = warnings();
            assert!(found.len() == 1 && found[0].contains(part), "{name}: {found:?}");
            chmod(&at(name), closed);
        }
        for (name, part) in [
            ("lib.so", "a PKCS#11 library that anybody may change"),
            ("key.pem", "a TLS key that anybody may change"),
            ("pin", "lets others read or change it"),
        ] {
            chmod(&at(name), 0o602);
            let Err(mistakes) = load() else { panic!("{name} was accepted") };
            assert!(mistakes.0.len() == 1 && mistakes.0[0].contains(part), "{name}: {mistakes}");
            chmod(&at(name), 0o600);
        }
        // Where a secret lies counts too, and where a library lies may be refused.
        std::fs::rename(at("pin"), all.path().join("open/pin")).unwrap();
        symlink(all.path().join("open/pin"), at("pin")).unwrap();
        let found = warnings();
        assert!(found.len() == 1 && found[0].contains("anybody may replace a secret there"), "{found:?}");
        std::fs::rename(at("lib.so"), all.path().join("open/lib.so")).unwrap();
        symlink(all.path().join("open/lib.so"), at("lib.so")).unwrap();
        let Err(mistakes) = load() else { panic!("the library was accepted") };
        assert!(mistakes.0[0].contains("anybody may replace a PKCS#11 library there"), "{mistakes}");
    }
}
