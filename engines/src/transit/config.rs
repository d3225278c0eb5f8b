//! `keys/<name>/config`: minimum versions, and what the key allows.

use super::key::Policy;
use super::{NAME, Transit, create, describe, name};
use strongroom_mount::{Answer, Ctx, Error, Kind, Method, Operation, Param, Request, Route};

pub(super) const ROUTE: Route = Route {
    path: "keys/{name}/config",
    about: "The settings of a key.",
    methods: &[Method::new(Operation::Update, "Changes what is given, and nothing else.")],
    params: &[
        NAME,
        Param::input("min_decryption_version", Kind::Int, "The oldest version that still decrypts and verifies."),
        Param::input(
            "min_encryption_version",
            Kind::Int,
            "The oldest version that may encrypt and sign; 0: the newest.",
        ),
        Param::input("deletion_allowed", Kind::Bool, "Whether the key may be deleted."),
        Param::input("exportable", Kind::Bool, "Whether the key may be exported; cannot be taken back."),
        Param::input("allow_plaintext_backup", Kind::Bool, "Whether backups are allowed; cannot be taken back."),
        Param::input("auto_rotate_period", Kind::Duration, "How often it rotates by itself; 0 is never."),
    ],
    open: false,
};

pub(super) fn handle<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let (name, fields) = (name(request)?, &request.fields);
        let wish = Wish {
            min_decryption: fields.int("min_decryption_version")?,
            min_encryption: fields.int("min_encryption_version")?,
            deletion_allowed: fields.bool("deletion_allowed")?,
            exportable: fields.bool("exportable")?,
            plaintext_backup: fields.bool("allow_plaintext_backup")?,
            auto_rotate: fields.seconds("auto_rotate_period")?.map(create::period).transpose()?,
        };
        let key = engine.keys.change(cx.view, &name, |key| apply(&wish, &mut key.policy)).await?;
        let key = key.ok_or_else(|| Error::caller(format!("no existing key named {name} could be found")))?;
        let response = describe::answer(&name, &key, None)?;
        Ok(match wish.min_decryption {
            Some(0) => response.warn("since Vault 0.3, transit decryption numbering starts at 1; forcing minimum to 1"),
            _ => response,
        })
    })
}

/// What is given.
struct Wish {
    min_decryption: Option<i64>,
    min_encryption: Option<i64>,
    deletion_allowed: Option<bool>,
    exportable: Option<bool>,
    plaintext_backup: Option<bool>,
    auto_rotate: Option<u64>,
}

fn apply(wish: &Wish, policy: &mut Policy) -> Result<(), Error> {
    if let Some(asked) = wish.min_decryption {
        policy.min_decryption = bounded(asked, "decryption", policy.latest)?.max(1);
    }
    if let Some(asked) = wish.min_encryption {
        policy.min_encryption = bounded(asked, "encryption", policy.latest)?;
    }
    let (decryption, encryption) = (policy.min_decryption, policy.min_encryption);
    if encryption > 0 && encryption < decryption {
        return Err(Error::caller(format!(
            "cannot set min encryption/decryption values; min encryption version of {encryption} must be greater than or \
             equal to min decryption version of {decryption}"
        )));
    }
    if decryption < policy.min_available {
        return Err(Error::caller("min decryption version should not be less then min available version"));
    }
    policy.deletion_allowed = wish.deletion_allowed.unwrap_or(policy.deletion_allowed);
    policy.exportable |= wish.exportable == Some(true);
    policy.plaintext_backup |= wish.plaintext_backup == Some(true);
    policy.auto_rotate = wish.auto_rotate.unwrap_or(policy.auto_rotate);
    Ok(())
}

fn bounded(asked: i64, what: &str, latest: u32) -> Result<u32, Error> {
    if asked < 0 {
        return Err(Error::caller(format!("min {what} version cannot be negative")));
    }
    u32::try_from(asked).ok().filter(|asked| *asked <= latest).ok_or_else(|| {
        Error::caller(format!("cannot set min {what} version of {asked}, latest key version is {latest}"))
    })
}
