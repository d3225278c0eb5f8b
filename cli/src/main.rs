//! `strongroom`: the server, and the commands of its operators and clients.
//!
//! Exit codes: 0 done, 1 a mistake here (flags, files, no connection), 2 the server refused; `status`: 0 unsealed,
//! 1 error, 2 sealed.
#![forbid(unsafe_code)]

mod client;
mod commands;
mod flags;
mod output;
mod terminal;

/// HTTP, TLS and JSON buffers are wiped when they are freed.
#[global_allocator]
static ALLOCATOR: strongroom_secret::allocator::Wiping = strongroom_secret::allocator::Wiping;

fn main() {
    let hardened = strongroom_secret::process::harden();
    if let Err(call) = hardened {
        eprintln!("warning: {call} failed: a core dump could hold keys");
    }
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        // An argument that is not UTF-8 is a path at most, and none of ours is.
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    strongroom_service::operator::leave(commands::run(arguments))
}
