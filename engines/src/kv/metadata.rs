//! `metadata/<path>`: what holds for all versions of a secret, and the names of secrets.

use super::row::{Config, Gone, Metadata};
use super::shelf::{ATTEMPTS, SWEPT, Shelf, busy, commit, held, opened, place};
use super::versioned::{Versioned, check_and_set, count, custom, lifetime, no_root, object, secret, time};
use super::{data, list, span};
use std::collections::BTreeMap;
use strongroom_keystore::Batch;
use strongroom_mount::{
    Answer, Ctx, Error, Fields, Kind, Method, Object, Operation, Param, Request, Response, Route, weak,
};

pub(super) const ROOT: Route = Route {
    path: "metadata",
    about: "The secrets of the mount.",
    methods: &[
        Method::new(Operation::List, "Lists names."),
        Method::new(Operation::Scan, "Lists the paths of all secrets below."),
        Method::new(Operation::Read, "Says that a path is missing."),
        Method::new(Operation::Update, "Says that a path is missing."),
        Method::new(Operation::Patch, "Says that a path is missing."),
        Method::new(Operation::Delete, "Says that a path is missing."),
    ],
    params: list::PARAMS,
    open: true,
};

pub(super) const ROUTE: Route = Route {
    path: "metadata/{path...}",
    about: "What holds for all versions of a secret, or a directory of secrets.",
    methods: &[
        Method::new(Operation::Read, "Reads it, with what is known of each version."),
        Method::new(Operation::Update, "Changes what is given."),
        Method::new(Operation::Patch, "Changes it by a merge patch."),
        Method::new(Operation::Delete, "Deletes the secret with all its versions, for good."),
        Method::new(Operation::List, "Lists names."),
        Method::new(Operation::Scan, "Lists the paths of all secrets below."),
    ],
    params: &[
        Param::path("path", "The secret's path."),
        Param::input("max_versions", Kind::Int, "How many versions are kept; 0 is the mount's number."),
        Param::input("cas_required", Kind::Bool, "Whether every write of data needs cas."),
        Param::input("metadata_cas_required", Kind::Bool, "Whether every change of metadata needs metadata_cas."),
        Param::input("metadata_cas", Kind::Int, "What current_metadata_version must be; 0: there is none."),
        Param::input(
            "delete_version_after",
            Kind::Duration,
            "After what time a new version is deleted; 0 is the mount's.",
        ),
        Param::input("custom_metadata", Kind::KeyValues, "The caller's own words: at most 64 names and values."),
        Param::input("after", Kind::String, "In a list: the name after which it begins."),
        Param::input("limit", Kind::Int, "In a list: how many names at most."),
    ],
    open: false,
};

/// Entries of custom metadata, bytes of a name, and bytes of a value.
const CUSTOM: (usize, usize, usize) = (64, 128, 512);

pub(super) fn root<'a>(engine: &'a Versioned, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    match request.operation {
        Operation::List | Operation::Scan => handle(engine, cx, request),
        _ => no_root(),
    }
}

pub(super) fn handle<'a>(engine: &'a Versioned, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let config = engine.shelf.config(cx.view).await?;
        let directory = request.path.strip_prefix("metadata").unwrap_or_default().trim_start_matches('/');
        match request.operation {
            Operation::List => return list::list(cx, "m", directory, &request.fields).await,
            Operation::Scan => return list::scan(cx, "m", directory, &request.fields).await,
            _ => {}
        }
        let path = secret(request, "metadata/")?;
        match request.operation {
            Operation::Read => read(&engine.shelf, cx, path).await,
            Operation::Delete => delete(&engine.shelf, cx, path).await,
            operation => change(&engine.shelf, cx, path, &config, &request.fields, operation).await,
        }
    })
}

async fn read(shelf: &Shelf, cx: &Ctx<'_>, path: &str) -> Result<Response, Error> {
    let metadata = shelf.metadata(cx.view, path).await?.ok_or_else(Error::missing)?;
    let mut rows = Vec::new();
    for number in metadata.kept() {
        // One that was given up since the metadata was read is left out.
        if let Some(row) = cx.view.get(&metadata.version_row(number)).await? {
            let version = opened(&row)?;
            rows.push((number, super::row::Version { data: &[], ..version }));
        }
    }
    Ok(Response::data(Object::build(|out| {
        out.value("cas_required", &metadata.demands.cas);
        out.plain("created_time", &[&time(metadata.created)]);
        out.value("current_metadata_version", &metadata.revision);
        out.value("current_version", &metadata.current);
        custom(out, &metadata);
        out.string("delete_version_after", &span::text(i64::try_from(metadata.delete_after).unwrap_or(i64::MAX)));
        out.value("max_versions", &metadata.max_versions);
        out.value("metadata_cas_required", &metadata.demands.metadata_cas);
        out.value("oldest_version", &metadata.oldest);
        out.plain("updated_time", &[&time(metadata.updated)]);
        out.object("versions", |out| {
            for (number, version) in &rows {
                out.object(&number.to_string(), |out| {
                    out.plain("created_time", &[&time(version.created)]);
                    lifetime(out, version);
                });
            }
        });
    })))
}

/// What a request changes; `None` leaves it.
struct Changes {
    max_versions: Option<u32>,
    cas: Option<bool>,
    metadata_cas: Option<bool>,
    delete_after: Option<u64>,
    custom: Option<Custom>,
}

enum Custom {
    /// These entries and no others.
    Replace(BTreeMap<String, String>),
    /// These entries; `None` takes one away.
    Merge(BTreeMap<String, Option<String>>),
}

impl Changes {
    fn read(fields: &Fields, operation: Operation) -> Result<Changes, Error> {
        let mut changes = Changes {
            max_versions: count(fields, "max_versions")?,
            cas: fields.bool("cas_required")?,
            metadata_cas: fields.bool("metadata_cas_required")?,
            delete_after: span::seconds(fields, "delete_version_after")?,
            custom: None,
        };
        if operation != Operation::Patch {
            changes.custom = fields.key_values("custom_metadata")?.map(Custom::Replace);
            return Ok(changes);
        }
        // In a merge patch null is not "not given", but takes away.
        let removed = |name: &str| fields.iter().any(|(held, value)| held == name && weak::is_null(value));
        changes.max_versions = changes.max_versions.or(removed("max_versions").then_some(0));
        changes.cas = changes.cas.or(removed("cas_required").then_some(false));
        changes.metadata_cas = changes.metadata_cas.or(removed("metadata_cas_required").then_some(false));
        changes.delete_after = changes.delete_after.or(removed("delete_version_after").then_some(0));
        changes.custom = match object(fields, "custom_metadata")? {
            Some(patch) => Some(Custom::Merge(entries(patch)?)),
            None => removed("custom_metadata").then(|| Custom::Replace(BTreeMap::new())),
        };
        Ok(changes)
    }

    fn apply(&self, metadata: &mut Metadata) -> Result<(), Error> {
        metadata.max_versions = self.max_versions.unwrap_or(metadata.max_versions);
        metadata.demands.cas = self.cas.unwrap_or(metadata.demands.cas);
        metadata.demands.metadata_cas = self.metadata_cas.unwrap_or(metadata.demands.metadata_cas);
        metadata.delete_after = self.delete_after.unwrap_or(metadata.delete_after);
        match &self.custom {
            None => return Ok(()),
            Some(Custom::Replace(entries)) => metadata.custom = entries.clone(),
            Some(Custom::Merge(entries)) => {
                for (name, value) in entries {
                    match value {
                        Some(value) => metadata.custom.insert(name.clone(), value.clone()),
                        None => metadata.custom.remove(name),
                    };
                }
            }
        }
        within_limits(&metadata.custom)
    }
}

/// The entries of a patch of custom metadata.
fn entries(patch: &str) -> Result<BTreeMap<String, Option<String>>, Error> {
    let wrong = || {
        Error::caller(
            "Field validation failed: error converting input for field \"custom_metadata\": expected an object of strings",
        )
    };
    let held: BTreeMap<String, &serde_json::value::RawValue> = serde_json::from_str(patch).map_err(|_| wrong())?;
    held.into_iter()
        .map(|(name, value)| {
            let value = value.get();
            let text =
                if weak::is_null(value) { None } else { Some(weak::string(value).map_err(|_| wrong())?.into_owned()) };
            Ok((name, text))
        })
        .collect()
}

fn within_limits(custom: &BTreeMap<String, String>) -> Result<(), Error> {
    let (most, name_bytes, value_bytes) = CUSTOM;
    if custom.len() > most {
        return Err(Error::caller(format!(
            "custom_metadata validation failed: {} entries, the most is {most}",
            custom.len()
        )));
    }
    for (name, value) in custom {
        let printable = |text: &str| !text.chars().any(char::is_control);
        if name.is_empty() || name.len() > name_bytes || !printable(name) {
            return Err(Error::caller(format!(
                "custom_metadata validation failed: a name has 1 to {name_bytes} printable bytes; one has {}",
                name.len()
            )));
        }
        if value.is_empty() || value.len() > value_bytes || !printable(value) {
            return Err(Error::caller(format!(
                "custom_metadata validation failed: a value has 1 to {value_bytes} printable bytes; that of {name:?} has {}",
                value.len()
            )));
        }
    }
    Ok(())
}

async fn change(
    shelf: &Shelf,
    cx: &Ctx<'_>,
    path: &str,
    config: &Config,
    fields: &Fields,
    operation: Operation,
) -> Result<Response, Error> {
    let changes = Changes::read(fields, operation)?;
    let cas = check_and_set(fields, "metadata_cas")?;
    let _turn = shelf.turns.take(path).await;
    for _ in 0..ATTEMPTS {
        let (secret, seen) = held(cx.view, path).await?;
        if operation == Operation::Patch && secret.is_none() {
            return Ok(Response { status: Some(404), ..Response::none() });
        }
        let now = cx.clock.now();
        let mut metadata = match secret {
            Some(secret) => secret,
            None => Metadata::new(data::new_id()?, now),
        };
        check(cas, config.demands.metadata_cas || metadata.demands.metadata_cas, metadata.revision)?;
        changes.apply(&mut metadata)?;
        metadata.revision += 1;
        metadata.updated = now;
        let mut batch = Batch::new();
        batch.expect(cx.view, &place(path), seen).put(cx.view, &place(path), &metadata.encode());
        if commit(cx.view, batch).await? {
            return Ok(Response::none());
        }
    }
    Err(busy())
}

fn check(cas: Option<u64>, required: bool, revision: u64) -> Result<(), Error> {
    match cas {
        Some(cas) if cas != revision => {
            Err(Error::caller("metadata check-and-set parameter did not match the current version"))
        }
        None if required => Err(Error::caller("metadata check-and-set parameter required for this call")),
        _ => Ok(()),
    }
}

/// Takes the secret away. Its versions are out of reach with that; their rows go along, the bulk of many later.
async fn delete(shelf: &Shelf, cx: &Ctx<'_>, path: &str) -> Result<Response, Error> {
    let _turn = shelf.turns.take(path).await;
    for _ in 0..ATTEMPTS {
        let (secret, seen) = held(cx.view, path).await?;
        let Some(metadata) = secret else { return Ok(Response::none()) };
        let mut batch = Batch::new();
        batch.expect(cx.view, &place(path), seen).delete(cx.view, &place(path));
        let end = (metadata.current + 1).min(metadata.floor + SWEPT);
        for number in metadata.floor..end {
            batch.delete(cx.view, &metadata.version_row(number));
        }
        if end <= metadata.current {
            let gone = Gone { first: end, last: metadata.current };
            let id = u128::from_be_bytes(metadata.id);
            batch.put(cx.view, &format!("gone/{id:032x}"), &gone.encode());
        }
        // It makes room on a full disk.
        batch.press();
        if commit(cx.view, batch).await? {
            return Ok(Response::none());
        }
    }
    Err(busy())
}
