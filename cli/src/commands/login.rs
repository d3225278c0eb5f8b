//! `login`: by token.

use super::connect::{call, client, keep_token, refused, send};
use super::{Command, Failure, Outcome, print};
use crate::flags::{Parsed, flag, switch};
use crate::terminal;
use zeroize::Zeroizing;

pub(super) const COMMANDS: &[Command] = &[Command {
    words: "login",
    usage: "[flags] [-]",
    about: "Checks a token and keeps it in ~/.vault-token for later commands. It is asked for without echo, or read from stdin with -.",
    flags: &[
        flag("method", "token", "How to log in: token is the only way in this version."),
        switch("no-store", "Do not keep the token."),
        switch("no-print", "Print nothing but mistakes."),
    ],
    client: true,
    run: login,
}];

fn login(parsed: &Parsed) -> Outcome {
    if let Some(other) = parsed.get("method").filter(|method| *method != "token") {
        return Err(Failure::Local(format!("-method={other} is not in this version: use -method=token")));
    }
    let token: Zeroizing<String> = match parsed.arguments.as_slice() {
        [] => terminal::secret("Token (will be hidden): ")?,
        [dash] if dash == "-" => terminal::secret("")?,
        [given] => {
            eprintln!("warning: a token on the command line is seen by others on this machine: use - or the prompt");
            Zeroizing::new(given.strip_prefix("token=").unwrap_or(given).to_owned())
        }
        _ => return Err(Failure::Local("Too many arguments: strongroom login [-]".into())),
    };
    let mut client = client(parsed)?;
    client.token = Some(Zeroizing::new(token.to_string()));
    let answer = send(&client, "GET", "auth/token/lookup-self", None)?;
    if !answer.is_success() {
        return Err(refused(&client, "GET", "auth/token/lookup-self", &answer));
    }
    if !parsed.on("no-store") {
        keep_token(&token)?;
    }
    if parsed.on("no-print") {
        return Ok(());
    }
    let mut whole = answer.json();
    if parsed.get("field").is_none() && super::connect::format(parsed)? == crate::output::Format::Table {
        println!(
            "Success! You are now authenticated. The token is kept in ~/.vault-token and need not be entered again.\n"
        );
    }
    let data = whole["data"].take();
    print(parsed, &data, &data)
}

/// The caller's own token, for commands that name none.
pub(super) fn own(parsed: &Parsed) -> Result<serde_json::Value, Failure> {
    Ok(call(parsed, "GET", "auth/token/lookup-self", None)?.json())
}
