//! Routes that exist in every phase, sealed or not: a static table. Their answers are bare, need no token, and are not
//! in the audit log, which cannot be written while sealed.

use super::{health, sealed};
use crate::Server;
use crate::request::{Head, Verb};
use crate::respond::{Refusal, Reply};
use bytes::Bytes;
use std::sync::Arc;
use strongroom_mount::{Access, Error, Kind, Method, Operation, Param, Response, Route};

/// The table, for OpenAPI and help.
pub static ROUTES: [Route; 6] = [
    Route {
        path: "init",
        about: "Whether the store is initialised, and its initialisation.",
        methods: &[
            Method::new(Operation::Read, "Whether it is initialised.").access(Access::Unauthenticated),
            Method::new(Operation::Update, "Initialises it, once.").access(Access::Unauthenticated),
        ],
        params: &[
            Param::input("secret_shares", Kind::Int, "How many shares are dealt to custodians."),
            Param::input("secret_threshold", Kind::Int, "How many of them open the store."),
            Param::input("pgp_keys", Kind::List, "PGP keys to encrypt the shares to."),
            Param::input("root_token_pgp_key", Kind::String, "A PGP key to encrypt the root token to."),
            Param::input("recovery_shares", Kind::Int, "How many recovery keys are dealt."),
            Param::input("recovery_threshold", Kind::Int, "How many of them authorise."),
            Param::input("recovery_pgp_keys", Kind::List, "PGP keys to encrypt the recovery keys to."),
            Param::input("stored_shares", Kind::Int, "Without effect."),
        ],
        open: false,
    },
    Route {
        path: "unseal",
        about: "Enters a share.",
        methods: &[
            Method::new(Operation::Update, "Enters a share, or forgets those entered.").access(Access::Unauthenticated)
        ],
        params: &[
            Param::input("key", Kind::String, "The share, in hexadecimal or base64."),
            Param::input("reset", Kind::Bool, "Forgets the shares entered so far."),
            Param::input("migrate", Kind::Bool, "Without effect."),
            Param::input("epoch", Kind::Int, "Refuse any copy of the store that is older."),
        ],
        open: false,
    },
    Route {
        path: "seal-status",
        about: "How the seal stands.",
        methods: &[Method::new(Operation::Read, "How the seal stands.").access(Access::Unauthenticated)],
        params: &[],
        open: false,
    },
    Route {
        path: "seal-tree",
        about: "The seal tree, leaf by leaf.",
        methods: &[Method::new(Operation::Read, "The expression and its leaves.").access(Access::Unauthenticated)],
        params: &[],
        open: false,
    },
    health::ROUTE,
    Route {
        path: "leader",
        about: "Which node leads.",
        methods: &[Method::new(Operation::Read, "Which node leads.").access(Access::Unauthenticated)],
        params: &[],
        open: false,
    },
];

/// A standing route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Post {
    /// `sys/init`.
    Init,
    /// `sys/unseal`.
    Unseal,
    /// `sys/seal-status`.
    SealStatus,
    /// `sys/seal-tree`.
    SealTree,
    /// `sys/health`.
    Health,
    /// `sys/leader`.
    Leader,
    /// `sys/seal` with another method than its own, or while sealed already.
    Seal,
}

/// The standing route of a request; `None` for all others. `sys/seal` counts as one only by its method.
pub fn find(head: &Head) -> Option<Post> {
    let path = head.path.as_str();
    let path = if matches!(head.verb, Verb::List | Verb::Scan) { path.trim_end_matches('/') } else { path };
    Some(match path.strip_prefix("sys/")? {
        "init" => Post::Init,
        "unseal" => Post::Unseal,
        "seal-status" => Post::SealStatus,
        "seal-tree" => Post::SealTree,
        "health" => Post::Health,
        "leader" => Post::Leader,
        "seal" if head.verb != Verb::Write && !head.help => Post::Seal,
        _ => return None,
    })
}

impl Post {
    /// Whether it takes the method.
    pub fn offers(self, verb: Verb) -> bool {
        match self {
            Post::Init => matches!(verb, Verb::Get | Verb::Write),
            Post::Unseal => verb == Verb::Write,
            Post::Health => matches!(verb, Verb::Get | Verb::Head),
            Post::SealStatus | Post::SealTree | Post::Leader => verb == Verb::Get,
            Post::Seal => false,
        }
    }
}

/// Answers it. After init and unseal the connection is closed, since its buffers held keys.
pub(crate) async fn answer(server: &Arc<Server>, head: &Head, body: Bytes, post: Post) -> Reply {
    let result = match (post, head.verb) {
        (Post::Health, _) => return health::answer(server, head),
        (Post::Leader, _) => Ok(health::leader(server, head)),
        (Post::Init, Verb::Get) => sealed::initialised(server),
        (Post::Init, _) => sealed::init(server, body).await,
        (Post::Unseal, _) => sealed::unseal(server, head, body).await,
        (Post::SealStatus, _) => sealed::seal_status(server, head),
        (Post::SealTree, _) => sealed::seal_tree(server, head).await,
        (Post::Seal, _) => return Reply::refusal(&Refusal::bare(405)),
    };
    let reply = reply(head, result);
    if matches!(post, Post::Init | Post::Unseal) && head.verb == Verb::Write { reply.closing() } else { reply }
}

fn reply(head: &Head, result: Result<Response, Error>) -> Reply {
    match result {
        Ok(response) => Reply::answer(&head.id, "system", response),
        Err(error) => {
            if let Some(detail) = &error.detail {
                tracing::error!(detail, "a request to a standing route failed");
            }
            Reply::error(&error)
        }
    }
}
