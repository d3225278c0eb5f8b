//! `audit list`.

use super::connect::{call, format};
use super::{Command, Outcome};
use crate::flags::{Parsed, switch};
use crate::output::{self, Format};

pub(super) const COMMANDS: &[Command] = &[Command {
    words: "audit list",
    usage: "[flags]",
    about: "Lists audit devices.",
    flags: &[switch("detailed", "Also their options.")],
    client: true,
    run: list,
}];

fn list(parsed: &Parsed) -> Outcome {
    let whole = call(parsed, "GET", "sys/audit", None)?.json();
    let devices = &whole["data"];
    match format(parsed)? {
        Format::Json => print!("{}", output::json(devices)),
        Format::Yaml => print!("{}", output::yaml(devices)),
        Format::Table => {
            let detailed = parsed.on("detailed");
            let rows: Vec<Vec<String>> = (devices.as_object().into_iter().flatten())
                .map(|(path, device)| {
                    let text = |name: &str| match output::cell(&device[name]) {
                        text if text.is_empty() || text == "<nil>" => "n/a".to_owned(),
                        text => text,
                    };
                    let mut row = vec![path.clone(), text("type"), text("description")];
                    if detailed {
                        row.push(text("options"));
                    }
                    row
                })
                .collect();
            let heading: &[&str] =
                if detailed { &["Path", "Type", "Description", "Options"] } else { &["Path", "Type", "Description"] };
            match rows.is_empty() {
                true => println!("No audit devices are enabled."),
                false => print!("{}", output::table(heading, &rows)),
            }
        }
    }
    Ok(())
}
