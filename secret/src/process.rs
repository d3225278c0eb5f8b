//! What a process that holds keys does first: no core dumps, no debugger.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Forbids core dumps and attaching (`PR_SET_DUMPABLE` off, `RLIMIT_CORE` 0). Says what could not be done.
///
/// # Errors
/// The name of the call that failed.
pub fn harden() -> Result<(), &'static str> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(|_| "setrlimit(RLIMIT_CORE)")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|_| "prctl(PR_SET_DUMPABLE)")
}

#[cfg(test)]
mod tests {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    #[test]
    fn a_hardened_process_is_not_dumpable_and_dumps_no_core() {
        super::harden().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
    }

    /// T-33: a debugger of the same user. What root has beside its name is taken away first, from this test run anew, so that
    /// the same user is all that is left.
    #[test]
    fn nobody_of_the_same_user_attaches_to_a_hardened_process() {
        const AGAIN: &str = "STRONGROOM_TEST_ATTACH";
        if std::env::var_os(AGAIN).is_none() {
            let own = std::env::current_exe().unwrap();
            let root = rustix::process::getuid().is_root();
            let mut command = std::process::Command::new(if root { "setpriv".as_ref() } else { own.as_os_str() });
            if root {
                command.args(["--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace"]).arg(&own);
            }
            let name = "process::tests::nobody_of_the_same_user_attaches_to_a_hardened_process";
            let ran = command.args(["--exact", name, "--nocapture"]).env(AGAIN, "1").output().expect("setpriv runs");
            let said = String::from_utf8_lossy(&ran.stdout);
            assert!(
                ran.status.success() && said.contains("1 passed"),
                "{said}{}",
                String::from_utf8_lossy(&ran.stderr)
            );
            return;
        }
        // Opening a process's memory asks what attaching asks. At address zero nothing is mapped: who may open it fails to
        // read.
        let attach = || {
            let memory = format!("/proc/{}/mem", std::process::id());
            let ran =
                std::process::Command::new("head").args(["-c", "1", &memory]).env("LC_ALL", "C").output().unwrap();
            String::from_utf8_lossy(&ran.stderr).into_owned()
        };
        let before = attach();
        if before.contains("Permission denied") || before.contains("not permitted") {
            println!("skipped, half a test: this kernel lets nobody attach to its parent");
        } else {
            assert!(before.contains("Input/output error"), "{before}");
        }
        super::harden().unwrap();
        let after = attach();
        assert!(after.contains("Permission denied") || after.contains("not permitted"), "{after}");
    }
}
