//! `sys/remount`: moves a mount, with its data where it is. It has happened when the answer comes.

use super::{Scope, mounts, text, uuid};
use strongroom_mount::{Access, Error, Kind, Method, Object, Operation, Param, Response, Route};

/// `sys/remount`.
pub(super) const REMOUNT: Route = Route {
    path: "remount",
    about: "Moves a mount.",
    methods: &[Method::new(Operation::Update, "Moves it; done when this answers.").access(Access::Sudo)],
    params: &[
        Param::input("from", Kind::String, "Where it is; auth methods begin with auth/."),
        Param::input("to", Kind::String, "Where it shall be."),
    ],
    open: false,
};

/// `sys/remount/status/<id>`.
pub(super) const STATUS: Route = Route {
    path: "remount/status/{migration_id}",
    about: "What became of a move.",
    methods: &[Method::new(Operation::Read, "Its source, target and state.")],
    params: &[Param::path("migration_id", "The id that the move gave.")],
    open: false,
};

/// Moves that are remembered.
const REMEMBERED: usize = 256;

/// A move that was made.
pub(crate) struct Moved {
    id: String,
    from: String,
    to: String,
}

/// Moves that were made since the unseal, the newest last.
#[derive(Default)]
pub(crate) struct Moves(parking_lot::Mutex<std::collections::VecDeque<Moved>>);

/// Moves.
pub(super) async fn remount(scope: &Scope<'_>) -> Result<Response, Error> {
    let (from, to) = (text(scope, "from")?, text(scope, "to")?);
    let (from, to) = (from.trim_matches('/'), to.trim_matches('/'));
    if from.is_empty() || to.is_empty() {
        return Err(Error::caller("both 'from' and 'to' path must be specified as a string"));
    }
    if to.split('/').any(|part| part.is_empty() || part == "." || part == "..") || to.chars().any(char::is_control) {
        return Err(Error::caller("'to' is no path that can be mounted on"));
    }
    let (from, to) = (format!("{from}/"), format!("{to}/"));
    if mounts::is_fixed(&from) || from == "auth/" {
        return Err(Error::caller(format!("cannot remount {from:?}")));
    }
    let crosses = from.starts_with("auth/") != to.starts_with("auth/");
    if crosses || to == "auth/" || mounts::is_fixed(&to) || to.starts_with("sys/") {
        return Err(Error::caller(format!("cannot remount to destination {to}")));
    }
    match scope.live.mounts.remount(&from, &to).await? {
        None => return Err(Error::caller(format!("no matching mount at {from:?}"))),
        Some(Err(_)) => return Err(Error::caller(format!("path already in use at {to:?}"))),
        Some(Ok(())) => {}
    }
    let id = uuid(&strongroom_secret::random::array().map_err(strongroom_keystore::Error::from)?);
    let mut moves = scope.live.moves.0.lock();
    if moves.len() >= REMEMBERED {
        moves.pop_front();
    }
    moves.push_back(Moved { id: id.clone(), from, to });
    let data = Object::build(|out| out.string("migration_id", &id));
    let response = Response { copied_to_top: true, ..Response::data(data) };
    Ok(response.warn("The move is done: sys/remount/status shows it for clients that ask."))
}

/// A move that was made.
pub(super) fn status(scope: &Scope<'_>) -> Result<Response, Error> {
    let id = text(scope, "migration_id")?;
    let moves = scope.live.moves.0.lock();
    let moved = moves.iter().find(|moved| moved.id == id).ok_or_else(Error::missing)?;
    Ok(Response::data(Object::build(|out| {
        out.string("migration_id", &moved.id);
        out.object("migration_info", |out| {
            out.string("source_mount", &moved.from);
            out.string("target_mount", &moved.to);
            out.string("status", "success");
        });
    })))
}
