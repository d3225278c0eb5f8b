//! `delete/<path>`, `undelete/<path>`, `destroy/<path>`: what becomes of versions that are there.

use super::row::{Metadata, Version};
use super::shelf::{ATTEMPTS, busy, commit, opened};
use super::versioned::{Versioned, secret};
use std::collections::BTreeSet;
use strongroom_clock::Timestamp;
use strongroom_keystore::Batch;
use strongroom_mount::{Answer, Ctx, Error, Fields, Kind, Method, Operation, Param, Request, Response, Route};

const PARAMS: &[Param] = &[
    Param::path("path", "The secret's path."),
    Param::input("versions", Kind::CommaList, "The numbers of the versions."),
];

pub(super) const DELETE: Route = Route {
    path: "delete/{path...}",
    about: "Deletes versions; they can be undeleted.",
    methods: &[Method::new(Operation::Update, "Deletes them.")],
    params: PARAMS,
    open: false,
};

pub(super) const UNDELETE: Route = Route {
    path: "undelete/{path...}",
    about: "Brings deleted versions back.",
    methods: &[Method::new(Operation::Update, "Undeletes them.")],
    params: PARAMS,
    open: false,
};

pub(super) const DESTROY: Route = Route {
    path: "destroy/{path...}",
    about: "Removes the data of versions for good.",
    methods: &[Method::new(Operation::Update, "Destroys them.")],
    params: PARAMS,
    open: false,
};

/// What is to happen to a version.
#[derive(Clone, Copy)]
enum Fate {
    Delete,
    Undelete,
    Destroy,
}

impl Fate {
    /// The version as it becomes; `None` where nothing changes.
    fn of<'a>(self, version: &Version<'a>, now: Timestamp) -> Option<Version<'a>> {
        match self {
            _ if version.destroyed => None,
            Fate::Delete if version.lives(now) => Some(Version { deleted: Some(now), ..*version }),
            Fate::Undelete if version.deleted.is_some() => Some(Version { deleted: None, ..*version }),
            Fate::Destroy => Some(Version { destroyed: true, data: &[], ..*version }),
            _ => None,
        }
    }
}

pub(super) fn delete<'a>(engine: &'a Versioned, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        engine.shelf.config(cx.view).await?;
        let path = secret(request, "delete/")?;
        let versions = numbers(&request.fields, "No version number provided")?;
        change(engine, cx, path, Fate::Delete, |_| versions.clone()).await
    })
}

pub(super) fn undelete<'a>(engine: &'a Versioned, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        engine.shelf.config(cx.view).await?;
        let path = secret(request, "undelete/")?;
        let versions = numbers(&request.fields, "No version number provided")?;
        change(engine, cx, path, Fate::Undelete, |_| versions.clone()).await
    })
}

pub(super) fn destroy<'a>(engine: &'a Versioned, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        engine.shelf.config(cx.view).await?;
        let path = secret(request, "destroy/")?;
        let versions = numbers(&request.fields, "no version number provided")?;
        change(engine, cx, path, Fate::Destroy, |_| versions.clone()).await
    })
}

/// `DELETE data/<path>`.
pub(super) async fn delete_newest(engine: &Versioned, cx: &Ctx<'_>, path: &str) -> Result<Response, Error> {
    change(engine, cx, path, Fate::Delete, |secret| BTreeSet::from([secret.current])).await
}

fn numbers(fields: &Fields, none: &'static str) -> Result<BTreeSet<u64>, Error> {
    let given = fields.comma_list("versions")?.unwrap_or_default();
    if given.is_empty() {
        return Err(Error::caller(none));
    }
    let wrong =
        || Error::caller("Field validation failed: error converting input for field \"versions\": expected numbers");
    given.iter().map(|number| number.trim().parse().map_err(|_| wrong())).collect()
}

/// Changes those of the versions that are kept; the others, and a secret that is not there, are passed over.
async fn change(
    engine: &Versioned,
    cx: &Ctx<'_>,
    path: &str,
    fate: Fate,
    chosen: impl Fn(&Metadata) -> BTreeSet<u64> + Send,
) -> Result<Response, Error> {
    let _turn = engine.shelf.turns.take(path).await;
    for _ in 0..ATTEMPTS {
        let Some(metadata) = engine.shelf.metadata(cx.view, path).await? else { return Ok(Response::none()) };
        let (mut batch, now) = (Batch::new(), cx.clock.now());
        if matches!(fate, Fate::Destroy) {
            // It makes room on a full disk.
            batch.press();
        }
        for number in chosen(&metadata).into_iter().filter(|number| metadata.kept().contains(number)) {
            let place = metadata.version_row(number);
            let Some(row) = cx.view.get(&place).await? else { continue };
            if let Some(changed) = fate.of(&opened(&row)?, now) {
                batch.expect(cx.view, &place, Some(row.version)).put(cx.view, &place, &changed.encode());
            }
        }
        if batch.is_empty() || commit(cx.view, batch).await? {
            return Ok(Response::none());
        }
    }
    Err(busy())
}
