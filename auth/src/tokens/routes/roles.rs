//! `roles`, `roles/{role_name}`.

use strongroom_mount::{Error, Fields, Kind, Method, Object, Operation, Param, Request, Response, Route};

use super::super::cidr::Cidr;
use super::super::role::{Role, RoleType, is_role_name};
use super::{AFTER, LIMIT, TokenBackend, keys, page, text};
use crate::policies::PolicyName;

pub(super) const LIST: Route = Route {
    path: "roles",
    about: "The names of all roles.",
    methods: &[Method::new(Operation::List, "List roles.")],
    params: &[AFTER, LIMIT],
    open: false,
};

pub(super) const ROLE: Route = Route {
    path: "roles/{role_name}",
    about: "What tokens made through a role are like.",
    methods: &[
        Method::new(Operation::Read, "Read a role."),
        Method::new(Operation::Update, "Write a role; what is not given stays as it is."),
        Method::new(Operation::Delete, "Delete a role."),
    ],
    params: &[
        Param::path("role_name", "The role."),
        Param::input(
            "allowed_policies",
            Kind::CommaList,
            "Policies that its tokens may have, instead of their maker's.",
        ),
        Param::input("disallowed_policies", Kind::CommaList, "Policies that its tokens may not have."),
        Param::input("allowed_policies_glob", Kind::CommaList, "As allowed_policies, with * for any text."),
        Param::input("disallowed_policies_glob", Kind::CommaList, "As disallowed_policies, with * for any text."),
        Param::input("allowed_entity_aliases", Kind::CommaList, "Aliases of entities that its tokens may act for."),
        Param::input("orphan", Kind::Bool, "Whether its tokens have no parent."),
        Param::input("renewable", Kind::Bool, "Whether its tokens may be renewed; true unless said."),
        Param::input("path_suffix", Kind::String, "What the path of its tokens ends in."),
        Param::input("token_period", Kind::Duration, "What each renewal gives its tokens, for ever."),
        Param::input("token_explicit_max_ttl", Kind::Duration, "What caps all renewals of its tokens."),
        Param::input("token_bound_cidrs", Kind::CommaList, "Where its tokens may be used from."),
        Param::input("token_no_default_policy", Kind::Bool, "Leave out the default policy."),
        Param::input("token_num_uses", Kind::Int, "How often its tokens may be used; 0 for no limit."),
        Param::input("token_type", Kind::String, "service, batch, default-service or default-batch."),
        Param::input("period", Kind::Duration, "The old name of token_period."),
        Param::input("explicit_max_ttl", Kind::Duration, "The old name of token_explicit_max_ttl."),
        Param::input("bound_cidrs", Kind::CommaList, "The old name of token_bound_cidrs."),
    ],
    open: false,
};

pub(super) async fn list(backend: &TokenBackend, request: &Request) -> Result<Response, Error> {
    let (after, limit) = page(&request.fields)?;
    keys(&backend.tokens.role_names(after.as_deref(), limit).await?)
}

pub(super) async fn read(backend: &TokenBackend, request: &Request) -> Result<Response, Error> {
    let name = text(&request.fields, "role_name")?;
    let role = backend.tokens.role(&name).await?.ok_or_else(Error::missing)?;
    Ok(Response::data(describe(&name, &role)))
}

pub(super) async fn delete(backend: &TokenBackend, request: &Request) -> Result<Response, Error> {
    let name = text(&request.fields, "role_name")?;
    if is_role_name(&name) {
        backend.tokens.delete_role(&name).await?;
    }
    Ok(Response::none())
}

pub(super) async fn write(backend: &TokenBackend, request: &Request) -> Result<Response, Error> {
    let name = text(&request.fields, "role_name")?;
    if !is_role_name(&name) {
        return Err(Error::unsupported_path());
    }
    let before = backend.tokens.role(&name).await?;
    let role = written(before.map(|role| (*role).clone()).unwrap_or_default(), &request.fields)?;
    backend.tokens.put_role(&name, &role).await?;
    Ok(Response::none())
}

/// The role with what the request gives in place of what it had.
fn written(mut role: Role, fields: &Fields) -> Result<Role, Error> {
    for (name, policies) in [
        ("allowed_policies", &mut role.allowed_policies),
        ("disallowed_policies", &mut role.disallowed_policies),
        ("allowed_policies_glob", &mut role.allowed_policies_glob),
        ("disallowed_policies_glob", &mut role.disallowed_policies_glob),
    ] {
        if let Some(given) = fields.comma_list(name)? {
            let given: Result<Vec<_>, _> = given.iter().map(|policy| PolicyName::parse(policy)).collect();
            *policies = given?.iter().map(|policy| policy.as_str().to_owned()).collect();
            policies.sort();
            policies.dedup();
        }
    }
    if let Some(aliases) = fields.comma_list("allowed_entity_aliases")? {
        role.allowed_entity_aliases = Some(aliases.iter().map(|alias| alias.to_lowercase()).collect());
    }
    role.orphan = fields.bool("orphan")?.unwrap_or(role.orphan);
    role.renewable = fields.bool("renewable")?.unwrap_or(role.renewable);
    role.no_default_policy = fields.bool("token_no_default_policy")?.unwrap_or(role.no_default_policy);
    if let Some(suffix) = fields.string("path_suffix")? {
        if !is_path_suffix(&suffix) {
            let text = "given role path suffix contains invalid characters; must match \\w[\\w-.]+\\w";
            return Err(Error::caller(text));
        }
        role.path_suffix = suffix.into_owned();
    }
    if let Some((period, old)) = renamed(fields, "token_period", "period", Fields::seconds)? {
        (role.period, role.old_period) = (period, old);
    }
    if let Some((max, old)) = renamed(fields, "token_explicit_max_ttl", "explicit_max_ttl", Fields::seconds)? {
        (role.explicit_max_ttl, role.old_explicit_max_ttl) = (max, old);
    }
    if let Some((blocks, old)) = renamed(fields, "token_bound_cidrs", "bound_cidrs", Fields::comma_list)? {
        if let Some(wrong) = blocks.iter().find(|block| Cidr::parse(block).is_none()) {
            return Err(Error::caller(format!("{wrong:?} is neither an address nor a CIDR block")));
        }
        (role.bound_cidrs, role.old_bound_cidrs) = (blocks, old);
    }
    if let Some(uses) = fields.int("token_num_uses")? {
        role.num_uses = u64::try_from(uses).map_err(|_| Error::caller("'token_num_uses' cannot be negative"))?;
    }
    if let Some(kind) = fields.string("token_type")? {
        let unknown = || Error::caller(format!("invalid 'token_type' value {kind:?}"));
        role.token_type = RoleType::parse(&kind).ok_or_else(unknown)?;
    }
    check_batch(&role)?;
    Ok(role)
}

/// A role that makes only batch tokens says nothing that a batch token cannot have.
fn check_batch(role: &Role) -> Result<(), Error> {
    let wrong = [
        (!role.orphan, "non-orphan tokens"),
        (role.renewable, "renewable tokens"),
        (role.period > 0, "periodic tokens"),
        (role.explicit_max_ttl > 0, "tokens with an explicit max TTL"),
        (role.num_uses > 0, "tokens with limited use count"),
    ];
    match wrong.iter().find(|(wrong, _)| *wrong) {
        Some((_, what)) if role.token_type == RoleType::Batch => {
            Err(Error::caller(format!("'token_type' cannot be 'batch' when role is set to generate {what}")))
        }
        _ => Ok(()),
    }
}

/// A parameter that has an old name; the new one wins. Says whether it came under the old one.
fn renamed<T>(
    fields: &Fields,
    name: &str,
    old: &str,
    read: impl for<'a> Fn(&'a Fields, &str) -> Result<Option<T>, Error>,
) -> Result<Option<(T, bool)>, Error> {
    if let Some(value) = read(fields, name)? {
        return Ok(Some((value, false)));
    }
    Ok(read(fields, old)?.map(|value| (value, true)))
}

/// Letters, digits and `_` at both ends, and between them also `-` and `.`; nothing at all takes the suffix away.
fn is_path_suffix(text: &str) -> bool {
    text.is_empty() || (text.len() >= 3 && is_role_name(text) && !text.contains('@'))
}

fn describe(name: &str, role: &Role) -> Object {
    let if_old = |old: bool, value: u64| if old { value } else { 0 };
    Object::with_capacity(512, |data| {
        match &role.allowed_entity_aliases {
            Some(aliases) => data.strings("allowed_entity_aliases", aliases.iter().map(String::as_str)),
            None => data.null("allowed_entity_aliases"),
        }
        data.value("allowed_policies", &role.allowed_policies);
        data.value("allowed_policies_glob", &role.allowed_policies_glob);
        if role.old_bound_cidrs {
            data.value("bound_cidrs", &role.bound_cidrs);
        }
        data.value("disallowed_policies", &role.disallowed_policies);
        data.value("disallowed_policies_glob", &role.disallowed_policies_glob);
        data.value("explicit_max_ttl", &if_old(role.old_explicit_max_ttl, role.explicit_max_ttl));
        data.string("name", name);
        data.value("orphan", &role.orphan);
        data.string("path_suffix", &role.path_suffix);
        data.value("period", &if_old(role.old_period, role.period));
        data.value("renewable", &role.renewable);
        if !role.bound_cidrs.is_empty() {
            data.value("token_bound_cidrs", &role.bound_cidrs);
        }
        data.value("token_explicit_max_ttl", &role.explicit_max_ttl);
        data.value("token_no_default_policy", &role.no_default_policy);
        if role.num_uses > 0 {
            data.value("token_num_uses", &role.num_uses);
        }
        data.value("token_period", &role.period);
        data.string("token_type", role.token_type.name());
    })
}
