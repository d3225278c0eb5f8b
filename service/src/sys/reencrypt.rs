//! `sys/reencrypt`: the job that seals anew what older terms of the keyring have sealed, and its proof.

use super::Scope;
use crate::reencryption::{End, Job, Record};
use strongroom_clock::Timestamp;
use strongroom_keystore::{KeyStatus, Progress};
use strongroom_mount::json::Writer;
use strongroom_mount::{Access, Error, Method, Object, Operation, Response, Route};

/// `sys/reencrypt`.
pub(super) const REENCRYPT: Route = Route {
    path: "reencrypt",
    about: "Re-encryption of everything that an older term of the keyring has sealed.",
    methods: &[
        Method::new(Operation::Read, "How far it has come, and the counts by term at its end.").access(Access::Sudo),
        Method::new(Operation::Update, "Begins it, or goes on with one that stopped.").access(Access::Sudo),
    ],
    params: &[],
    open: false,
};

/// Begins it, or says how it stands.
pub(super) async fn reencrypt(scope: &Scope<'_>) -> Result<Response, Error> {
    let job = &scope.live.reencryption;
    let begun = match scope.request.operation {
        Operation::Read => true,
        _ => job.start().await?,
    };
    let status = scope.live.barrier.key_status()?;
    let answer = Response::data(state(&job.job(), &status));
    Ok(if begun { answer } else { answer.warn("a re-encryption is under way already") })
}

/// The job, and what the keyring holds.
fn state(job: &Job, status: &KeyStatus) -> Object {
    Object::build(|out| {
        let (name, record, progress) = match job {
            Job::None => ("none", None, None),
            Job::Sealing(record, progress) => ("sealing", Some(record), progress.as_ref()),
            Job::Proving(record, progress) => ("proving", Some(record), Some(progress)),
            Job::Stopped(record, _) => ("stopped", Some(record), None),
            Job::Ended(record) => {
                let clean = record.end.as_ref().is_some_and(|end| end.is_clean(record.term));
                (if clean { "complete" } else { "unproven" }, Some(record), None)
            }
        };
        out.string("state", name);
        if let Some(record) = record {
            begun(out, record, progress);
        }
        if let Job::Stopped(_, why) = job {
            out.string("stopped_by", why);
        }
        out.value("keyring_terms", &status.terms);
        out.value("names_generation", &status.names);
        out.value("older_names_left", &status.renaming);
    })
}

fn begun(out: &mut Writer, record: &Record, progress: Option<&Progress>) {
    let moment = |seconds| Timestamp::from_unix(seconds).to_string();
    out.value("term", &record.term);
    out.string("started", &moment(record.started));
    out.value("rows", &record.rows);
    if let Some(progress) = progress {
        out.value("seen", &progress.seen);
        out.value("resealed", &progress.resealed);
    }
    let Some(end) = &record.end else { return };
    out.value("seen", &end.seen);
    out.value("resealed", &end.resealed);
    out.string("finished", &moment(end.finished));
    out.object("proof", |out| proof(out, end, record.term));
}

/// What the walk at the end counted.
fn proof(out: &mut Writer, end: &End, term: u32) {
    out.value("rows", &end.rows);
    out.value("rows_by_term", &end.terms);
    out.value("rows_under_older_terms", &end.left(term));
    out.value("problems", &end.problems);
}
