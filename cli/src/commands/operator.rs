//! `operator init|unseal|seal|rotate|rotate-root|key-status|reencrypt|seal-check|hsm …`.

mod reencrypt;

use super::connect::{call, client, format, refused, send, success};
use super::{Command, Failure, Outcome, field, print, server, status, warn};
use crate::flags::{Flag, Parsed, flag, switch};
use crate::output::{self, Format};
use crate::terminal;
use serde_json::{Map, Value, json};
use strongroom_clock::Clock;
use strongroom_service::operator::{self, Finding};

const CONFIG: Flag = flag("config", "PATH", "A configuration file or directory; may be repeated.");

pub(super) const COMMANDS: &[Command] = &[
    Command {
        words: "operator init",
        usage: "[flags]",
        about: "Initialises the store: makes the root key, deals it over the seal tree, and prints shares and the root token once.",
        flags: &[
            flag("key-shares", "N", "Shares dealt to custodians (5)."),
            flag("n", "N", "The same as -key-shares."),
            flag("key-threshold", "N", "How many of them open the store (3)."),
            flag("t", "N", "The same as -key-threshold."),
            flag("recovery-shares", "N", "Recovery keys dealt, where devices open the store (5)."),
            flag("recovery-threshold", "N", "How many of them authorise (3)."),
            flag("pgp-keys", "KEYS", "Not in this version."),
            switch("status", "Only say whether it is initialised: exit code 0 yes, 2 no."),
        ],
        client: true,
        run: init,
    },
    Command {
        words: "operator unseal",
        usage: "[flags] [-]",
        about: "Enters one share, which is asked for without echo, or read from stdin with -.",
        flags: &[
            switch("reset", "Forget the shares entered so far."),
            switch("migrate", "Without effect: a seal tree is changed while it serves."),
            flag("epoch", "N", "Refuse a store whose epoch is older: it is an old copy."),
        ],
        client: true,
        run: unseal,
    },
    Command {
        words: "operator seal",
        usage: "[flags]",
        about: "Seals the server: it forgets every key and answers nothing until it is unsealed.",
        flags: &[],
        client: true,
        run: seal,
    },
    Command {
        words: "operator rotate",
        usage: "[flags]",
        about: "Begins a new term of the keyring: what is written from now on is sealed under a new key.",
        flags: &[],
        client: true,
        run: rotate,
    },
    Command {
        words: "operator rotate-root",
        usage: "[flags]",
        about: "Makes a new root key and new keyslots. Shares stay good; a device that is away is brought up to date when it returns, within 30 days by itself.",
        flags: &[],
        client: true,
        run: rotate_root,
    },
    Command {
        words: "operator key-status",
        usage: "[flags]",
        about: "Shows the keyring's current term.",
        flags: &[],
        client: true,
        run: key_status,
    },
    Command {
        words: "operator reencrypt",
        usage: "[flags]",
        about: "Seals anew what older terms of the keyring have sealed, and proves that nothing is left under them. Rotate first to leave the current term behind. Waits for the end; exit code 2 if the proof does not hold.",
        flags: &[
            switch("status", "Only say how it stands."),
            switch("detach", "Begin it, and do not wait: the server goes on, over restarts too."),
        ],
        client: true,
        run: reencrypt::run,
    },
    Command {
        words: "operator seal-check",
        usage: "-config=PATH [flags]",
        about: "Proves that every leaf of the seal tree answers and opens, without unsealing. Exit code 1 if one does not, 2 if it could not be proven: beside a running server the store cannot be read.",
        flags: &[
            CONFIG,
            flag("seal", "NAME", "Only this leaf."),
            switch("permit-login", "Try the PIN once more although the token refused it before."),
        ],
        client: false,
        run: seal_check,
    },
    Command {
        words: "operator hsm keygen",
        usage: "-config=PATH [flags]",
        about: "Makes the key of a seal on its device, never exportable. Refuses a label that exists.",
        flags: &[
            CONFIG,
            flag("seal", "NAME", "Whose key; where there is one PKCS#11 seal it need not be named."),
            flag("kind", "KIND", "aes-256, rsa-2048, rsa-3072 or rsa-4096; by default what the mechanism needs."),
        ],
        client: false,
        run: keygen,
    },
    Command {
        words: "operator hsm list",
        usage: "[-config=PATH | -lib=FILE]",
        about: "Shows slots, tokens, keys and mechanisms. Keys only where a seal has a PIN.",
        flags: &[CONFIG, flag("lib", "FILE", "A PKCS#11 library that no seal names.")],
        client: false,
        run: list,
    },
];

fn init(parsed: &Parsed) -> Outcome {
    let client = client(parsed)?;
    if parsed.on("status") {
        let answer = send(&client, "GET", "sys/init", None)?;
        if !answer.is_success() {
            return Err(refused(&client, "GET", "sys/init", &answer));
        }
        return match answer.json()["initialized"].as_bool() {
            Some(true) => success("Vault is initialized"),
            _ => {
                println!("Vault is not initialized");
                Err(Failure::Code(2))
            }
        };
    }
    if parsed.get("pgp-keys").is_some() {
        return Err(Failure::Local("shares cannot be encrypted to PGP keys in this version".into()));
    }
    let seal = send(&client, "GET", "sys/seal-status", None)?.json();
    let by_devices = seal["recovery_seal"].as_bool().unwrap_or(false);
    let body = init_body(parsed, by_devices)?;
    let answer = send(&client, "PUT", "sys/init", Some(&body))?;
    if !answer.is_success() {
        return Err(refused(&client, "PUT", "sys/init", &answer));
    }
    let made = answer.json();
    warn(&made);
    show_init(parsed, &body, &made)
}

/// What is sent: what was given, and Vault's defaults for the family that the seal tree needs.
fn init_body(parsed: &Parsed, by_devices: bool) -> Result<Value, Failure> {
    let shares = parsed.number("key-shares")?.or(parsed.number("n")?);
    let threshold = parsed.number("key-threshold")?.or(parsed.number("t")?);
    let recovery_shares = parsed.number("recovery-shares")?;
    let recovery_threshold = parsed.number("recovery-threshold")?;
    let mut body = Map::new();
    let mut put = |name: &str, given: Option<i64>, default: Option<i64>| {
        if let Some(number) = given.or(default) {
            body.insert(name.into(), json!(number));
        }
    };
    put("secret_shares", shares, (!by_devices).then_some(5));
    put("secret_threshold", threshold, (!by_devices).then_some(3));
    put("recovery_shares", recovery_shares, by_devices.then_some(5));
    put("recovery_threshold", recovery_threshold, by_devices.then_some(3));
    Ok(body.into())
}

fn show_init(parsed: &Parsed, asked: &Value, made: &Value) -> Outcome {
    let list = |name: &str| made[name].as_array().cloned().unwrap_or_default();
    let number = |name: &str| asked[name].as_i64().unwrap_or(0);
    if format(parsed)? != Format::Table || parsed.get("field").is_some() {
        let whole = json!({
            "unseal_keys_b64": list("keys_base64"),
            "unseal_keys_hex": list("keys"),
            "unseal_shares": number("secret_shares"),
            "unseal_threshold": number("secret_threshold"),
            "recovery_keys_b64": list("recovery_keys_base64"),
            "recovery_keys_hex": list("recovery_keys"),
            "recovery_keys_shares": number("recovery_shares"),
            "recovery_keys_threshold": number("recovery_threshold"),
            "root_token": made["root_token"],
        });
        return print(parsed, &whole, &whole);
    }
    for (title, name) in [("Unseal", "keys_base64"), ("Recovery", "recovery_keys_base64")] {
        let keys = list(name);
        keys.iter().enumerate().for_each(|(index, key)| println!("{title} Key {}: {}", index + 1, output::cell(key)));
        if !keys.is_empty() {
            println!();
        }
    }
    println!("Initial Root Token: {}\n", output::cell(&made["root_token"]));
    let (shares, threshold) = (number("secret_shares"), number("secret_threshold"));
    if shares > 0 {
        println!(
            "Vault initialized with {shares} key shares and a key threshold of {threshold}. Give each share to its\n\
             custodian and keep none of them here: {threshold} of them open the store again after a restart\n\
             (strongroom operator unseal), and without {threshold} of them nothing does."
        );
    } else {
        println!(
            "Success! Vault is initialized. Devices open the store; the recovery keys authorise and never decrypt."
        );
    }
    Ok(())
}

fn unseal(parsed: &Parsed) -> Outcome {
    let body = match (parsed.on("reset"), parsed.arguments.as_slice()) {
        (true, []) => json!({"reset": true}),
        (true, _) => return Err(Failure::Local("-reset takes no share".into())),
        (false, []) => share_body(parsed, &terminal::secret("Unseal Key (will be hidden): ")?)?,
        (false, [dash]) if dash == "-" => share_body(parsed, &terminal::secret("")?)?,
        (false, _) => {
            return Err(Failure::Local(
                "a share on the command line is seen by others on this machine and kept in the shell's history:\n\
                 enter it at the prompt, or pipe it into strongroom operator unseal -"
                    .into(),
            ));
        }
    };
    let answer = call(parsed, "PUT", "sys/unseal", Some(&body))?;
    status::show(parsed, &answer.json())
}

fn share_body(parsed: &Parsed, share: &str) -> Result<Value, Failure> {
    let mut body = json!({"key": share, "migrate": parsed.on("migrate")});
    if let Some(epoch) = parsed.number("epoch")? {
        body["epoch"] = json!(epoch);
    }
    Ok(body)
}

fn seal(parsed: &Parsed) -> Outcome {
    call(parsed, "PUT", "sys/seal", None)?;
    success("Vault is sealed.")
}

fn rotate(parsed: &Parsed) -> Outcome {
    call(parsed, "POST", "sys/rotate", None)?;
    if format(parsed)? == Format::Table {
        println!("Success! Rotated key\n");
    }
    key_status(parsed)
}

fn rotate_root(parsed: &Parsed) -> Outcome {
    let answer = call(parsed, "POST", "sys/rotate/root", None)?;
    if answer.status != 204 {
        warn(&answer.json());
    }
    let whole = call(parsed, "GET", "sys/integrity", None)?.json();
    let data = &whole["data"];
    if format(parsed)? != Format::Table || parsed.get("field").is_some() {
        return print(parsed, data, data);
    }
    success(&format!("The root key is of generation {} now.", output::cell(&data["generation"])))
}

fn key_status(parsed: &Parsed) -> Outcome {
    let whole = call(parsed, "GET", "sys/key-status", None)?.json();
    let data = if whole["data"].is_object() { &whole["data"] } else { &whole };
    if let Some(name) = parsed.get("field") {
        return field(&whole, data, name);
    }
    match format(parsed)? {
        Format::Json => print!("{}", output::json(data)),
        Format::Yaml => print!("{}", output::yaml(data)),
        Format::Table => print!(
            "{}",
            output::pairs(vec![
                ("Key Term".into(), output::cell(&data["term"])),
                ("Install Time".into(), output::cell(&data["install_time"])),
                ("Encryption Count".into(), output::cell(&data["encryptions"])),
            ])
        ),
    }
    Ok(())
}

fn seal_check(parsed: &Parsed) -> Outcome {
    let config = server::configuration(parsed)?;
    let clock = Clock::system();
    let checking = operator::seal_check(&config, parsed.get("seal"), parsed.on("permit-login"), &clock);
    let checked = server::block_on(checking)?.map_err(Failure::Local)?;
    // 1 where one failed, else 2 where one is not proven.
    let (mut failed, mut unproven) = (false, false);
    let rows: Vec<Vec<String>> = checked
        .into_iter()
        .map(|one| {
            let (state, text) = match one.outcome {
                Finding::Proven(text) => ("ok", text),
                Finding::NotProven(text) => ("not proven", text),
                Finding::Failed(text) => ("FAILED", text),
                Finding::ByShares(text) => ("by shares", text),
            };
            failed |= state == "FAILED";
            unproven |= state == "not proven";
            vec![one.leaf, one.kind.to_owned(), state.to_owned(), text]
        })
        .collect();
    if rows.is_empty() {
        println!("no seal block, so custodians' shares open the store; they are checked when they are entered");
        return Ok(());
    }
    print!("{}", output::table(&["Seal", "Kind", "State", "What it did"], &rows));
    match (failed, unproven) {
        (true, _) => Err(Failure::Code(1)),
        (false, true) => Err(Failure::Code(2)),
        (false, false) => Ok(()),
    }
}

fn keygen(parsed: &Parsed) -> Outcome {
    let config = server::configuration(parsed)?;
    let making = operator::keygen(&config, parsed.get("seal"), parsed.get("kind"));
    let made = server::block_on(making)?.map_err(Failure::Local)?;
    success(&made)
}

fn list(parsed: &Parsed) -> Outcome {
    let config = match parsed.get("config") {
        Some(_) => Some(server::configuration(parsed)?),
        None => None,
    };
    let library = parsed.get("lib").map(std::path::Path::new);
    let found = server::block_on(operator::list(config.as_ref(), library))?.map_err(Failure::Local)?;
    for library in found {
        println!("{}", library.library.display());
        library.lines.iter().for_each(|line| println!("  {line}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse;

    fn body(arguments: &[&str], by_devices: bool) -> Value {
        let flags = COMMANDS[0].flags;
        let parsed = parse(arguments.iter().map(ToString::to_string).collect(), &[flags]).unwrap();
        init_body(&parsed, by_devices).unwrap_or(Value::Null)
    }

    #[test]
    fn init_sends_what_the_seal_tree_needs_and_what_was_given() {
        assert_eq!(body(&[], false), json!({"secret_shares": 5, "secret_threshold": 3}));
        assert_eq!(body(&[], true), json!({"recovery_shares": 5, "recovery_threshold": 3}));
        assert_eq!(body(&["-n=1", "-t=1"], false), json!({"secret_shares": 1, "secret_threshold": 1}));
        let both = body(&["-key-shares=3", "-recovery-shares=1", "-recovery-threshold=1"], false);
        let want = json!({"secret_shares": 3, "secret_threshold": 3, "recovery_shares": 1, "recovery_threshold": 1});
        assert_eq!(both, want);
    }
}
