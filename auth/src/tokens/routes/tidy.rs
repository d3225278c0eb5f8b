//! `tidy`.

use strongroom_mount::{Error, Method, Operation, Response, Route};

use super::{PER_TICK, TokenBackend};

pub(super) const TIDY: Route = Route {
    path: "tidy",
    about: "Take away what has expired now, rather than with the next tick.",
    methods: &[Method::new(Operation::Update, "Take away what has expired.")],
    params: &[],
    open: false,
};

/// There is nothing else to tidy: what belongs to a token changes in one commit.
pub(super) async fn tidy(backend: &TokenBackend) -> Result<Response, Error> {
    let expired = backend.tokens.expire_due(PER_TICK).await?;
    let rest = if expired.more { "; the rest follows within a minute" } else { "" };
    let answer =
        Response::none().warn(format!("Tidy operation done: {} expired tokens were removed{rest}", expired.removed));
    Ok(Response { status: Some(202), ..answer })
}
