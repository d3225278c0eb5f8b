//! `keys/<name>/trim`: forgets versions for ever.

use super::key::TransitKey;
use super::{NAME, Transit, describe, name};
use strongroom_mount::{Answer, Ctx, Error, Kind, Method, Operation, Param, Request, Route};

pub(super) const ROUTE: Route = Route {
    path: "keys/{name}/trim",
    about: "Forgets the versions below a minimum for ever.",
    methods: &[Method::new(Operation::Update, "Trims.")],
    params: &[NAME, Param::input("min_available_version", Kind::Int, "The oldest version that is kept.")],
    open: false,
};

pub(super) fn handle<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let name = name(request)?;
        let asked = request.fields.int("min_available_version")?;
        let asked = asked.ok_or_else(|| Error::caller("missing min_available_version"))?;
        let key = engine.keys.change(cx.view, &name, |key| trim(key, asked)).await?;
        describe::answer(&name, &key.ok_or_else(|| Error::caller("invalid key name"))?, None)
    })
}

fn trim(key: &mut TransitKey, asked: i64) -> Result<(), Error> {
    let policy = &mut key.policy;
    if asked < i64::from(policy.min_available) {
        return Err(Error::caller("minimum available version cannot be decremented"));
    }
    if policy.min_encryption == 0 {
        let text = "minimum available version cannot be set when minimum encryption version is not set";
        return Err(Error::caller(text));
    }
    let least = u32::try_from(asked).unwrap_or(u32::MAX);
    if least > policy.min_encryption {
        return Err(Error::caller("minimum available version cannot be greater than minimum encryption version"));
    }
    if least > policy.min_decryption {
        return Err(Error::caller("minimum available version cannot be greater than minimum decryption version"));
    }
    policy.min_available = least;
    key.versions = key.versions.split_off(&least);
    Ok(())
}
