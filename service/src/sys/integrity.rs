//! `sys/integrity`: what the store knows of its own integrity, and the walk that checks all of it.

use super::Scope;
use strongroom_mount::{Access, Error, Method, Object, Operation, Response, Route};

/// `sys/integrity`.
pub(super) const STATUS: Route = Route {
    path: "integrity",
    about: "The head's sequence and epoch, who confirmed it, and alarms.",
    methods: &[Method::new(Operation::Read, "The state, without a walk.")],
    params: &[],
    open: false,
};

/// `sys/integrity/verify`.
pub(super) const VERIFY: Route = Route {
    path: "integrity/verify",
    about: "Walks every row and names what is wrong.",
    methods: &[Method::new(Operation::Update, "Runs a full verification now.").access(Access::Sudo)],
    params: &[],
    open: false,
};

/// The state.
pub(super) fn status(scope: &Scope<'_>) -> Result<Response, Error> {
    let state = scope.live.barrier.integrity()?;
    Ok(Response::data(Object::build(|out| {
        out.string("cluster_id", &super::uuid(&state.cluster));
        out.value("sequence", &state.sequence.0);
        out.value("epoch", &state.epoch);
        out.string("words", &state.words.join(" "));
        out.value("generation", &state.generation);
        out.value("rows", &state.rows);
        out.string("rollback", if state.protected { "protected" } else { "unprotected" });
        out.objects("devices", state.devices.iter(), |out, device| {
            out.string("id", &hex::encode(device.id.0));
            out.value("counter", &device.counter);
            match device.raised {
                Some(at) => out.string("raised", &at.to_string()),
                None => out.null("raised"),
            }
        });
        out.value("alarms", &state.alarms);
        match &state.failed {
            Some(reason) => out.string("storage_failed", reason),
            None => out.null("storage_failed"),
        }
    })))
}

/// A walk over everything, on a thread of its own: it reads as long as the store is large.
pub(super) async fn verify(scope: &Scope<'_>) -> Result<Response, Error> {
    let barrier = scope.live.barrier.clone();
    let walk = tokio::task::spawn_blocking(move || barrier.verify(|_| std::ops::ControlFlow::Continue(())));
    let found = walk.await.map_err(|_| Error::us("the verification panicked"))??;
    Ok(Response::data(Object::build(|out| {
        out.value("rows", &found.rows);
        out.value("sound", &found.problems.is_empty());
        out.objects("problems", found.problems.iter(), |out, problem| {
            out.string("layer", &problem.layer.to_string());
            out.string("name", &problem.name);
            out.string("reason", &problem.reason);
        });
    })))
}
