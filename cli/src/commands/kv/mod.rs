//! `kv …`: secrets of either version, which the server is asked for first.

mod data;
mod metadata;
mod versions;

use super::connect::{self, refused, send};
use super::{Command, Failure, Outcome};
use crate::client::{Answer, Client};
use crate::flags::{Flag, Parsed, flag, switch};
use crate::output;
use serde_json::{Value, json};

const MOUNT: Flag = flag("mount", "PATH", "Where the engine is mounted; KEY is below it then.");
const VERSIONS: Flag = flag("versions", "N,N", "Which versions; may be repeated.");
const CAS: Flag = flag("cas", "N", "Write only when this is the newest version; 0: when there is none.");
const MAX_VERSIONS: Flag = flag("max-versions", "N", "How many versions are kept; 0 is the mount's number.");
const CAS_REQUIRED: Flag = switch("cas-required", "Whether every write needs -cas.");
const DELETE_AFTER: Flag =
    flag("delete-version-after", "SPAN", "After what time a new version is deleted; 0s is the mount's.");
const CUSTOM: Flag = flag("custom-metadata", "K=V", "Words of your own; may be repeated.");

pub(super) const COMMANDS: &[Command] = &[
    Command {
        words: "kv get",
        usage: "[flags] KEY",
        about: "Reads a secret. -field=NAME prints one field of its data.",
        flags: &[MOUNT, flag("version", "N", "Which version; the newest if left out.")],
        client: true,
        run: data::get,
    },
    Command {
        words: "kv put",
        usage: "[flags] KEY [K=V | K=@FILE | K=- | @FILE | -]…",
        about: "Writes a secret, or its next version. What was there is replaced.",
        flags: &[MOUNT, CAS],
        client: true,
        run: data::put,
    },
    Command {
        words: "kv patch",
        usage: "[flags] KEY [K=V | K=@FILE | K=- | @FILE | -]…",
        about: "Writes the next version of a secret: the newest with these fields changed.",
        flags: &[
            MOUNT,
            CAS,
            flag("method", "patch|rw", "Merge at the server, or read and write here; either, if left out."),
            flag("remove-data", "K", "A field to take away; may be repeated."),
        ],
        client: true,
        run: data::patch,
    },
    Command {
        words: "kv delete",
        usage: "[flags] KEY",
        about: "Deletes a secret; of version 2 the newest version, which can be undeleted.",
        flags: &[MOUNT, VERSIONS],
        client: true,
        run: versions::delete,
    },
    Command {
        words: "kv undelete",
        usage: "[flags] -versions=N KEY",
        about: "Brings deleted versions back.",
        flags: &[MOUNT, VERSIONS],
        client: true,
        run: versions::undelete,
    },
    Command {
        words: "kv destroy",
        usage: "[flags] -versions=N KEY",
        about: "Removes the data of versions for good.",
        flags: &[MOUNT, VERSIONS],
        client: true,
        run: versions::destroy,
    },
    Command {
        words: "kv rollback",
        usage: "[flags] -version=N KEY",
        about: "Writes an old version again as the newest.",
        flags: &[MOUNT, flag("version", "N", "Which version.")],
        client: true,
        run: data::rollback,
    },
    Command {
        words: "kv list",
        usage: "[flags] PATH",
        about: "Lists the names below a path.",
        flags: &[MOUNT],
        client: true,
        run: versions::list,
    },
    Command {
        words: "kv metadata get",
        usage: "[flags] KEY",
        about: "Shows what holds for all versions of a secret, and each of them.",
        flags: &[MOUNT],
        client: true,
        run: metadata::get,
    },
    Command {
        words: "kv metadata put",
        usage: "[flags] KEY",
        about: "Changes what is given; custom metadata is replaced.",
        flags: &[MOUNT, MAX_VERSIONS, CAS_REQUIRED, DELETE_AFTER, CUSTOM],
        client: true,
        run: metadata::put,
    },
    Command {
        words: "kv metadata patch",
        usage: "[flags] KEY",
        about: "Changes what is given; other custom metadata stays.",
        flags: &[
            MOUNT,
            MAX_VERSIONS,
            CAS_REQUIRED,
            DELETE_AFTER,
            CUSTOM,
            flag("remove-custom-metadata", "K", "An entry to take away; may be repeated."),
        ],
        client: true,
        run: metadata::patch,
    },
    Command {
        words: "kv metadata delete",
        usage: "[flags] KEY",
        about: "Deletes a secret with all its versions, for good.",
        flags: &[MOUNT],
        client: true,
        run: metadata::delete,
    },
    Command {
        words: "kv enable-versioning",
        usage: "[flags] MOUNT",
        about: "Makes a version 1 mount one of version 2. There is no way back.",
        flags: &[],
        client: true,
        run: enable_versioning,
    },
];

/// Which secret is meant, and of which version its mount is.
struct Target {
    client: Client,
    /// With its slash at the end.
    mount: String,
    /// Below the mount.
    key: String,
    versioned: bool,
}

impl Target {
    /// Asks the server what the path is.
    fn find(parsed: &Parsed, key: &str) -> Result<Target, Failure> {
        let client = connect::client(parsed)?;
        let key = key.trim_matches('/');
        let asked = parsed.get("mount").map_or(key, |mount| mount.trim_matches('/'));
        let path = format!("sys/internal/ui/mounts/{asked}");
        let answer = send(&client, "GET", &path, None)?;
        if answer.status == 404 {
            // A server that is too old to say; what it has there is of version 1.
            return Ok(Target { client, mount: String::new(), key: key.to_owned(), versioned: false });
        }
        if !answer.is_success() {
            return Err(refused(&client, "GET", &path, &answer));
        }
        let data = &answer.json()["data"];
        let mount = data["path"].as_str().unwrap_or_default().to_owned();
        let versioned = output::field(&data["options"]["version"]) == "2";
        let key = match parsed.get("mount") {
            None if mount.trim_end_matches('/') == key => "",
            None => key.strip_prefix(&mount).unwrap_or(key),
            Some(_) => key,
        };
        Ok(Target { key: key.trim_matches('/').to_owned(), client, mount, versioned })
    }

    /// The one of the command's arguments.
    fn of(parsed: &Parsed, usage: &str) -> Result<Target, Failure> {
        let [key] = parsed.exactly::<1>(usage)?;
        Target::find(parsed, key)
    }

    /// The same, where only version 2 will do.
    fn of_version_2(parsed: &Parsed, usage: &str) -> Result<Target, Failure> {
        let target = Target::of(parsed, usage)?;
        match target.versioned {
            true => Ok(target),
            false => Err(Failure::Local(format!("{usage}: only for mounts of version 2"))),
        }
    }

    /// The path of one group, such as `data`; of version 1 the secret's own.
    fn path(&self, group: &str) -> String {
        match self.versioned {
            true => format!("{}{group}/{}", self.mount, self.key),
            false => format!("{}{}", self.mount, self.key),
        }
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        send(&self.client, method, path, body)
    }

    /// One request that must succeed.
    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        let answer = self.send(method, path, body)?;
        if answer.is_success() { Ok(answer) } else { Err(refused(&self.client, method, path, &answer)) }
    }
}

/// A title in a frame of equals signs, as Vault prints it.
fn title(text: &str, width: usize) -> String {
    let width = width.max(text.len() + 6);
    let left = (width - text.len() - 2) / 2;
    let right = width - text.len() - 2 - left;
    format!("{} {text} {}", "=".repeat(left), "=".repeat(right))
}

/// A titled table of an object's fields; an empty time is `n/a`.
fn titled(text: &str, object: &Value) -> String {
    let fields = object.as_object().cloned().unwrap_or_default();
    let rows = fields.into_iter().map(|(name, value)| {
        let shown = if value == json!("") && name.ends_with("_time") { "n/a".into() } else { output::cell(&value) };
        (name, shown)
    });
    let table = output::pairs(rows.collect());
    let width = table.lines().next().map_or(0, |line| line.len());
    format!("{}\n{table}", title(text, width))
}

fn enable_versioning(parsed: &Parsed) -> Outcome {
    let [mount] = parsed.exactly::<1>("strongroom kv enable-versioning MOUNT")?;
    let mount = mount.trim_matches('/');
    let body = json!({"options": {"version": "2"}});
    connect::call(parsed, "POST", &format!("sys/mounts/{mount}/tune"), Some(&body))?;
    connect::success(&format!("Tuned the secrets engine at: {mount}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_stand_above_the_middle_of_their_table() {
        assert_eq!(title("Data", 0), "== Data ==");
        assert_eq!(title("Data", 12), "=== Data ===");
        assert_eq!(title("Metadata", 24), "======= Metadata =======");
        let shown = titled("Metadata", &json!({"deletion_time": "", "version": 1, "custom_metadata": null}));
        assert!(shown.contains("deletion_time      n/a\n") && shown.contains("custom_metadata    <nil>\n"), "{shown}");
    }
}
