//! `lookup`, `lookup-self`, `lookup-accessor`, `accessors`.

use strongroom_clock::Timestamp;
use strongroom_mount::{Access, Blame, Ctx, Error, Method, Object, Operation, Request, Response, Route};

use super::super::token::Token;
use super::{ACCESSOR, AFTER, LIMIT, TOKEN, TokenBackend, invalid_accessor, keys, page, presented, text};

pub(super) const LOOKUP: Route = Route {
    path: "lookup",
    about: "What a token is.",
    methods: &[
        Method::new(Operation::Read, "Look up the caller's own token."),
        Method::new(Operation::Update, "Look up a token; without one, the caller's own."),
    ],
    params: &[TOKEN],
    open: false,
};

pub(super) const LOOKUP_SELF: Route = Route {
    path: "lookup-self",
    about: "What the caller's own token is.",
    methods: &[
        Method::new(Operation::Read, "Look up the caller's own token."),
        Method::new(Operation::Update, "Look up the caller's own token."),
    ],
    params: &[TOKEN],
    open: false,
};

pub(super) const LOOKUP_ACCESSOR: Route = Route {
    path: "lookup-accessor",
    about: "What the token with an accessor is, without its id.",
    methods: &[Method::new(Operation::Update, "Look up a token by its accessor.")],
    params: &[ACCESSOR],
    open: false,
};

pub(super) const ACCESSORS: Route = Route {
    path: "accessors",
    about: "The accessors of all tokens.",
    methods: &[Method::new(Operation::List, "List accessors.").access(Access::Sudo)],
    params: &[AFTER, LIMIT],
    open: false,
};

pub(super) async fn lookup(backend: &TokenBackend, cx: &Ctx<'_>, request: &Request) -> Result<Response, Error> {
    let id = text(&request.fields, "token")?;
    if id.is_empty() || id == presented(cx) {
        return lookup_self(backend, cx).await;
    }
    match backend.tokens.token(&id).await? {
        Some(token) => Ok(Response::data(describe(&token, &id, cx.clock.now()))),
        None => Err(Error::caller("bad token").blame(Blame::Denied)),
    }
}

pub(super) async fn lookup_self(backend: &TokenBackend, cx: &Ctx<'_>) -> Result<Response, Error> {
    let token = backend.own(cx).await?;
    Ok(Response::data(describe(&token, presented(cx), cx.clock.now())))
}

pub(super) async fn lookup_accessor(backend: &TokenBackend, request: &Request) -> Result<Response, Error> {
    let token = backend.by_accessor(&request.fields).await?.ok_or_else(invalid_accessor)?;
    Ok(Response::data(describe(&token, "", backend.tokens.clock.now())))
}

pub(super) async fn accessors(backend: &TokenBackend, request: &Request) -> Result<Response, Error> {
    let (after, limit) = page(&request.fields)?;
    keys(&backend.tokens.accessors(after.as_deref(), limit).await?)
}

/// What clients may know of a token.
fn describe(token: &Token, id: &str, now: Timestamp) -> Object {
    Object::with_capacity(1024, |data| {
        data.string("accessor", &token.accessor);
        if !token.cidrs.is_empty() {
            data.strings("bound_cidrs", token.cidrs.iter().map(|block| block.as_str()));
        }
        data.value("creation_time", &token.created.unix());
        data.value("creation_ttl", &token.creation_ttl);
        data.string("display_name", &token.display_name);
        data.string("entity_id", &token.entity_id);
        match token.expires {
            Some(end) => data.string("expire_time", &end.to_string()),
            None => data.null("expire_time"),
        }
        // As recorded: what the token itself was given. What its role adds is read from the role.
        data.value("explicit_max_ttl", &token.explicit_max_ttl.asked);
        data.string("id", id);
        data.string("issue_time", &token.created.to_string());
        if let Some(renewed) = token.renewed {
            data.string("last_renewal", &renewed.to_string());
            data.value("last_renewal_time", &renewed.unix());
        }
        if token.metadata.is_empty() {
            data.null("meta");
        } else {
            data.value("meta", &token.metadata);
        }
        data.value("num_uses", &token.num_uses());
        data.value("orphan", &token.parent.is_none());
        data.string("path", &token.path);
        if token.period.in_force > 0 {
            data.value("period", &token.period.in_force);
        }
        data.strings("policies", token.policies.iter().map(String::as_str));
        data.value("renewable", &token.renewable);
        if !token.role.is_empty() {
            data.string("role", &token.role);
        }
        data.value("ttl", &token.ttl(now));
        data.string("type", token.kind.name());
    })
}
