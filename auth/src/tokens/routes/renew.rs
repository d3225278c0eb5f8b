//! `renew`, `renew-self`, `renew-accessor`.

use strongroom_mount::{Ctx, Error, Method, Operation, Request, Response, Route};
use zeroize::Zeroizing;

use super::super::token::{Token, TokenType};
use super::{ACCESSOR, INCREMENT, TOKEN, TokenBackend, invalid_accessor, presented, text};

pub(super) const RENEW: Route = Route {
    path: "renew",
    about: "Give a token its time anew.",
    methods: &[Method::new(Operation::Update, "Renew a token.")],
    params: &[TOKEN, INCREMENT],
    open: false,
};

pub(super) const RENEW_SELF: Route = Route {
    path: "renew-self",
    about: "Give the caller's own token its time anew.",
    methods: &[Method::new(Operation::Update, "Renew the caller's own token.")],
    params: &[TOKEN, INCREMENT],
    open: false,
};

pub(super) const RENEW_ACCESSOR: Route = Route {
    path: "renew-accessor",
    about: "Give the token with an accessor its time anew.",
    methods: &[Method::new(Operation::Update, "Renew a token by its accessor.")],
    params: &[ACCESSOR, INCREMENT],
    open: false,
};

pub(super) async fn renew(backend: &TokenBackend, cx: &Ctx<'_>, request: &Request) -> Result<Response, Error> {
    let id = text(&request.fields, "token")?;
    if id.is_empty() {
        return Err(Error::caller("missing token ID"));
    }
    let token = backend.tokens.token(&id).await?.ok_or(crate::Error::TokenNotFound)?;
    extend(backend, cx, request, &token, &id).await
}

pub(super) async fn renew_self(backend: &TokenBackend, cx: &Ctx<'_>, request: &Request) -> Result<Response, Error> {
    let token = backend.own(cx).await?;
    extend(backend, cx, request, &token, presented(cx)).await
}

pub(super) async fn renew_accessor(backend: &TokenBackend, cx: &Ctx<'_>, request: &Request) -> Result<Response, Error> {
    let token = backend.by_accessor(&request.fields).await?.ok_or_else(invalid_accessor)?;
    extend(backend, cx, request, &token, "").await
}

async fn extend(
    backend: &TokenBackend,
    cx: &Ctx<'_>,
    request: &Request,
    token: &Token,
    id: &str,
) -> Result<Response, Error> {
    let increment = request.fields.seconds("increment")?.unwrap_or(0);
    if token.kind == TokenType::Batch {
        return Err(Error::caller("batch tokens cannot be renewed"));
    }
    let mut made = backend.tokens.renew(token.key, increment, cx.mount.ttl).await?;
    made.auth.client_token = Zeroizing::new(id.to_owned());
    Ok(Response { warnings: made.warnings, ..Response::auth(made.auth) })
}
