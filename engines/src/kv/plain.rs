//! Version 1: the object that was written last.

use super::{list, path, row, upgrading};
use std::borrow::Cow;
use strongroom_keystore::{Batch, Error as StoreError};
use strongroom_mount::backend::Boxed;
use strongroom_mount::{
    Answer, Backend, Ctx, Error, Fields, Kind, Method, Object, Operation, Param, Request, Response, Route, weak,
};

/// KV version 1.
pub struct Plain;

const LISTS: [Method; 2] = [
    Method::new(Operation::List, "Lists names."),
    Method::new(Operation::Scan, "Lists the paths of all secrets below."),
];

static ROUTES: [Route; 2] = [
    Route { path: "", about: "The secrets of the mount.", methods: &LISTS, params: list::PARAMS, open: false },
    Route {
        path: "{path...}",
        about: "A secret, or a directory of secrets.",
        methods: &[
            Method::new(Operation::Read, "Reads it."),
            Method::new(Operation::Update, "Replaces it by the body, a JSON object."),
            Method::new(Operation::Delete, "Deletes it."),
            LISTS[0],
            LISTS[1],
        ],
        params: &[
            Param::path("path", "The secret's path."),
            Param::input("after", Kind::String, "In a list: the name after which it begins."),
            Param::input("limit", Kind::Int, "In a list: how many names at most."),
        ],
        open: true,
    },
];

impl Backend for Plain {
    fn kind(&self) -> &'static str {
        "kv"
    }

    fn routes(&self) -> &'static [Route] {
        &ROUTES
    }

    fn exists<'a>(&'a self, cx: &'a Ctx<'a>, request: &'a Request) -> Boxed<'a, Result<Option<bool>, Error>> {
        Box::pin(async move {
            let Some(path) = path(request, "") else { return Ok(Some(false)) };
            Ok(Some(cx.view.exists(&place(path)).await?))
        })
    }

    fn handle<'a>(&'a self, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
        Box::pin(async move {
            match request.operation {
                Operation::Read => read(cx, request).await,
                Operation::Delete => delete(cx, request).await,
                Operation::List => list::list(cx, "s", &request.path, &request.fields).await,
                Operation::Scan => list::scan(cx, "s", &request.path, &request.fields).await,
                _ => write(cx, request).await,
            }
        })
    }
}

fn place(path: &str) -> String {
    format!("s/{path}")
}

async fn read(cx: &Ctx<'_>, request: &Request) -> Result<Response, Error> {
    let path = path(request, "").ok_or_else(Error::missing)?;
    let held = cx.view.get(&place(path)).await?.ok_or_else(Error::missing)?;
    let object = row::Plain::decode(held.value.expose())?;
    let lease_duration = lease(object).unwrap_or(cx.mount.ttl.default.as_secs());
    Ok(Response { lease_duration, ..Response::data(Object::from_text(object)) })
}

/// The seconds that the secret itself asks for, in `ttl` or `lease`.
fn lease(object: &[u8]) -> Option<u64> {
    // Most secrets have neither, and are not parsed for it.
    let named = |name: &[u8]| object.windows(name.len()).any(|window| window == name);
    if !named(b"\"ttl\"") && !named(b"\"lease\"") {
        return None;
    }
    #[derive(serde::Deserialize)]
    struct Spans<'a> {
        #[serde(borrow)]
        ttl: Option<&'a serde_json::value::RawValue>,
        #[serde(borrow)]
        lease: Option<&'a serde_json::value::RawValue>,
    }
    let spans: Spans<'_> = serde_json::from_slice(object).ok()?;
    let span = spans.ttl.or(spans.lease)?.get();
    weak::seconds(span).ok().filter(|seconds| *seconds > 0)
}

async fn write(cx: &Ctx<'_>, request: &Request) -> Result<Response, Error> {
    let path = path(request, "").ok_or_else(Error::unsupported_path)?;
    if request.fields.is_empty() {
        return Err(Error::caller("missing data fields"));
    }
    let mut batch = Batch::new();
    batch.expect(cx.view, "config", None);
    batch.put(cx.view, &place(path), &row::Plain::encode(&text(&request.fields)));
    commit(cx, batch).await
}

/// The object as the client wrote it; of a form, an object of its texts.
fn text(fields: &Fields) -> Cow<'_, [u8]> {
    let body = fields.body().trim_ascii();
    if body.is_empty() {
        let object = Object::build(|out| fields.iter().for_each(|(name, value)| out.json(name, value.as_bytes())));
        return Cow::Owned(object.as_bytes().to_vec());
    }
    Cow::Borrowed(body)
}

async fn delete(cx: &Ctx<'_>, request: &Request) -> Result<Response, Error> {
    let Some(path) = path(request, "") else { return Ok(Response::none()) };
    let mut batch = Batch::new();
    batch.expect(cx.view, "config", None);
    batch.delete(cx.view, &place(path));
    commit(cx, batch).await
}

/// There is no `config` until the mount's upgrade begins, and then nothing of version 1 is written any more.
async fn commit(cx: &Ctx<'_>, batch: Batch) -> Result<Response, Error> {
    match cx.view.commit(batch).await {
        Ok(_) => Ok(Response::none()),
        Err(StoreError::Conflict { .. }) => Err(upgrading()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_says_how_long_it_may_be_kept() {
        for (object, want) in [
            ("{\"ttl\":\"1h\"}", Some(3_600)),
            ("{\"lease\": \"30m\"}", Some(1_800)),
            ("{\"ttl\":90,\"lease\":1}", Some(90)),
            ("{\"ttl\":\"soon\"}", None),
            ("{\"ttl\":\"-1h\"}", None),
            ("{\"ttl\":null}", None),
            ("{\"ttl\":{\"a\":1}}", None),
            ("{\"o\":{\"ttl\":\"1h\"}}", None),
            ("{\"v\":\"ttl\"}", None),
            ("{}", None),
        ] {
            assert_eq!(lease(object.as_bytes()), want, "{object}");
        }
    }
}
