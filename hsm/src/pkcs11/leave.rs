//! How a process ends that may have loaded a vendor's library.
#![allow(unsafe_code)]

use std::io::Write;

/// Ends the process at once, after what was printed has left: exit handlers of loaded libraries do not run.
///
/// A vendor's library tears its state down in such a handler while a thread of ours may still be inside a call, or may be
/// closing a session; that race ends in a crash after all the work is done, and in an exit code that says otherwise.
pub fn leave(code: u8) -> ! {
    let _ = std::io::stdout().flush();
    let _ = std::io::stderr().flush();
    // SAFETY: it takes a plain value and does not return; nothing that was to be kept waits in a destructor.
    unsafe { libc::_exit(i32::from(code)) }
}
