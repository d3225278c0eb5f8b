//! `config`: what holds for the whole mount.

use super::row::Config;
use super::shelf::{self, ATTEMPTS, CONFIG};
use super::span;
use super::versioned::{Versioned, count};
use strongroom_keystore::Batch;
use strongroom_mount::{Answer, Ctx, Error, Kind, Method, Object, Operation, Param, Request, Response, Route, weak};

pub(super) const ROUTE: Route = Route {
    path: "config",
    about: "What holds for all secrets of the mount.",
    methods: &[Method::new(Operation::Read, "Reads it."), Method::new(Operation::Update, "Changes what is given.")],
    params: &[
        Param::input("max_versions", Kind::Int, "How many versions are kept of each secret; 0 is 10."),
        Param::input("cas_required", Kind::Bool, "Whether every write of data needs cas."),
        Param::input("metadata_cas_required", Kind::Bool, "Whether every change of metadata needs metadata_cas."),
        Param::input(
            "delete_version_after",
            Kind::Duration,
            "After what time a new version is deleted; 0 is never, and negative is never for any secret.",
        ),
    ],
    open: false,
};

pub(super) fn handle<'a>(engine: &'a Versioned, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let config = engine.shelf.config(cx.view).await?;
        if request.operation != Operation::Read {
            return write(cx, request).await;
        }
        Ok(Response::data(Object::build(|out| {
            out.value("cas_required", &config.demands.cas);
            out.string("delete_version_after", &span::text(config.delete_after));
            out.value("max_versions", &config.max_versions);
            out.value("metadata_cas_required", &config.demands.metadata_cas);
        })))
    })
}

async fn write(cx: &Ctx<'_>, request: &Request) -> Result<Response, Error> {
    let fields = &request.fields;
    let max_versions = count(fields, "max_versions")?;
    let (cas, metadata_cas) = (fields.bool("cas_required")?, fields.bool("metadata_cas_required")?);
    let negative = fields.string("delete_version_after").ok().flatten().and_then(|text| weak::parse_span(&text));
    let delete_after = match negative {
        Some(nanos) if nanos < 0 => Some(-1),
        _ => span::seconds(fields, "delete_version_after")?.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX)),
    };
    for _ in 0..ATTEMPTS {
        let Some(row) = cx.view.get(CONFIG).await? else { return Err(Error::us("a mount that is ready has a config")) };
        let mut config = Config::decode(row.value.expose())?;
        config.max_versions = max_versions.unwrap_or(config.max_versions);
        config.demands.cas = cas.unwrap_or(config.demands.cas);
        config.demands.metadata_cas = metadata_cas.unwrap_or(config.demands.metadata_cas);
        config.delete_after = delete_after.unwrap_or(config.delete_after);
        let mut batch = Batch::new();
        batch.expect(cx.view, CONFIG, Some(row.version)).put(cx.view, CONFIG, &config.encode());
        if shelf::commit(cx.view, batch).await? {
            return Ok(Response::none());
        }
    }
    Err(shelf::busy())
}
