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
}
