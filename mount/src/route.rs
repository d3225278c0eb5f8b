//! Routes as data. From this table come dispatch, the warning about parameters that nobody knows, what the audit log may
//! show, OpenAPI and `?help=1`.

/// What a request wants done. Create and update are told apart by the pipeline, through the backend's existence check.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Operation {
    /// A write to what is not there yet.
    Create,
    /// GET.
    Read,
    /// A write to what is there, or a write where the backend makes no difference.
    Update,
    /// PATCH with a merge patch.
    Patch,
    /// DELETE.
    Delete,
    /// LIST, or GET with `?list=true`.
    List,
    /// SCAN: a list of the whole tree below.
    Scan,
}

impl Operation {
    /// The capability that a policy must grant, which is also the audit log's word.
    pub const fn name(self) -> &'static str {
        match self {
            Operation::Create => "create",
            Operation::Read => "read",
            Operation::Update => "update",
            Operation::Patch => "patch",
            Operation::Delete => "delete",
            Operation::List => "list",
            Operation::Scan => "scan",
        }
    }

    /// Whether parameters come from the query (true) or from the body (false).
    pub const fn by_query(self) -> bool {
        matches!(self, Operation::Read | Operation::Delete | Operation::List | Operation::Scan)
    }
}

/// Who may come this far at all, before policies are asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// A valid token whose policies grant the operation.
    Token,
    /// As `Token`, and the policies must grant `sudo` on the path too.
    Sudo,
    /// Anyone: logins and what is published.
    Unauthenticated,
}

/// The type of a parameter, and how weakly it is read (see [`crate::weak`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Text; numbers and booleans are taken as their text.
    String,
    /// A whole number; numeric text is taken.
    Int,
    /// true or false; Go's spellings, 1 and 0 are taken.
    Bool,
    /// A span in seconds; `30`, `"30"`, `"30s"`, `"1h30m"`, `"1d"` are taken.
    Duration,
    /// A list of strings; `"a,b"` is split.
    CommaList,
    /// A list of strings; one string is a list of one.
    List,
    /// An object of strings; `["k=v"]` and `"k=v"` are taken.
    KeyValues,
    /// An object.
    Map,
    /// A list of objects.
    Items,
    /// Anything at all.
    Any,
    /// An object of the caller's own: the audit log shows nothing of what comes or goes here in clear.
    Own,
}

/// Where a parameter may come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A segment of the path.
    Path,
    /// The query for reads, lists and deletes; else the body.
    Input,
}

/// One parameter of a route.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Its name in the path template, body or query.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Where it comes from.
    pub place: Place,
    /// One sentence, for OpenAPI and help.
    pub about: &'static str,
}

impl Param {
    /// A parameter of the body or query.
    pub const fn input(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Param { name, kind, place: Place::Input, about }
    }

    /// A segment of the path, named in the template.
    pub const fn path(name: &'static str, about: &'static str) -> Self {
        Param { name, kind: Kind::String, place: Place::Path, about }
    }
}

/// Lists of parameters in one list of `N`: for routes that share some of theirs.
pub const fn joined<const N: usize>(lists: &[&[Param]]) -> [Param; N] {
    let mut all = [Param::path("", ""); N];
    let (mut list, mut filled) = (0, 0);
    while list < lists.len() {
        let mut at = 0;
        while at < lists[list].len() {
            all[filled] = lists[list][at];
            (at, filled) = (at + 1, filled + 1);
        }
        list += 1;
    }
    // Tables are constants: a wrong number does not compile.
    assert!(filled == N, "the lists have another number of parameters");
    all
}

/// One operation that a route offers.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// The operation. `Update` stands for both create and update of a write.
    pub operation: Operation,
    /// Who may ask.
    pub access: Access,
    /// One sentence, for OpenAPI and help.
    pub about: &'static str,
}

impl Method {
    /// An operation for any token with the right policy.
    pub const fn new(operation: Operation, about: &'static str) -> Self {
        Method { operation, access: Access::Token, about }
    }

    /// The same with another access class.
    pub const fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }
}

/// One path template with its operations and parameters.
///
/// A template's segments are literal, `{name}` (one segment that is not empty), `{name?}` (may be left out, at the end
/// only) or `{name...}` (all the rest, at the end only, may hold `/`, not empty). A list route's template has no slash
/// at its end; the pipeline strips it from the path.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The template, below the mount: `keys/{name}/config`.
    pub path: &'static str,
    /// One sentence, for OpenAPI and help.
    pub about: &'static str,
    /// What can be done here.
    pub methods: &'static [Method],
    /// What it takes, path segments included.
    pub params: &'static [Param],
    /// Whether the body is the data itself (KV v1, cubbyhole): no parameter of it is unknown, or lost to a capture of
    /// the path, which the backend reads from the path instead.
    pub open: bool,
}

impl Route {
    /// Whether data of the caller's own goes through here.
    pub fn holds_own_data(&self) -> bool {
        self.open || self.params.iter().any(|param| param.kind == Kind::Own)
    }
}
