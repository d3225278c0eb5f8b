//! Version 2: the table, and what its paths share.

use super::row::{Gone, Metadata, Version};
use super::shelf::{self, SWEPT, Shelf};
use super::{config, data, metadata, path, row, subkeys, upgrade, versions};
use std::collections::BTreeMap;
use strongroom_keystore::{Batch, View};
use strongroom_mount::backend::Boxed;
use strongroom_mount::json::Writer;
use strongroom_mount::{
    Answer, Backend, Ctx, Error, Fields, Method, Object, Operation, Param, Request, Response, Route, weak,
};

/// KV version 2. One instance may serve any number of mounts.
pub struct Versioned {
    pub(super) shelf: Shelf,
}

impl Versioned {
    /// An engine with nothing decoded yet.
    pub fn new() -> Versioned {
        Versioned { shelf: Shelf::new() }
    }
}

impl Default for Versioned {
    fn default() -> Self {
        Versioned::new()
    }
}

type Handler = for<'a> fn(&'a Versioned, &'a Ctx<'a>, &'a Request) -> Answer<'a>;

table! {
    config::ROUTE => config::handle,
    data::ROOT => data::root,
    data::ROUTE => data::handle,
    versions::DELETE => versions::delete,
    versions::UNDELETE => versions::undelete,
    versions::DESTROY => versions::destroy,
    subkeys::ROUTE => subkeys::handle,
    metadata::ROOT => metadata::root,
    metadata::ROUTE => metadata::handle,
    ROOT => astray,
    ASTRAY => astray,
}

const EVERYTHING: &[Method] = &[
    Method::new(Operation::Read, "Says which path is meant."),
    Method::new(Operation::Update, "Says which path is meant."),
    Method::new(Operation::Patch, "Says which path is meant."),
    Method::new(Operation::Delete, "Says which path is meant."),
    Method::new(Operation::List, "Says which path is meant."),
    Method::new(Operation::Scan, "Says which path is meant."),
];

const ROOT: Route =
    Route { path: "", about: "Where a version 1 mount lists.", methods: EVERYTHING, params: &[], open: true };

const ASTRAY: Route = Route {
    path: "{path...}",
    about: "Where a version 1 mount has its secrets.",
    methods: EVERYTHING,
    params: &[Param::path("path", "The secret's path.")],
    open: true,
};

impl Backend for Versioned {
    fn kind(&self) -> &'static str {
        "kv"
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn accepts(&self, options: &BTreeMap<String, String>) -> Result<(), Error> {
        match options.get("version").map(String::as_str) {
            Some("2") => Ok(()),
            _ => Err(Error::caller("cannot downgrade mount from version 2")),
        }
    }

    /// Whatever is written for a secret that is not there makes it, and so is a create.
    fn exists<'a>(&'a self, cx: &'a Ctx<'a>, request: &'a Request) -> Boxed<'a, Result<Option<bool>, Error>> {
        let route = ROUTES[request.route].path;
        Box::pin(async move {
            let Some(prefix) = route.strip_suffix("{path...}").filter(|prefix| !prefix.is_empty()) else {
                return Ok(None);
            };
            let Some(path) = path(request, prefix) else { return Ok(Some(false)) };
            Ok(Some(self.shelf.metadata(cx.view, path).await?.is_some()))
        })
    }

    fn handle<'a>(&'a self, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
        HANDLERS[request.route](self, cx, request)
    }

    /// Moves the secrets of version 1, where there are any.
    fn start<'a>(&'a self, cx: &'a Ctx<'a>) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            self.shelf.begin(cx.view).await?;
            upgrade::go_on(cx.view, cx.clock.now(), usize::MAX).await
        })
    }

    /// Goes on with an upgrade that has failed, and deletes versions whose secret is gone.
    fn tick<'a>(&'a self, cx: &'a Ctx<'a>) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            self.shelf.begin(cx.view).await?;
            upgrade::go_on(cx.view, cx.clock.now(), 1024).await?;
            sweep(cx.view).await
        })
    }
}

/// What users of version 1 are told who have not noticed that the mount is of version 2.
fn astray<'a>(_: &'a Versioned, _: &'a Ctx<'a>, _: &'a Request) -> Answer<'a> {
    let text = "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to \
                use. If using the Vault CLI, use 'vault kv get' for this operation.";
    Box::pin(std::future::ready(Ok(Response { status: Some(404), ..Response::none().warn(text) })))
}

/// What the bare `data` and `metadata` answer.
pub(super) fn no_root<'a>() -> Answer<'a> {
    let text = "Non-listing operations on the root of a K/V v2 mount are not supported.";
    Box::pin(std::future::ready(Ok(Response { status: Some(404), ..Response::none().warn(text) })))
}

/// The secret that the request is for. A path that ends in a slash is none.
pub(super) fn secret<'a>(request: &'a Request, prefix: &str) -> Result<&'a str, Error> {
    path(request, prefix).ok_or_else(Error::missing)
}

/// An object that the caller sends, as its JSON text.
pub(super) fn object<'a>(fields: &'a Fields, name: &str) -> Result<Option<&'a str>, Error> {
    match fields.raw(name) {
        Some(text) if !text.starts_with('{') => Err(Error::caller(format!(
            "Field validation failed: error converting input for field {name:?}: expected an object"
        ))),
        text => Ok(text),
    }
}

/// A whole number that is not negative.
pub(super) fn count(fields: &Fields, name: &str) -> Result<Option<u32>, Error> {
    let Some(number) = fields.int(name)? else { return Ok(None) };
    u32::try_from(number).map(Some).map_err(|_| {
        Error::caller(format!(
            "Field validation failed: error converting input for field {name:?}: expected a number from 0 to {}",
            u32::MAX
        ))
    })
}

/// A check-and-set number: a parameter of the request, or one of its `options`.
pub(super) fn check_and_set(fields: &Fields, name: &str) -> Result<Option<u64>, Error> {
    let Some(raw) = fields.raw(name) else { return Ok(None) };
    let wrong =
        || Error::caller(format!("error parsing check-and-set parameter {name:?}: expected a version's number"));
    u64::try_from(weak::int(raw).map_err(|_| wrong())?).map(Some).map_err(|_| wrong())
}

/// What every answer says of a version.
pub(super) fn describe(out: &mut Writer, metadata: &Metadata, number: u64, version: &Version<'_>) {
    out.plain("created_time", &[&time(version.created)]);
    custom(out, metadata);
    lifetime(out, version);
    out.value("version", &number);
}

/// Whether and when it is deleted.
pub(super) fn lifetime(out: &mut Writer, version: &Version<'_>) {
    out.plain("deletion_time", &[&version.deleted.map(time).unwrap_or_default()]);
    out.value("destroyed", &version.destroyed);
}

/// The caller's own words; null where there are none.
pub(super) fn custom(out: &mut Writer, metadata: &Metadata) {
    if metadata.custom.is_empty() {
        return out.null("custom_metadata");
    }
    out.object("custom_metadata", |out| metadata.custom.iter().for_each(|(name, value)| out.string(name, value)));
}

/// A time as clients read it.
pub(super) fn time(time: strongroom_clock::Timestamp) -> String {
    // Digits and what separates them.
    String::from_utf8(time.rfc3339().to_vec()).expect("a time's text is ASCII")
}

/// A version without its data: one that is deleted or destroyed.
pub(super) fn without_data(name: &str, metadata: &Metadata, number: u64, version: &Version<'_>) -> Response {
    let data = Object::build(|out| {
        out.null(name);
        out.object("metadata", |out| describe(out, metadata, number, version));
    });
    Response { status: Some(404), ..Response::data(data) }
}

/// Deletes versions whose secret is gone.
async fn sweep(view: &View) -> Result<(), Error> {
    // Sixteen times as many rows as a request deletes beside its own work.
    let mut left = 16 * SWEPT;
    for name in view.list("gone", None, 16).await? {
        let place = format!("gone/{name}");
        let mut id = [0; 16];
        let Some(row) = view.get(&place).await? else { continue };
        hex_id(&name, &mut id)?;
        let mut gone = Gone::decode(row.value.expose())?;
        while left > 0 {
            let last = gone.last.min(gone.first + SWEPT.min(left) - 1);
            let mut batch = Batch::new();
            for number in gone.first..=last {
                batch.delete(view, &row::version_row(&id, number));
            }
            batch.press();
            left -= last - gone.first + 1;
            let done = last == gone.last;
            if done {
                batch.delete(view, &place);
            } else {
                gone.first = last + 1;
                batch.put(view, &place, &gone.encode());
            }
            shelf::commit(view, batch).await?;
            if done {
                break;
            }
        }
    }
    Ok(())
}

fn hex_id(name: &str, id: &mut [u8; 16]) -> Result<(), Error> {
    let number = u128::from_str_radix(name, 16).map_err(|_| Error::us("a row below gone/ has another name"))?;
    *id = number.to_be_bytes();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_makes_a_router() {
        let router = strongroom_mount::Router::new(ROUTES);
        assert_eq!(ROUTES.len(), HANDLERS.len());
        for (path, template) in [
            ("", ""),
            ("config", "config"),
            ("data", "data"),
            ("data/a/b", "data/{path...}"),
            ("metadata/a", "metadata/{path...}"),
            ("subkeys", "{path...}"),
            ("a/b", "{path...}"),
        ] {
            assert_eq!(router.find(path).map(|found| found.route.path), Some(template), "{path}");
        }
    }
}
