//! `data/<path>`: reads a version, writes the next one, patches, deletes the newest.

use super::patch;
use super::row::{Config, Metadata, Version};
use super::shelf::{self, ATTEMPTS, SWEPT, busy, commit, held, opened, place};
use super::versioned::{Versioned, check_and_set, describe, no_root, object, secret, without_data};
use super::versions;
use std::time::Duration;
use strongroom_clock::Timestamp;
use strongroom_keystore::{Batch, View};
use strongroom_mount::{Answer, Ctx, Error, Fields, Kind, Method, Object, Operation, Param, Request, Response, Route};
use zeroize::Zeroizing;

pub(super) const ROOT: Route = Route {
    path: "data",
    about: "No secret; names are listed below metadata/.",
    methods: &[
        Method::new(Operation::Read, "Says that a path is missing."),
        Method::new(Operation::Update, "Says that a path is missing."),
        Method::new(Operation::Patch, "Says that a path is missing."),
        Method::new(Operation::Delete, "Says that a path is missing."),
        Method::new(Operation::List, "Not offered: list metadata/."),
        Method::new(Operation::Scan, "Not offered: scan metadata/."),
    ],
    params: &[],
    open: true,
};

pub(super) const ROUTE: Route = Route {
    path: "data/{path...}",
    about: "The data of a secret.",
    methods: &[
        Method::new(Operation::Read, "Reads a version."),
        Method::new(Operation::Update, "Writes the next version."),
        Method::new(Operation::Patch, "Writes the next version: the newest with a merge patch."),
        Method::new(Operation::Delete, "Deletes the newest version; it can be undeleted."),
    ],
    params: &[
        Param::path("path", "The secret's path."),
        Param::input("version", Kind::Int, "The version to read; the newest if left out."),
        Param::input("data", Kind::Own, "The object to keep, or the merge patch."),
        Param::input("options", Kind::Map, "cas: the version that must be the newest; 0: there must be none."),
    ],
    open: false,
};

pub(super) fn root<'a>(_: &'a Versioned, _: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    match request.operation {
        Operation::List | Operation::Scan => Box::pin(std::future::ready(Err(Error::unsupported_operation()))),
        _ => no_root(),
    }
}

pub(super) fn handle<'a>(engine: &'a Versioned, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let config = engine.shelf.config(cx.view).await?;
        let path = secret(request, "data/")?;
        match request.operation {
            Operation::Read => read(engine, cx, path, &request.fields).await,
            Operation::Delete => versions::delete_newest(engine, cx, path).await,
            Operation::Patch => change(engine, cx, path, &config, &request.fields, Edit::Patch).await,
            _ => change(engine, cx, path, &config, &request.fields, Edit::Replace).await,
        }
    })
}

/// The version that a read asks for; 0 is the newest.
pub(super) fn wanted(fields: &Fields) -> Result<u64, Error> {
    Ok(u64::try_from(fields.int("version")?.unwrap_or(0)).unwrap_or(0))
}

async fn read(engine: &Versioned, cx: &Ctx<'_>, path: &str, fields: &Fields) -> Result<Response, Error> {
    let wanted = wanted(fields)?;
    let (metadata, number, row) = engine.shelf.version(cx.view, path, wanted).await?.ok_or_else(Error::missing)?;
    let version = opened(&row)?;
    if !version.lives(cx.clock.now()) {
        return Ok(without_data("data", &metadata, number, &version));
    }
    Ok(Response::data(Object::with_capacity(version.data.len() + 512, |out| {
        out.json("data", version.data);
        out.object("metadata", |out| describe(out, &metadata, number, &version));
    })))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Edit {
    Replace,
    Patch,
}

/// What becomes of an attempt to write.
enum Next {
    /// This is the data.
    Data(Zeroizing<Vec<u8>>),
    /// There is nothing to patch.
    Answer(Box<Response>),
}

async fn change(
    engine: &Versioned,
    cx: &Ctx<'_>,
    path: &str,
    config: &Config,
    fields: &Fields,
    edit: Edit,
) -> Result<Response, Error> {
    let given = object(fields, "data")?.ok_or_else(|| Error::caller("no data provided"))?;
    let options = fields.object("options")?;
    let cas = options.as_ref().map(|options| check_and_set(options, "cas")).transpose()?.flatten();
    let _turn = engine.shelf.turns.take(path).await;
    for _ in 0..ATTEMPTS {
        let (secret, seen) = held(cx.view, path).await?;
        if edit == Edit::Patch && secret.as_ref().is_none_or(|secret| secret.current == 0) {
            return Ok(Response { status: Some(404), ..Response::none() });
        }
        let now = cx.clock.now();
        let mut metadata = match secret {
            Some(secret) => secret,
            None => Metadata::new(new_id()?, now),
        };
        check(cas, config.demands.cas || metadata.demands.cas, metadata.current)?;
        let next = match edit {
            Edit::Replace => Next::Data(Zeroizing::new(given.as_bytes().to_vec())),
            Edit::Patch => patched(cx.view, &metadata, given, now).await?,
        };
        let data = match next {
            Next::Data(data) => data,
            Next::Answer(response) => return Ok(*response),
        };
        let mut batch = Batch::new();
        let deleted = deletion(config.delete_after, metadata.delete_after).map(|after| now.plus(after));
        let version = Version { destroyed: false, created: now, deleted, data: &data };
        add(cx.view, &mut batch, &mut metadata, config, now);
        batch.put(cx.view, &metadata.version_row(metadata.current), &version.encode());
        batch.expect(cx.view, &place(path), seen).put(cx.view, &place(path), &metadata.encode());
        if commit(cx.view, batch).await? {
            let number = metadata.current;
            return Ok(Response::data(Object::build(|out| describe(out, &metadata, number, &version))));
        }
    }
    Err(busy())
}

pub(super) fn new_id() -> Result<[u8; 16], Error> {
    Ok(strongroom_secret::random::array().map_err(strongroom_keystore::Error::from)?)
}

fn check(cas: Option<u64>, required: bool, current: u64) -> Result<(), Error> {
    match cas {
        Some(cas) if cas != current => Err(Error::caller("check-and-set parameter did not match the current version")),
        None if required => Err(Error::caller("check-and-set parameter required for this call")),
        _ => Ok(()),
    }
}

/// The newest version with a patch; what to answer where it is deleted or destroyed.
async fn patched(view: &View, metadata: &Metadata, patch: &str, now: Timestamp) -> Result<Next, Error> {
    let number = metadata.current;
    // A row that is not there was given up since the metadata was read; the commit would fail.
    let Some(row) = view.get(&metadata.version_row(number)).await? else { return Err(shelf::busy()) };
    let version = opened(&row)?;
    if !version.lives(now) {
        let data = Object::build(|out| describe(out, metadata, number, &version));
        return Ok(Next::Answer(Box::new(Response { status: Some(404), ..Response::data(data) })));
    }
    Ok(Next::Data(patch::merge(version.data, patch)?))
}

/// After what time a new version is deleted: the shorter of the mount's and the secret's.
fn deletion(mount: i64, secret: u64) -> Option<Duration> {
    let mount = u64::try_from(mount).ok()?;
    let seconds = match (mount, secret) {
        (0, seconds) | (seconds, 0) => seconds,
        (mount, secret) => mount.min(secret),
    };
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// Counts one version more, and gives up those beyond the number that is kept.
fn add(view: &View, batch: &mut Batch, metadata: &mut Metadata, config: &Config, now: Timestamp) {
    metadata.current += 1;
    metadata.updated = now;
    let kept = match (metadata.max_versions, config.max_versions) {
        (0, 0) => 10,
        (0, mount) => mount,
        (secret, _) => secret,
    };
    let oldest = (metadata.current + 1).saturating_sub(kept.into());
    if oldest > metadata.oldest.max(1) {
        metadata.oldest = oldest;
    }
    let end = metadata.oldest.max(1).min(metadata.floor + SWEPT);
    for number in metadata.floor..end {
        batch.delete(view, &metadata.version_row(number));
    }
    metadata.floor = end;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_of_two_spans_counts() {
        let seconds = |mount, secret| deletion(mount, secret).map(|span| span.as_secs());
        assert_eq!(seconds(0, 0), None);
        assert_eq!(seconds(5, 0), Some(5));
        assert_eq!(seconds(0, 7), Some(7));
        assert_eq!(seconds(5, 7), Some(5));
        assert_eq!(seconds(9, 7), Some(7));
        assert_eq!(seconds(-1, 7), None, "the mount says never");
    }
}
