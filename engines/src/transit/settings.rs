//! `cache-config` and `config/keys`: settings of the mount.

use super::Transit;
use serde::{Deserialize, Serialize};
use strongroom_keystore::View;
use strongroom_mount::{Answer, Ctx, Error, Kind, Method, Object, Operation, Param, Request, Response, Route};

pub(super) const CACHE: Route = Route {
    path: "cache-config",
    about: "How many keys other servers keep decoded. Kept and shown; here a fixed number is kept, whatever it says.",
    methods: &[Method::new(Operation::Read, "Reads."), Method::new(Operation::Update, "Changes.")],
    params: &[Param::input("size", Kind::Int, "0, or at least 10.")],
    open: false,
};

pub(super) const KEYS: Route = Route {
    path: "config/keys",
    about: "What holds for all keys.",
    methods: &[Method::new(Operation::Read, "Reads."), Method::new(Operation::Update, "Changes.")],
    params: &[Param::input(
        "disable_upsert",
        Kind::Bool,
        "Whether encrypting with a key that is not there is an error.",
    )],
    open: false,
};

/// The row `settings`, in JSON.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Settings {
    cache_size: u64,
    disable_upsert: bool,
}

const ROW: &str = "settings";

async fn load(view: &View) -> Result<Settings, Error> {
    let Some(row) = view.get(ROW).await? else { return Ok(Settings::default()) };
    serde_json::from_slice(row.value.expose()).map_err(|error| Error::us(format_args!("row {ROW}: {error}")))
}

async fn save(view: &View, settings: &Settings) -> Result<(), Error> {
    Ok(view.put(ROW, Object::from(settings).as_bytes()).await?)
}

/// Whether encrypting with a key that is not there is an error.
pub(super) async fn upsert_disabled(view: &View) -> Result<bool, Error> {
    Ok(load(view).await?.disable_upsert)
}

pub(super) fn cache<'a>(_engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let mut settings = load(cx.view).await?;
        if request.operation != Operation::Read {
            let size = request.fields.int("size")?.unwrap_or(0);
            if size != 0 && size < 10 {
                return Err(Error::caller("size must be 0 or a value greater or equal to 10"));
            }
            settings.cache_size = size.unsigned_abs();
            save(cx.view, &settings).await?;
        }
        Ok(Response::data(Object::build(|object| object.value("size", &settings.cache_size))))
    })
}

pub(super) fn keys<'a>(_engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let mut settings = load(cx.view).await?;
        if request.operation != Operation::Read {
            settings.disable_upsert = request.fields.bool("disable_upsert")?.unwrap_or(settings.disable_upsert);
            save(cx.view, &settings).await?;
        }
        Ok(Response::data(Object::build(|object| object.value("disable_upsert", &settings.disable_upsert))))
    })
}
