//! The mount `auth/token/`: its table, and one file for each group of paths.

mod create;
mod lookup;
mod policies;
mod renew;
mod revoke;
mod roles;
mod tidy;

use std::sync::Arc;

use strongroom_mount::backend::Boxed;
use strongroom_mount::{Answer, Backend, Ctx, Error, Fields, Kind, Operation, Param, Request, Response, Route};

use super::id::TokenKey;
use super::store::TokenStore;
use super::token::Token;
use crate::PolicyStore;

/// Tokens that one tick takes away; the rest is for the next.
const PER_TICK: usize = 10_000;

/// The mount `auth/token/`. It stores through `tokens`, whatever view it is given.
pub fn backend(tokens: Arc<TokenStore>, policies: Arc<PolicyStore>) -> Arc<dyn Backend> {
    Arc::new(TokenBackend { tokens, policies })
}

struct TokenBackend {
    tokens: Arc<TokenStore>,
    policies: Arc<PolicyStore>,
}

static ROUTES: [Route; 17] = [
    create::CREATE,
    create::CREATE_ORPHAN,
    create::CREATE_ROLE,
    lookup::LOOKUP,
    lookup::LOOKUP_SELF,
    lookup::LOOKUP_ACCESSOR,
    lookup::ACCESSORS,
    renew::RENEW,
    renew::RENEW_SELF,
    renew::RENEW_ACCESSOR,
    revoke::REVOKE,
    revoke::REVOKE_SELF,
    revoke::REVOKE_ACCESSOR,
    revoke::REVOKE_ORPHAN,
    roles::LIST,
    roles::ROLE,
    tidy::TIDY,
];

impl Backend for TokenBackend {
    fn kind(&self) -> &'static str {
        "token"
    }

    fn routes(&self) -> &'static [Route] {
        &ROUTES
    }

    fn exists<'a>(&'a self, _cx: &'a Ctx<'a>, request: &'a Request) -> Boxed<'a, Result<Option<bool>, Error>> {
        Box::pin(async move {
            if ROUTES[request.route].path != roles::ROLE.path {
                return Ok(None);
            }
            let name = text(&request.fields, "role_name")?;
            Ok(Some(self.tokens.role(&name).await?.is_some()))
        })
    }

    fn handle<'a>(&'a self, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
        Box::pin(async move {
            match ROUTES[request.route].path {
                "create" => create::create(self, cx, request, None).await,
                "create-orphan" => create::create_orphan(self, cx, request).await,
                "create/{role_name}" => create::create_with_role(self, cx, request).await,
                "lookup" => lookup::lookup(self, cx, request).await,
                "lookup-self" => lookup::lookup_self(self, cx).await,
                "lookup-accessor" => lookup::lookup_accessor(self, request).await,
                "accessors" => lookup::accessors(self, request).await,
                "renew" => renew::renew(self, cx, request).await,
                "renew-self" => renew::renew_self(self, cx, request).await,
                "renew-accessor" => renew::renew_accessor(self, cx, request).await,
                "revoke" => revoke::revoke(self, request).await,
                "revoke-self" => revoke::revoke_self(self, cx).await,
                "revoke-accessor" => revoke::revoke_accessor(self, request).await,
                "revoke-orphan" => revoke::revoke_orphan(self, request).await,
                "roles" => roles::list(self, request).await,
                "roles/{role_name}" => match request.operation {
                    Operation::Read => roles::read(self, request).await,
                    Operation::Delete => roles::delete(self, request).await,
                    _ => roles::write(self, request).await,
                },
                "tidy" => tidy::tidy(self).await,
                _ => Err(Error::unsupported_path()),
            }
        })
    }

    fn tick<'a>(&'a self, _cx: &'a Ctx<'a>) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            self.tokens.expire_due(PER_TICK).await?;
            Ok(())
        })
    }
}

impl TokenBackend {
    /// The caller's own token, alive or on its last use.
    async fn own(&self, cx: &Ctx<'_>) -> Result<Arc<Token>, Error> {
        if let Some(key) = TokenKey::parse(&cx.caller.key)
            && let Some(token) = self.tokens.stored(key).await?
        {
            return Ok(token);
        }
        // A batch token has no row.
        match &cx.caller.presented {
            Some(id) => Ok(self.tokens.token(id.expose()).await?.ok_or(crate::Error::Denied)?),
            None => Err(crate::Error::Denied.into()),
        }
    }

    /// The living token that the parameter `accessor` names.
    async fn by_accessor(&self, fields: &Fields) -> Result<Option<Arc<Token>>, Error> {
        let accessor = text(fields, "accessor")?;
        if accessor.is_empty() {
            return Err(Error::caller("missing accessor").framed());
        }
        Ok(self.tokens.by_accessor(&accessor).await?)
    }
}

fn invalid_accessor() -> Error {
    Error::caller("invalid accessor").framed()
}

/// The caller's own id; empty where the pipeline has not handed it over.
fn presented<'a>(cx: &'a Ctx<'_>) -> &'a str {
    cx.caller.presented.as_ref().map_or("", |id| id.expose())
}

/// A text parameter; empty where it is not given.
fn text(fields: &Fields, name: &str) -> Result<String, Error> {
    Ok(fields.string(name)?.unwrap_or_default().into_owned())
}

/// A page of a list: what comes after, and how many at most.
fn page(fields: &Fields) -> Result<(Option<String>, usize), Error> {
    let after = Some(text(fields, "after")?).filter(|after| !after.is_empty());
    let limit = fields.int("limit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    Ok((after, limit.unwrap_or(usize::MAX)))
}

fn keys(names: &[String]) -> Result<Response, Error> {
    Response::keys(names)
}

const AFTER: Param = Param::input("after", Kind::String, "List what comes after this name.");
const LIMIT: Param = Param::input("limit", Kind::Int, "List so many at most.");
const TOKEN: Param = Param::input("token", Kind::String, "The token.");
const ACCESSOR: Param = Param::input("accessor", Kind::String, "The token's accessor.");
const INCREMENT: Param = Param::input("increment", Kind::Duration, "How long it should live from now on.");

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_mount::Router;

    #[test]
    fn the_table_makes_a_router() {
        let router = Router::new(&ROUTES);
        for route in &ROUTES {
            assert_eq!(router.find(route.path).map(|found| found.route.path), Some(route.path));
        }
    }
}
