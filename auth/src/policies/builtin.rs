//! The texts of the policies that are there from the start.

/// The text of the `default` policy of a new store. An operator may change it.
pub const DEFAULT_TEXT: &str = r#"# What every token may do with itself, unless it was made without the default policy.
# This policy may be changed, not deleted.

# Its own token: see it, keep it alive, give it up.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }

# What it may do on a path, and on all paths together.
path "sys/capabilities-self"        { capabilities = ["update"] }
path "sys/internal/ui/resultant-acl" { capabilities = ["read"] }

# The entity that it acts for.
path "identity/entity/id/{{identity.entity.id}}"     { capabilities = ["read"] }
path "identity/entity/name/{{identity.entity.name}}" { capabilities = ["read"] }

# A lease whose id it knows. The second path is the one that old clients use.
path "sys/leases/renew"  { capabilities = ["update"] }
path "sys/renew"         { capabilities = ["update"] }
path "sys/leases/lookup" { capabilities = ["update"] }

# Its own cubbyhole; nobody else sees it.
path "cubbyhole/*" { capabilities = ["create", "read", "update", "delete", "list"] }

# Responses wrapped in a token of single use.
path "sys/wrapping/wrap"   { capabilities = ["update"] }
path "sys/wrapping/lookup" { capabilities = ["update"] }
path "sys/wrapping/unwrap" { capabilities = ["update"] }

# Tools that touch no secret.
path "sys/tools/hash"   { capabilities = ["update"] }
path "sys/tools/hash/*" { capabilities = ["update"] }

# Where an OpenID Connect provider asks whether its user is signed in.
path "identity/oidc/provider/+/authorize" { capabilities = ["read", "update"] }
"#;

/// The text of the `response-wrapping` policy, which is fixed and cannot be given to a token by name.
pub const RESPONSE_WRAPPING_TEXT: &str = r#"# What the token that holds a wrapped response may do: take it out, once.
path "cubbyhole/response"  { capabilities = ["create", "read"] }
path "sys/wrapping/unwrap" { capabilities = ["update"] }
"#;
