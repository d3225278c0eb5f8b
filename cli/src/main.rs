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
    if arguments.first().is_none_or(|command| command != "server") {
        end_quietly_without_a_reader();
    }
    strongroom_service::operator::leave(commands::run(arguments))
}

/// `strongroom … | head`: when nobody reads what a command prints, it ends, and that is no defect to report.
fn end_quietly_without_a_reader() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str().is_some_and(|text| text.starts_with("failed printing to stdout")) {
            strongroom_service::operator::leave(1);
        }
        report(panic);
    }));
}
