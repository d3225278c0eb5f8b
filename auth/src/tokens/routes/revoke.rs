//! `revoke`, `revoke-self`, `revoke-accessor`, `revoke-orphan`.

use strongroom_mount::{Access, Ctx, Error, Method, Operation, Request, Response, Route};

use super::super::id::TokenKey;
use super::super::token::TokenType;
use super::{ACCESSOR, TOKEN, TokenBackend, text};

pub(super) const REVOKE: Route = Route {
    path: "revoke",
    about: "Revoke a token and all its descendants.",
    methods: &[Method::new(Operation::Update, "Revoke a token.")],
    params: &[TOKEN],
    open: false,
};

pub(super) const REVOKE_SELF: Route = Route {
    path: "revoke-self",
    about: "Revoke the caller's own token and all its descendants.",
    methods: &[Method::new(Operation::Update, "Revoke the caller's own token.")],
    params: &[TOKEN],
    open: false,
};

pub(super) const REVOKE_ACCESSOR: Route = Route {
    path: "revoke-accessor",
    about: "Revoke the token with an accessor and all its descendants.",
    methods: &[Method::new(Operation::Update, "Revoke a token by its accessor.")],
    params: &[ACCESSOR],
    open: false,
};

pub(super) const REVOKE_ORPHAN: Route = Route {
    path: "revoke-orphan",
    about: "Revoke a token and let its children live on as orphans.",
    methods: &[Method::new(Operation::Update, "Revoke a token alone.").access(Access::Sudo)],
    params: &[TOKEN],
    open: false,
};

pub(super) async fn revoke(backend: &TokenBackend, request: &Request) -> Result<Response, Error> {
    if let Some(key) = stored(backend, request).await? {
        backend.tokens.revoke(key).await?;
    }
    Ok(Response::none())
}

pub(super) async fn revoke_orphan(backend: &TokenBackend, request: &Request) -> Result<Response, Error> {
    if let Some(key) = stored(backend, request).await? {
        backend.tokens.revoke_orphan(key).await?;
    }
    Ok(Response::none())
}

pub(super) async fn revoke_self(backend: &TokenBackend, cx: &Ctx<'_>) -> Result<Response, Error> {
    let token = backend.own(cx).await?;
    if token.kind == TokenType::Batch {
        return Err(batch());
    }
    backend.tokens.revoke(token.key).await?;
    Ok(Response::none())
}

pub(super) async fn revoke_accessor(backend: &TokenBackend, request: &Request) -> Result<Response, Error> {
    match backend.by_accessor(&request.fields).await? {
        Some(token) => {
            backend.tokens.revoke(token.key).await?;
            Ok(Response::none())
        }
        None => Ok(Response::none().warn("No token found with this accessor")),
    }
}

/// The key of the token that the request names; `None` where there is none, which is what revoking is for.
async fn stored(backend: &TokenBackend, request: &Request) -> Result<Option<TokenKey>, Error> {
    let id = text(&request.fields, "token")?;
    if id.is_empty() {
        return Err(Error::caller("missing token ID"));
    }
    match backend.tokens.token(&id).await? {
        Some(token) if token.kind == TokenType::Batch => Err(batch()),
        Some(token) => Ok(Some(token.key)),
        // It may be there and expired, with children that still live.
        None => Ok(Some(backend.tokens.key_of(&id))),
    }
}

fn batch() -> Error {
    Error::caller("batch tokens cannot be revoked")
}
