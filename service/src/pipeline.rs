//! One request, one way through: phase → resolve → authenticate → authorise → audit the request → dispatch → audit the
//! response → respond. Control comes back here after every step, and a step asks for the evidence of the one before.

use crate::audit::{Answered, Asked, Held, Mounted};
use crate::edge::{self, Upload};
use crate::mounts::Mount;
use crate::request::{Head, Verb};
use crate::respond::{Refusal, Reply, error_text};
use crate::sys::{help, standing};
use crate::{Live, Server};
use bytes::Bytes;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use strongroom_auth::Token;
use strongroom_auth::policies::Acl;
use strongroom_auth::tokens::Use;
use strongroom_mount::{
    Access, Blame, Caller, Ctx, Error, Fields, Method, Operation, Param, Presented, Request, Response, Route,
};
use tokio::time::Sleep;

/// The largest body of a request that needs no token.
const UNAUTHENTICATED_BODY: u64 = 256 << 10;

/// Conducts one request. Until it is whole nothing has happened, and it may be dropped; from then on it is finished, even
/// when its sender is told that it took too long.
pub(crate) async fn conduct(server: &Arc<Server>, head: Head, body: Upload) -> Reply {
    if let Some(post) = standing::find(&head) {
        return stand(server, head, body, post).await;
    }
    let Some(live) = server.phase.live() else {
        let done = head.verb == Verb::Write && head.path.as_str() == "sys/seal";
        return if done { Reply::empty(204) } else { Reply::refusal(&Refusal::sealed()) };
    };
    let Some(operation) = head.verb.operation() else {
        return Reply::refusal(&if head.verb == Verb::Head { Refusal::empty(405) } else { Refusal::bare(405) });
    };
    if let Err(refusal) = head.check_patch_type() {
        return Reply::refusal(&refusal);
    }
    let mut place = Place::resolve(&live, &head);
    let mut who = match authenticate(&live, &head, &place).await {
        Ok(who) => who,
        Err(error) => return failed(&error),
    };
    let end = body.end();
    let mut timer = std::pin::pin!(body.timer());
    let mut waited = false;
    let read = {
        let mut reading = std::pin::pin!(read(server, timer.as_mut(), &head, operation, &who, body));
        std::future::poll_fn(|cx| {
            let polled = reading.as_mut().poll(cx);
            waited |= polled.is_pending();
            polled
        })
        .await
    };
    let body = match read {
        Ok(body) => body,
        Err(refusal) => return Reply::refusal(&refusal),
    };
    if waited && body.is_some() {
        // What the caller was allowed when the head came may have been taken away while the body was on its way. Where
        // nobody wanted the body, what was refused stays refused: nothing is done without the parameters that were sent.
        place = Place::resolve(&live, &head);
        who = match authenticate(&live, &head, &place).await {
            Ok(who) => who,
            Err(error) => return failed(&error),
        };
    }
    timer.as_mut().reset(end);
    let work = edge::finish(async move { act(&live, &head, operation, &place, who, body).await });
    edge::limit(timer, work).await
}

/// A request that is whole.
async fn act(
    live: &Arc<Live>,
    head: &Head,
    operation: Operation,
    place: &Place,
    who: Who,
    body: Option<Bytes>,
) -> Reply {
    let input = Input::read(head, body);
    let (case, judged) = authorise(live, head, operation, place, &who, input).await;
    let Ok(admitted) = admit(live, head, place, &who, &case, judged).await else { return unaudited() };
    let (outcome, held) = dispatch(live, head, place, &who, &case, admitted).await;
    let outcome = outcome.map(|response| warn(response, place, &case));
    match account(live, place, held, &outcome).await {
        Ok(()) => respond(head, place, outcome),
        Err(NotAudited) => unaudited(),
    }
}

/// Where a path leads.
struct Place {
    mount: Option<Arc<Mount>>,
    /// Where in the request's path the path below the mount lies; that of a list has no slash at its end.
    below: Range<usize>,
    route: Option<Placed>,
}

/// A route of the mount, by its index, with what its template caught.
struct Placed {
    index: usize,
    route: &'static Route,
    /// Where in the request's path each capture lies.
    captures: Vec<(&'static str, Range<usize>)>,
}

impl Place {
    fn resolve(live: &Live, head: &Head) -> Place {
        let Some((mount, below)) = live.mounts.find(head.path.as_str()) else {
            return Place { mount: None, below: 0..0, route: None };
        };
        let below = match head.verb {
            Verb::List | Verb::Scan => below.strip_suffix('/').unwrap_or(below),
            _ => below,
        };
        let route = mount.router.find(below).map(|found| Placed {
            index: found.index,
            route: found.route,
            captures: found
                .captures
                .into_iter()
                .map(|(name, value)| (name, within(head.path.as_str(), value)))
                .collect(),
        });
        Place { below: within(head.path.as_str(), below), mount: Some(mount), route }
    }

    /// What the route offers for the operation.
    fn method(&self, operation: Operation) -> Option<&'static Method> {
        let wanted = if operation == Operation::Create { Operation::Update } else { operation };
        self.route.as_ref()?.route.methods.iter().find(|method| method.operation == wanted)
    }

    fn params(&self) -> &'static [Param] {
        self.route.as_ref().map_or(&[], |placed| placed.route.params)
    }

    fn is_for_everybody(&self, operation: Operation) -> bool {
        self.method(operation).is_some_and(|method| method.access == Access::Unauthenticated)
    }

    fn mounted(&self) -> Option<Mounted<'_>> {
        let entry = &self.mount.as_ref()?.entry;
        Some(Mounted {
            point: &entry.path,
            kind: &entry.kind,
            accessor: &entry.accessor,
            class: entry.class.name(),
            plain_request: entry.tuning.audit_non_hmac_request_keys.as_deref().unwrap_or_default(),
            plain_response: entry.tuning.audit_non_hmac_response_keys.as_deref().unwrap_or_default(),
            own_data: self.route.as_ref().is_some_and(|placed| placed.route.holds_own_data()),
        })
    }
}

/// Where `part`, which was cut out of `whole`, lies in it.
fn within(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

/// Who asks. A token that is not valid is nobody's.
struct Who {
    token: Option<(Arc<Token>, Arc<Acl>)>,
    /// Whether the route is for everybody.
    everybody: bool,
}

/// Looks the token up, with what its policies say. On a route for everybody a token that is not valid does no harm.
async fn authenticate(live: &Live, head: &Head, place: &Place) -> Result<Who, Error> {
    let everybody = head.verb.operation().is_some_and(|operation| place.is_for_everybody(operation));
    let Some(id) = &head.token else { return Ok(Who { token: None, everybody }) };
    match live.tokens.authenticate(id, Some(head.remote.ip())).await {
        Ok(token) => {
            let acl = live.policies.acl(&token.policies).await?;
            Ok(Who { token: Some((token, acl)), everybody })
        }
        Err(strongroom_auth::Error::Denied) => Ok(Who { token: None, everybody }),
        Err(error) => Err(error.into()),
    }
}

/// The body, where one is read at all: not of a read, not of nobody, and not of somebody whom the policies refuse whatever
/// the parameters are, unless it is short and comes at once, for the log.
async fn read(
    server: &Server,
    timer: Pin<&mut Sleep>,
    head: &Head,
    operation: Operation,
    who: &Who,
    body: Upload,
) -> Result<Option<Bytes>, Refusal> {
    if operation.by_query() || (who.token.is_none() && !who.everybody) {
        return Ok(None);
    }
    let limit = if who.token.is_some() { u64::MAX } else { UNAUTHENTICATED_BODY };
    let granted = || {
        let may = |operation| who.token.iter().any(|(_, acl)| acl.may(operation, head.path.as_str()));
        who.everybody || may(operation) || (operation == Operation::Update && may(Operation::Create))
    };
    body.read(server, timer, limit, granted).await
}

/// The parameters, or why there are none.
enum Input {
    Read(Fields),
    Unreadable(Error),
}

impl Input {
    fn read(head: &Head, body: Option<Bytes>) -> Input {
        match body {
            None => Input::Read(if head.verb.operation().is_some_and(Operation::by_query) {
                head.query_fields()
            } else {
                Fields::default()
            }),
            Some(body) => head.body_fields(body).map_or_else(Input::Unreadable, Input::Read),
        }
    }
}

/// A request as it is judged, logged and served.
struct Case {
    /// Told apart from an update by the backend.
    operation: Operation,
    caller: Caller,
    /// What the backend gets; the path captures among its fields.
    request: Option<Request>,
    /// Parameters of a request that leads nowhere, for the log.
    fields: Option<Fields>,
    /// Parameters that lost against the path.
    replaced: Vec<&'static str>,
}

/// Leave to dispatch: the policies grant it, and the route offers it. Made by [`authorise`] alone.
struct Leave(());

/// Evidence for [`dispatch`]: authorised, or known to be refused, and an audit device holds the entry. Made by [`admit`]
/// alone.
struct Admitted {
    held: Held,
    leave: Result<Leave, Error>,
}

/// No audit device could hold the entry: nothing may happen, and no answer may leave.
struct NotAudited;

/// Whether the caller may, and whether there is anything to do. A caller without rights hears the same of every path.
async fn authorise(
    live: &Live,
    head: &Head,
    operation: Operation,
    place: &Place,
    who: &Who,
    input: Input,
) -> (Case, Result<Leave, Error>) {
    let remote = Some(head.remote.ip());
    let presented = match &place.mount {
        Some(mount) if mount.entry.kind == "token" => head.token.as_ref().map(|id| Arc::new(Presented::new(id))),
        _ => None,
    };
    let caller = match &who.token {
        Some((token, acl)) => token.caller(remote, acl.is_root(), presented),
        None => Caller::nobody(remote),
    };
    let mut case = Case { operation, caller, request: None, fields: None, replaced: Vec::new() };
    let unreadable = match input {
        Input::Read(fields) => {
            case.put(head, place, fields);
            None
        }
        Input::Unreadable(error) => Some(error),
    };
    if who.everybody {
        let judged = unreadable.map_or_else(|| possible(head, place, operation), Err);
        return (case, judged);
    }
    let Some((_, acl)) = &who.token else {
        // One text for no token and for one that is not valid.
        return (case, Err(Error { framed: false, ..Error::denied() }));
    };
    if head.help {
        return (case, help_allowed(acl, place));
    }
    let mut verdict = case.decide(head, place, acl);
    if operation == Operation::Update && unreadable.is_none() {
        match case.exists(live, place).await {
            Ok(Some(false)) => {
                case.call_it(Operation::Create);
                verdict = case.decide(head, place, acl);
            }
            Ok(_) => {}
            Err(error) => {
                let update = verdict.is_ok();
                case.call_it(Operation::Create);
                let create = case.decide(head, place, acl).is_ok();
                case.call_it(Operation::Update);
                verdict = Err(if update || create { error } else { Error::denied() });
            }
        }
    }
    let judged = verdict.and_then(|()| unreadable.map_or_else(|| possible(head, place, operation), Err));
    (case, judged)
}

impl Case {
    /// Puts the captures of the path among the parameters.
    fn put(&mut self, head: &Head, place: &Place, mut fields: Fields) {
        let Some(placed) = &place.route else {
            self.fields = Some(fields);
            return;
        };
        let path = head.path.as_str();
        for (name, at) in placed.captures.iter().filter(|_| !placed.route.open) {
            if fields.capture(name, &path[at.clone()]) {
                self.replaced.push(name);
            }
        }
        self.request = Some(Request {
            operation: self.operation,
            route: placed.index,
            path: path[place.below.clone()].to_owned(),
            fields,
        });
    }

    fn call_it(&mut self, operation: Operation) {
        self.operation = operation;
        if let Some(request) = &mut self.request {
            request.operation = operation;
        }
    }

    fn fields(&self) -> Option<&Fields> {
        self.request.as_ref().map(|request| &request.fields).or(self.fields.as_ref())
    }

    /// What the policies say; notes whether they grant `sudo` here, and a page size that they impose.
    fn decide(&mut self, head: &Head, place: &Place, acl: &Acl) -> Result<(), Error> {
        let wrap = (head.wrap_ttl > 0).then(|| Duration::from_secs(head.wrap_ttl));
        let own = place.route.as_ref().is_some_and(|placed| placed.route.open);
        let in_path = |name: &str| {
            !own && place
                .params()
                .iter()
                .any(|param| param.place == strongroom_mount::route::Place::Path && param.name == name)
        };
        let parameters = self.fields().into_iter().flat_map(Fields::iter).filter(|(name, _)| !in_path(name));
        let decision = acl.decide(self.operation, head.path.as_str(), parameters, wrap);
        let (allowed, sudo, page) = (decision.allowed(), decision.sudo, decision.page);
        self.caller.sudo = sudo || acl.is_root();
        let needs_sudo = place.method(self.operation).is_some_and(|method| method.access == Access::Sudo);
        if !allowed || (needs_sudo && !self.caller.sudo) {
            return Err(Error::denied());
        }
        if let (Some(page), Some(request)) = (page, &mut self.request) {
            request.fields.capture("limit", &page.to_string());
        }
        Ok(())
    }

    /// Whether what a write names is there already.
    async fn exists(&self, live: &Live, place: &Place) -> Result<Option<bool>, Error> {
        match (&place.mount, &self.request, place.method(Operation::Update)) {
            (Some(mount), Some(request), Some(_)) => {
                mount.backend.exists(&context(live, mount, &self.caller), request).await
            }
            _ => Ok(None),
        }
    }
}

/// Whether the request leads anywhere.
fn possible(head: &Head, place: &Place, operation: Operation) -> Result<Leave, Error> {
    if place.mount.is_none() {
        let path = head.path.as_str();
        let text = format!("no handler for route {path:?}. route entry not found.");
        return Err(Error::caller(text).blame(Blame::Missing));
    }
    if matches!(head.verb, Verb::Write | Verb::Patch) && head.path.as_str().ends_with('/') {
        return Err(Error::caller("cannot write to a path ending in '/'"));
    }
    if head.help {
        return Ok(Leave(()));
    }
    if place.route.is_none() {
        return Err(Error::unsupported_path());
    }
    if place.method(operation).is_none() {
        // A list is a path of its own on the wire: one that ends in a slash.
        let listing = matches!(operation, Operation::List | Operation::Scan);
        return Err(if listing { Error::unsupported_path() } else { Error::unsupported_operation() });
    }
    if head.wrap_ttl > 0 {
        return Err(Error::caller("response wrapping is not offered: send the request without X-Vault-Wrap-TTL"));
    }
    Ok(Leave(()))
}

/// Help is for whoever may do something in the mount.
fn help_allowed(acl: &Acl, place: &Place) -> Result<Leave, Error> {
    match &place.mount {
        Some(mount) if acl.is_root() || acl.reaches(&mount.entry.path) => Ok(Leave(())),
        None if acl.is_root() => Err(Error::missing()),
        _ => Err(Error::denied()),
    }
}

/// Writes the request to the audit log.
async fn admit(
    live: &Live,
    head: &Head,
    place: &Place,
    who: &Who,
    case: &Case,
    judged: Result<Leave, Error>,
) -> Result<Admitted, NotAudited> {
    let error = judged.as_ref().err();
    let asked = Asked {
        time: live.clock.now(),
        id: &head.id,
        operation: if head.help { "help" } else { case.operation.name() },
        path: head.path.as_str(),
        mount: place.mounted(),
        fields: case.fields(),
        params: place.params(),
        caller: &case.caller,
        token: head.token.as_ref().map(|token| token.as_str()),
        token_type: who.token.as_ref().map_or("", |(token, _)| token.kind.name()),
        allowed: error.is_none_or(|error| error.blame != Blame::Denied),
        remote: head.remote,
        wrap_ttl: head.wrap_ttl,
        error: &error.map(error_text).unwrap_or_default(),
    };
    let held = live.audit.asked(&asked).await.map_err(|_| NotAudited)?;
    Ok(Admitted { held, leave: judged })
}

/// Does what there is leave for. What comes back with the outcome is what the audit log is still owed.
async fn dispatch(
    live: &Arc<Live>,
    head: &Head,
    place: &Place,
    who: &Who,
    case: &Case,
    admitted: Admitted,
) -> (Result<Response, Error>, Held) {
    let Admitted { held, leave } = admitted;
    let outcome = match leave {
        Ok(Leave(())) => perform(live, head, place, who, case).await,
        Err(error) => Err(error),
    };
    (outcome, held)
}

/// Does it. A token whose uses are counted pays before.
async fn perform(live: &Arc<Live>, head: &Head, place: &Place, who: &Who, case: &Case) -> Result<Response, Error> {
    let last = match &who.token {
        Some((token, _)) if !who.everybody => live.tokens.spend_use(token).await? == Use::Last,
        _ => false,
    };
    let result = match (&place.mount, &case.request) {
        (Some(mount), _) if head.help => Ok(help::of(mount, place.route.as_ref().map(|placed| placed.route))),
        (Some(mount), Some(request)) => serve(live, mount, case, request).await,
        // `possible` has seen that there is a mount and a route.
        _ => Err(Error::unsupported_path()),
    };
    if last
        && let Some((token, _)) = &who.token
        && let Err(error) = live.tokens.revoke(token.key).await
    {
        tracing::error!("a token after its last use is refused, and not removed yet: {error}");
    }
    result
}

async fn serve(live: &Live, mount: &Mount, case: &Case, request: &Request) -> Result<Response, Error> {
    let ctx = context(live, mount, &case.caller);
    let mut work = mount.backend.handle(&ctx, request);
    std::future::poll_fn(move |cx| match edge::poll_caught(work.as_mut(), cx) {
        Poll::Ready(Ok(result)) => Poll::Ready(result),
        Poll::Ready(Err(edge::Panicked)) => Poll::Ready(Err(Error::us("the backend panicked"))),
        Poll::Pending => Poll::Pending,
    })
    .await
}

fn context<'a>(live: &'a Live, mount: &'a Mount, caller: &'a Caller) -> Ctx<'a> {
    Ctx { view: &mount.view, caller, clock: &live.clock, mount: &mount.info }
}

/// Parameters that the route does not know, or that the path overruled, are worth a warning where there is a body.
fn warn(mut response: Response, place: &Place, case: &Case) -> Response {
    let empty = response.data.is_none() && response.auth.is_none() && response.warnings.is_empty();
    let (Some(placed), Some(request)) = (&place.route, &case.request) else { return response };
    if empty || response.bare || response.raw.is_some() {
        return response;
    }
    if !placed.route.open || case.operation.by_query() {
        let known = |name: &str| placed.route.params.iter().any(|param| param.name == name);
        let mut unknown: Vec<&str> = request.fields.iter().map(|(name, _)| name).filter(|name| !known(name)).collect();
        if !unknown.is_empty() {
            unknown.sort_unstable();
            let names = unknown.join(" ");
            response.warnings.push(format!("Endpoint ignored these unrecognized parameters: [{names}]"));
        }
    }
    if !case.replaced.is_empty() {
        let names = case.replaced.join(" ");
        response.warnings.push(format!(
            "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [{names}]"
        ));
    }
    response
}

/// Writes the response to the audit log.
async fn account(live: &Live, place: &Place, held: Held, outcome: &Result<Response, Error>) -> Result<(), NotAudited> {
    let answer = match outcome {
        Ok(response) => Answered {
            data: response.data.as_ref(),
            auth: response.auth.as_ref(),
            raw: response.raw.as_ref(),
            warnings: &response.warnings,
            error: "",
        },
        Err(error) => Answered { error: &error_text(error), ..Answered::default() },
    };
    live.audit.answered(held, place.mounted(), live.clock.now(), &answer).await.map_err(|_| NotAudited)
}

fn respond(head: &Head, place: &Place, outcome: Result<Response, Error>) -> Reply {
    match outcome {
        Ok(response) => {
            let kind = place.mount.as_ref().map_or("", |mount| mount.entry.kind.as_str());
            Reply::answer(&head.id, kind, response)
        }
        Err(error) => failed(&error),
    }
}

/// The reply to an error; what is wrong inside goes to the log.
fn failed(error: &Error) -> Reply {
    if let Some(detail) = &error.detail {
        match error.blame {
            Blame::Caller | Blame::Conflict | Blame::TooLarge => tracing::debug!(detail, "a request failed"),
            _ => tracing::error!(detail, "a request failed"),
        }
    }
    Reply::error(error)
}

fn unaudited() -> Reply {
    Reply::error(&Error::us("no audit device could hold the entry").framed())
}

/// A route that exists in every phase.
async fn stand(server: &Arc<Server>, head: Head, body: Upload, post: standing::Post) -> Reply {
    if !post.offers(head.verb) {
        return Reply::refusal(&if head.verb == Verb::Head { Refusal::empty(405) } else { Refusal::bare(405) });
    }
    let timer = std::pin::pin!(body.timer());
    let body = match body.read(server, timer, UNAUTHENTICATED_BODY, || true).await {
        Ok(body) => body.unwrap_or_default(),
        Err(refusal) => return Reply::refusal(&refusal),
    };
    // However long a device takes: what `sys/init` answers is never said twice.
    let server = server.clone();
    edge::finish(async move { standing::answer(&server, &head, body, post).await }).await
}
