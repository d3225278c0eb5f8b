//! What a process that holds keys does first: no core dumps, no debugger.

#![allow(unsafe_code)]

/// Forbids core dumps and attaching (`PR_SET_DUMPABLE` off, `RLIMIT_CORE` 0). Says what could not be done.
///
/// # Errors
/// The name of the call that failed.
pub fn harden() -> Result<(), &'static str> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls take plain values or a pointer to a live struct, and change this process alone.
    unsafe {
        if libc::setrlimit(libc::RLIMIT_CORE, &raw const none) != 0 {
            return Err("setrlimit(RLIMIT_CORE)");
        }
        if libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 {
            return Err("prctl(PR_SET_DUMPABLE)");
        }
    }
    Ok(())
}

/// Ends the process at once, after what was printed has left: exit handlers of loaded libraries do not run.
///
/// A vendor's library tears its state down in such a handler while a thread of ours may still be inside a call, or may be
/// closing a session; that race ends in a crash after all the work is done, and in an exit code that says otherwise.
pub fn leave(code: u8) -> ! {
    use std::io::Write;
    let _ = std::io::stdout().flush();
    let _ = std::io::stderr().flush();
    // SAFETY: it takes a plain value and does not return; nothing that was to be kept waits in a destructor.
    unsafe { libc::_exit(i32::from(code)) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_hardened_process_is_not_dumpable_and_dumps_no_core() {
        super::harden().unwrap();
        // SAFETY: a query without arguments, and one that fills a live struct.
        let (dumpable, limit) = unsafe {
            let mut limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
            libc::getrlimit(libc::RLIMIT_CORE, &raw mut limit);
            (libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0), limit.rlim_cur)
        };
        assert_eq!((dumpable, limit), (0, 0));
    }
}
