//! `sys/health` and `sys/leader`: for load balancers and operators, in every phase.

use crate::Server;
use crate::request::{Head, Verb, query_value};
use crate::respond::{Refusal, Reply};
use std::sync::Arc;
use strongroom_mount::{Access, Kind, Method, Object, Operation, Param, Response, Route};

/// The route, for OpenAPI and help.
pub(crate) const ROUTE: Route = Route {
    path: "health",
    about: "Whether the server is initialised, unsealed and active, as a status that can be chosen.",
    methods: &[Method::new(Operation::Read, "The state, also by HEAD.").access(Access::Unauthenticated)],
    params: &[
        Param::input("standbyok", Kind::Bool, "A standby counts as active."),
        Param::input("perfstandbyok", Kind::Bool, "A performance standby counts as active."),
        Param::input("activecode", Kind::Int, "The status of an active server."),
        Param::input("standbycode", Kind::Int, "The status of a standby."),
        Param::input("sealedcode", Kind::Int, "The status of a sealed server."),
        Param::input("uninitcode", Kind::Int, "The status of a server that is not initialised."),
        Param::input("drsecondarycode", Kind::Int, "Read, and without effect."),
        Param::input("performancestandbycode", Kind::Int, "Read, and without effect."),
        Param::input("haunhealthycode", Kind::Int, "Read, and without effect."),
        Param::input("removedcode", Kind::Int, "Read, and without effect."),
    ],
    open: false,
};

/// Parameters that choose a status, the Go client's misspelling among them.
const CODES: [&str; 9] = [
    "activecode",
    "standbycode",
    "sealedcode",
    "uninitcode",
    "drsecondarycode",
    "performancestandbycode",
    "haunhealthycode",
    "haunhealhtycode",
    "removedcode",
];

/// Answers GET and HEAD.
pub(crate) fn answer(server: &Arc<Server>, head: &Head) -> Reply {
    let bad = || Reply::refusal(&if head.verb == Verb::Head { Refusal::empty(400) } else { Refusal::bare(400) });
    let mut chosen = [None; CODES.len()];
    for (slot, name) in chosen.iter_mut().zip(CODES) {
        if let Some(text) = query_value(&head.query, name) {
            match text.parse::<u16>().ok().filter(|code| (200..=599).contains(code)) {
                Some(code) => *slot = Some(code),
                None => return bad(),
            }
        }
    }
    let [active, _, sealed_code, uninit, ..] = chosen;
    let live = server.phase.live();
    let initialised = server.custody.is_initialised();
    let status = match (initialised, live.is_some()) {
        (false, _) => uninit.unwrap_or(501),
        (true, false) => sealed_code.unwrap_or(503),
        (true, true) => active.unwrap_or(200),
    };
    if head.verb == Verb::Head {
        return Reply::empty(status);
    }
    let sealed = live.is_none();
    let mode = if sealed { "unknown" } else { "disabled" };
    let cluster = server.custody.status().cluster.filter(|_| !sealed);
    let data = Object::build(|out| {
        out.value("initialized", &initialised);
        out.value("sealed", &sealed);
        out.value("standby", &sealed);
        out.value("performance_standby", &false);
        out.string("replication_performance_mode", mode);
        out.string("replication_dr_mode", mode);
        out.value("server_time_utc", &server.clock.wall().unix());
        out.string("version", if head.redact.version { "" } else { super::VERSION });
        out.value("enterprise", &false);
        if let Some(cluster) = cluster {
            if !head.redact.cluster_name {
                out.string("cluster_name", &server.cluster_name(&cluster));
            }
            out.string("cluster_id", &super::uuid(&cluster));
        }
        // Ours, and only then: it reads on, and writes nothing.
        if live.as_ref().and_then(|live| live.barrier.integrity().ok()).is_some_and(|state| state.failed.is_some()) {
            out.value("storage_failed", &true);
        }
        out.value("echo_duration_ms", &0);
        out.value("clock_skew_ms", &0);
        out.value("replication_primary_canary_age_ms", &0);
    });
    Reply::answer(&head.id, "system", Response { status: Some(status), ..Response::bare(data) })
}

/// One node leads itself.
pub(crate) fn leader(server: &Arc<Server>, head: &Head) -> Response {
    let active = server.phase.live().is_some();
    let address = server.settings.api_addr.as_deref();
    let address = address.filter(|_| active && !head.redact.addresses).unwrap_or_default();
    Response::bare(Object::build(|out| {
        out.value("ha_enabled", &false);
        out.value("is_self", &active);
        out.string("active_time", "0001-01-01T00:00:00Z");
        out.string("leader_address", address);
        out.string("leader_cluster_address", "");
        out.value("performance_standby", &false);
        out.value("performance_standby_last_remote_wal", &0);
    }))
}

impl Server {
    /// The cluster's name for people: the configuration's, or one made of its id.
    pub fn cluster_name(&self, cluster: &[u8; 16]) -> String {
        super::sealed::seal_status::cluster_name(self.settings.cluster_name.as_deref(), *cluster)
    }
}
