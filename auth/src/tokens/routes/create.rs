//! `create`, `create-orphan`, `create/{role_name}`.

use std::sync::Arc;

use strongroom_mount::route::joined;
use strongroom_mount::{Access, Ctx, Error, Fields, Kind, Method, Operation, Param, Request, Response, Route, weak};
use zeroize::Zeroizing;

use super::super::cidr::Cidr;
use super::super::create::NewToken;
use super::super::id;
use super::super::role::{Role, RoleType};
use super::super::token::{Bound, Token, TokenType, Uses};
use super::super::ttl::lesser;
use super::policies::Asked;
use super::{TokenBackend, text};

pub(super) const CREATE: Route = Route {
    path: "create",
    about: "Make a token.",
    methods: &[Method::new(Operation::Update, "Make a token.")],
    params: PARAMS,
    open: false,
};

pub(super) const CREATE_ORPHAN: Route = Route {
    path: "create-orphan",
    about: "Make a token without a parent.",
    methods: &[Method::new(Operation::Update, "Make a token without a parent.").access(Access::Sudo)],
    params: PARAMS,
    open: false,
};

pub(super) const CREATE_ROLE: Route = Route {
    path: "create/{role_name}",
    about: "Make a token as a role says.",
    methods: &[Method::new(Operation::Update, "Make a token as a role says.")],
    params: &joined::<15>(&[&[Param::path("role_name", "The role.")], PARAMS]),
    open: false,
};

const PARAMS: &[Param] = &[
    Param::input("id", Kind::String, "An id of the caller's choice; needs sudo."),
    Param::input("policies", Kind::List, "Its policies; without any, the caller's."),
    Param::input("meta", Kind::KeyValues, "What is written on it."),
    Param::input("no_parent", Kind::Bool, "Make it an orphan; needs sudo."),
    Param::input("no_default_policy", Kind::Bool, "Leave out the default policy."),
    Param::input("renewable", Kind::Bool, "Whether it may be renewed; true unless said."),
    Param::input("ttl", Kind::Duration, "How long it should live."),
    Param::input("lease", Kind::Duration, "The old name of ttl."),
    Param::input("type", Kind::String, "service or batch."),
    Param::input("explicit_max_ttl", Kind::Duration, "What caps all its renewals."),
    Param::input("display_name", Kind::String, "How people call it."),
    Param::input("num_uses", Kind::Int, "How often it may be used; 0 for no limit."),
    Param::input("period", Kind::Duration, "What each renewal gives it, for ever; needs sudo."),
    Param::input("entity_alias", Kind::String, "The alias of the entity that it acts for; only with a role."),
];

const CHOSEN: &str = "A token ID that was chosen is only as hard to guess as whoever chose it made it: a token ID that the \
                      server makes has 107 random bits";

pub(super) async fn create_orphan(backend: &TokenBackend, cx: &Ctx<'_>, request: &Request) -> Result<Response, Error> {
    create(backend, cx, request, Some(Path::Orphan)).await
}

pub(super) async fn create_with_role(
    backend: &TokenBackend,
    cx: &Ctx<'_>,
    request: &Request,
) -> Result<Response, Error> {
    let name = text(&request.fields, "role_name")?;
    match backend.tokens.role(&name).await? {
        Some(role) => create(backend, cx, request, Some(Path::Role(name, role))).await,
        None => Err(Error::caller(format!("unknown role {name}"))),
    }
}

/// By which path a token is made, if not by the plain one.
pub(super) enum Path {
    Orphan,
    Role(String, Arc<Role>),
}

pub(super) async fn create(
    backend: &TokenBackend,
    cx: &Ctx<'_>,
    request: &Request,
    path: Option<Path>,
) -> Result<Response, Error> {
    let parent = backend.own(cx).await?;
    if parent.kind == TokenType::Batch {
        return Err(Error::caller("batch tokens cannot create more tokens"));
    }
    if parent.uses != Uses::Unlimited {
        return Err(Error::caller("restricted use token cannot generate child tokens"));
    }
    let sudo = cx.caller.sudo || parent.is_root();
    let mut warnings = Vec::new();
    let new = planned(&parent, sudo, cx, &request.fields, path.as_ref(), &mut warnings)?;
    for name in new.policies.iter().filter(|name| *name != "root") {
        if !backend.policies.exists(name).await? {
            warnings.push(format!("Policy {name:?} does not exist"));
        }
    }
    let made = backend.tokens.create(new, cx.mount.ttl).await?;
    warnings.extend(made.warnings);
    Ok(Response { warnings, ..Response::auth(made.auth) })
}

/// The token that the request asks for, as far as its maker may have it.
fn planned(
    parent: &Token,
    sudo: bool,
    cx: &Ctx<'_>,
    fields: &Fields,
    path: Option<&Path>,
    warnings: &mut Vec<String>,
) -> Result<NewToken, Error> {
    let role = match path {
        Some(Path::Role(_, role)) => Some(&**role),
        _ => None,
    };
    let kind = kind_of(&text(fields, "type")?, role)?;
    let chosen = Zeroizing::new(text(fields, "id")?);
    let no_parent = fields.bool("no_parent")?.unwrap_or(false);
    let uses = fields.int("num_uses")?.unwrap_or(0);
    let uses = u64::try_from(uses).map_err(|_| Error::caller("number of uses cannot be negative"))?;
    let asked_ttl = match span(fields, "ttl")? {
        0 => span(fields, "lease")?,
        ttl => ttl,
    };
    let asked_max = span(fields, "explicit_max_ttl")?;
    let asked_period = span(fields, "period")?;
    let alias = text(fields, "entity_alias")?;
    let metadata = fields.key_values("meta")?.unwrap_or_default();
    let renewable = fields.bool("renewable")?.unwrap_or(true) && role.is_none_or(|role| role.renewable);
    let no_default =
        fields.bool("no_default_policy")?.unwrap_or(false) || role.is_some_and(|role| role.no_default_policy);
    let asked = Asked::new(&fields.list("policies")?.unwrap_or_default(), no_default)?;

    if kind == TokenType::Batch {
        let given = [(asked_max, "explicit_max_ttl"), (uses, "num_uses"), (asked_period, "period")];
        if let Some((_, name)) = given.iter().find(|(value, _)| *value > 0) {
            return Err(Error::caller(format!("batch tokens cannot have {name:?} set")));
        }
    }
    if !chosen.is_empty() {
        if !sudo {
            return Err(Error::caller("root or sudo privileges required to specify token id"));
        }
        if let Some(why) = id::unfit_choice(&chosen) {
            return Err(Error::caller(why));
        }
    }
    if no_parent && !sudo {
        return Err(Error::caller("root or sudo privileges required to create orphan token"));
    }
    if asked_period > 0 && !sudo {
        return Err(Error::caller("root or sudo privileges required to create periodic token"));
    }
    check_alias(&alias, role)?;
    let policies = asked.granted(parent, sudo, role)?;
    if policies == ["root"] {
        if kind == TokenType::Batch {
            return Err(Error::caller("batch tokens cannot be root tokens"));
        }
        let ends = asked_ttl > 0 || asked_max > 0 || asked_period > 0;
        if parent.expires.is_some() && !ends && role.is_none_or(|role| role.period == 0 && role.explicit_max_ttl == 0) {
            return Err(Error::caller("expiring root tokens cannot create non-expiring root tokens"));
        }
    }
    if kind == TokenType::Batch && !chosen.is_empty() {
        return Err(Error::caller("batch tokens cannot have \"id\" set"));
    }

    let (role_max, role_period, role_uses) =
        role.map_or((0, 0, 0), |role| (role.explicit_max_ttl, role.period, role.num_uses));
    // A batch token cannot be renewed, so a role's rules of renewal do not apply to it.
    let (role_max, role_period, role_uses) =
        if kind == TokenType::Batch { (0, 0, 0) } else { (role_max, role_period, role_uses) };
    for (what, asked, role) in [("Explicit max TTL", asked_max, role_max), ("Period", asked_period, role_period)] {
        if asked > 0 && role > 0 && asked != role {
            let lesser = asked.min(role);
            warnings.push(format!(
                "{what} specified both during creation call and in role; using the lesser value of {lesser} seconds"
            ));
        }
    }
    if !chosen.is_empty() {
        warnings.push(CHOSEN.into());
    }
    let role_cidrs = role.map_or(&[][..], |role| &role.bound_cidrs);
    let cidrs: Vec<Cidr> = role_cidrs.iter().filter_map(|block| Cidr::parse(block)).collect();
    let orphan = no_parent || matches!(path, Some(Path::Orphan)) || role.is_some_and(|role| role.orphan);
    let mount = &cx.mount.path;
    Ok(NewToken {
        kind,
        id: (!chosen.is_empty()).then_some(chosen),
        parent: (!orphan).then_some(parent.key),
        policies,
        metadata,
        display_name: display_name(&text(fields, "display_name")?),
        path: match path {
            None => format!("{mount}create"),
            Some(Path::Orphan) => format!("{mount}create-orphan"),
            Some(Path::Role(name, role)) if role.path_suffix.is_empty() => format!("{mount}create/{name}"),
            Some(Path::Role(name, role)) => format!("{mount}create/{name}/{}", role.path_suffix),
        },
        role: if let Some(Path::Role(name, _)) = path { name.clone() } else { String::new() },
        entity_id: String::new(),
        // A token that may only be used from some places makes none that may be used from others.
        cidrs: if cidrs.is_empty() { parent.cidrs.clone() } else { cidrs },
        ttl: asked_ttl,
        explicit_max_ttl: Bound { in_force: lesser(asked_max, role_max), asked: asked_max },
        period: Bound { in_force: lesser(asked_period, role_period), asked: asked_period },
        num_uses: lesser(uses, role_uses),
        renewable,
    })
}

fn kind_of(asked: &str, role: Option<&Role>) -> Result<TokenType, Error> {
    let usual = match role.map(|role| role.token_type) {
        Some(RoleType::Service) => return Ok(TokenType::Service),
        Some(RoleType::Batch) => return Ok(TokenType::Batch),
        Some(RoleType::DefaultBatch) => TokenType::Batch,
        Some(RoleType::DefaultService) | None => TokenType::Service,
    };
    match asked {
        "" => Ok(usual),
        "service" => Ok(TokenType::Service),
        "batch" => Ok(TokenType::Batch),
        _ => Err(Error::caller("invalid 'token_type' value")),
    }
}

fn check_alias(alias: &str, role: Option<&Role>) -> Result<(), Error> {
    if alias.is_empty() {
        return Ok(());
    }
    let Some(role) = role else {
        return Err(Error::caller("'entity_alias' is only allowed in combination with token role"));
    };
    let alias = alias.to_lowercase();
    if !role.allowed_entity_aliases.iter().flatten().any(|allowed| *allowed == alias) {
        return Err(Error::caller("invalid 'entity_alias' value"));
    }
    Err(Error::caller("'entity_alias' cannot be used: this server keeps no entities yet"))
}

/// A span that clients send as text or number, where a mistake has its own words.
fn span(fields: &Fields, name: &str) -> Result<u64, Error> {
    // A list or an object is a mistake of type, in the words of all fields.
    fields.string(name)?;
    let Some(json) = fields.raw(name) else { return Ok(0) };
    weak::seconds(json).map_err(|_| {
        let text = weak::string(json).unwrap_or_default();
        if weak::parse_span(&text).is_some_and(|span| span < 0) {
            Error::caller(format!("{name} must be positive"))
        } else {
            Error::caller(format!("invalid duration in {name:?}: give seconds, or a span such as 30s or 1h30m"))
        }
    })
}

/// `token`, or `token-` and what the caller says with all but letters, digits and `-` made `-`.
fn display_name(asked: &str) -> String {
    let tidied: String = asked.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect();
    match tidied.trim_end_matches('-') {
        "" => "token".into(),
        name => format!("token-{name}"),
    }
}
