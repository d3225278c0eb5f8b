//! `sys/mounts/<path>/tune` and `sys/auth/<path>/tune`: a mount's own settings.

use super::{Scope, mounts};
use crate::mounts::{Class, Entry};
use std::time::Duration;
use strongroom_mount::{Error, Fields, Object, Operation, Response, TtlLimits};

/// Where settings come from decides a few texts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// The `config` of a new mount.
    Enabling,
    /// A change.
    Tuning,
}

/// Reads or changes the settings of the mount at `given`, which may begin with `auth/`.
pub(super) async fn tune(scope: &Scope<'_>, class: Class, given: &str) -> Result<Response, Error> {
    let (class, given) = match given.strip_prefix("auth/") {
        Some(rest) if class == Class::Secret => (Class::Auth, rest),
        _ => (class, given),
    };
    let path = mounts::full_path(class, given);
    match scope.request.operation {
        Operation::Read => read(scope, &path),
        Operation::Delete => Err(Error::unsupported_operation()),
        _ => write(scope, &path).await,
    }
}

fn read(scope: &Scope<'_>, path: &str) -> Result<Response, Error> {
    let Some(mount) = scope.live.mounts.at(path) else {
        return Err(Error::caller(format!("cannot fetch sysview for path {path:?}")));
    };
    let (entry, ttl) = (&mount.entry, mount.info.ttl);
    let data = Object::build(|out| {
        out.string("description", &entry.description);
        out.value("default_lease_ttl", &ttl.default.as_secs());
        out.value("max_lease_ttl", &ttl.max.as_secs());
        out.value("force_no_cache", &entry.tuning.force_no_cache);
        if let Some(options) = &entry.options {
            out.value("options", options);
        }
        entry.tuning.write_lists(out);
        if !entry.tuning.token_type.is_empty() {
            out.string("token_type", &entry.tuning.token_type);
        }
        if let Some(lockout) = &entry.tuning.user_lockout {
            lockout.write(out);
        }
    });
    Ok(Response { copied_to_top: true, ..Response::data(data) })
}

async fn write(scope: &Scope<'_>, path: &str) -> Result<Response, Error> {
    let fields = &scope.request.fields;
    if mounts::is_fixed(path)
        && path != "auth/token/"
        && let Some(name) = ["default_lease_ttl", "max_lease_ttl"].into_iter().find(|name| fields.has(name))
    {
        return Err(Error::caller(format!("cannot tune parameter {name} of {path}")));
    }
    let server = scope.live.mounts.ttl();
    let tuned = scope.live.mounts.tune(path, |entry| {
        if let Some(description) = fields.string("description")? {
            entry.description = description.into_owned();
        }
        if let Some(options) = fields.key_values("options")? {
            entry.options.get_or_insert_default().extend(options);
        }
        apply(fields, entry, server, Moment::Tuning)
    });
    match tuned.await? {
        Some(()) => Ok(Response::none()),
        None => Err(Error::caller(format!("tune of path {path:?} failed: no mount entry found"))),
    }
}

/// Takes the settings that are given over into `entry`.
pub(super) fn apply(fields: &Fields, entry: &mut Entry, server: TtlLimits, moment: Moment) -> Result<(), Error> {
    let before = (entry.tuning.default_lease_ttl, entry.tuning.max_lease_ttl);
    let default = ttl(fields, "default_lease_ttl")?.unwrap_or(before.0);
    let max = ttl(fields, "max_lease_ttl")?.unwrap_or(before.1);
    check_order(default, max, server, moment)?;
    let tuning = &mut entry.tuning;
    (tuning.default_lease_ttl, tuning.max_lease_ttl) = (default, max);
    if let Some(flag) = fields.bool("force_no_cache")? {
        tuning.force_no_cache = flag;
    }
    for (name, list) in [
        ("audit_non_hmac_request_keys", &mut tuning.audit_non_hmac_request_keys),
        ("audit_non_hmac_response_keys", &mut tuning.audit_non_hmac_response_keys),
        ("passthrough_request_headers", &mut tuning.passthrough_request_headers),
        ("allowed_response_headers", &mut tuning.allowed_response_headers),
    ] {
        if let Some(given) = fields.comma_list(name)? {
            *list = Some(given);
        }
    }
    if let Some(visibility) = fields.string("listing_visibility")? {
        if !matches!(&*visibility, "" | "hidden" | "unauth") {
            return Err(Error::caller(format!("invalid listing_visibility {visibility}")));
        }
        tuning.listing_visibility = visibility.into_owned();
    }
    if let Some(kind) = fields.string("token_type")?.filter(|kind| !kind.is_empty()) {
        if entry.class == Class::Secret {
            return Err(Error::caller("'token_type' can only be modified on auth mounts"));
        }
        if !matches!(&*kind, "default-service" | "default-batch" | "service" | "batch") {
            return Err(Error::caller("invalid value for 'token_type'"));
        }
        tuning.token_type = kind.into_owned();
    }
    if let Some(config) = fields.object("user_lockout_config")? {
        let mut lockout = tuning.user_lockout.unwrap_or_default();
        let count = config.int("lockout_threshold")?.map(u64::try_from).transpose();
        let count = count.map_err(|_| Error::caller("lockout_threshold cannot be negative"))?;
        lockout.threshold = count.unwrap_or(lockout.threshold);
        lockout.duration = config.seconds("lockout_duration")?.unwrap_or(lockout.duration);
        lockout.counter_reset = config.seconds("lockout_counter_reset_duration")?.unwrap_or(lockout.counter_reset);
        lockout.disable = config.bool("lockout_disable")?.unwrap_or(lockout.disable);
        tuning.user_lockout = Some(lockout);
    }
    Ok(())
}

/// A span in seconds; `system` and 0 are the server's.
fn ttl(fields: &Fields, name: &str) -> Result<Option<u64>, Error> {
    match fields.string(name) {
        Ok(Some(text)) if text == "system" => Ok(Some(0)),
        _ => fields.seconds(name),
    }
}

fn check_order(default: u64, max: u64, server: TtlLimits, moment: Moment) -> Result<(), Error> {
    let ceiling = if max == 0 { server.max } else { Duration::from_secs(max) };
    if default == 0 || Duration::from_secs(default) <= ceiling {
        return Ok(());
    }
    Err(Error::caller(match (moment, max) {
        (_, 0) if moment == Moment::Enabling => {
            format!("given default lease TTL greater than system max lease TTL of {}", server.max.as_secs())
        }
        (Moment::Enabling, _) => "given default lease TTL greater than given max lease TTL".to_owned(),
        (Moment::Tuning, _) => format!(
            "backend max lease TTL of {} would be less than backend default lease TTL of {default}",
            ceiling.as_secs()
        ),
    }))
}
