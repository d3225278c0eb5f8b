//! Paths with `{{identity…}}` in them.
//!
//! A template is filled with what is known about the caller. Where a value is missing, or could mean more than one
//! segment's literal text, the whole rule is dropped for this caller: it never widens.

/// A path as a policy writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Template {
    /// A path without `{{…}}`.
    Plain(String),
    /// A path with at least one.
    Pieces(Pieces),
}

/// The parts of a path with `{{…}}` in it: what stands before the first, then each selector and what stands behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pieces {
    text: String,
    first: String,
    rest: Vec<(Selector, String)>,
}

/// What a template asks for. A group is known to a caller only if the caller is in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Selector {
    /// `identity.entity.id`
    EntityId,
    /// `identity.entity.name`
    EntityName,
    /// `identity.entity.metadata.KEY`
    EntityMetadata(String),
    /// `identity.entity.aliases.ACCESSOR.id`
    AliasId(String),
    /// `identity.entity.aliases.ACCESSOR.name`
    AliasName(String),
    /// `identity.entity.aliases.ACCESSOR.metadata.KEY`
    AliasMetadata(String, String),
    /// `identity.entity.aliases.ACCESSOR.custom_metadata.KEY`
    AliasCustomMetadata(String, String),
    /// `identity.groups.ids.ID.name`
    GroupName(String),
    /// `identity.groups.names.NAME.id`
    GroupId(String),
    /// `identity.groups.ids.ID.metadata.KEY`
    GroupMetadataById(String, String),
    /// `identity.groups.names.NAME.metadata.KEY`
    GroupMetadataByName(String, String),
    /// Anything else: nobody has a value for it, so its rule grants nothing.
    Unknown,
}

impl Template {
    /// The template in `path`; `None` if `{{` and `}}` do not pair.
    pub(super) fn parse(path: &str) -> Option<Template> {
        let mut parts = path.split("{{");
        let first = parts.next().unwrap_or_default();
        if first.contains("}}") {
            return None;
        }
        let piece = |part: &str| {
            let (selector, literal) = part.split_once("}}")?;
            (!literal.contains("}}")).then(|| (Selector::parse(selector.trim()), literal.to_owned()))
        };
        let rest: Vec<_> = parts.map(piece).collect::<Option<_>>()?;
        if rest.is_empty() {
            return Some(Template::Plain(path.to_owned()));
        }
        Some(Template::Pieces(Pieces { text: path.to_owned(), first: first.to_owned(), rest }))
    }

    /// The path as it is written.
    pub fn text(&self) -> &str {
        match self {
            Template::Plain(path) => path,
            Template::Pieces(pieces) => &pieces.text,
        }
    }

    /// The path with every selector replaced by what `known` says; `None` where it knows nothing, or nothing harmless.
    pub(super) fn fill(&self, known: &dyn Fn(&Selector) -> Option<String>) -> Option<String> {
        let pieces = match self {
            Template::Plain(path) => return Some(path.clone()),
            Template::Pieces(pieces) => pieces,
        };
        let mut path = pieces.first.clone();
        for (selector, literal) in &pieces.rest {
            let value = known(selector).filter(|value| is_harmless(value))?;
            path.push_str(&value);
            path.push_str(literal);
        }
        Some(path)
    }
}

impl Selector {
    fn parse(text: &str) -> Selector {
        Selector::known(text).unwrap_or(Selector::Unknown)
    }

    fn known(text: &str) -> Option<Selector> {
        let text = text.strip_prefix("identity.")?;
        if let Some(entity) = text.strip_prefix("entity.") {
            return match entity {
                "id" => Some(Selector::EntityId),
                "name" => Some(Selector::EntityName),
                _ => match entity.strip_prefix("aliases.") {
                    Some(alias) => Selector::alias(alias),
                    None => entity.strip_prefix("metadata.").map(|key| Selector::EntityMetadata(key.into())),
                },
            };
        }
        let (by, text) = text.strip_prefix("groups.")?.split_once('.')?;
        let (group, field) = text.split_once('.')?;
        let group = group.to_owned();
        match (by, field, field.strip_prefix("metadata.")) {
            ("ids", "name", _) => Some(Selector::GroupName(group)),
            ("names", "id", _) => Some(Selector::GroupId(group)),
            ("ids", _, Some(key)) => Some(Selector::GroupMetadataById(group, key.into())),
            ("names", _, Some(key)) => Some(Selector::GroupMetadataByName(group, key.into())),
            _ => None,
        }
    }

    fn alias(text: &str) -> Option<Selector> {
        let (accessor, field) = text.split_once('.')?;
        let accessor = accessor.to_owned();
        match field {
            "id" => Some(Selector::AliasId(accessor)),
            "name" => Some(Selector::AliasName(accessor)),
            _ => match (field.strip_prefix("metadata."), field.strip_prefix("custom_metadata.")) {
                (Some(key), _) => Some(Selector::AliasMetadata(accessor, key.into())),
                (_, Some(key)) => Some(Selector::AliasCustomMetadata(accessor, key.into())),
                _ => None,
            },
        }
    }
}

/// Whether a value stands for itself inside one segment of a path. Names come from outside: a user called `*` must not
/// turn a rule about one name into a rule about all (CVE-2026-71543).
fn is_harmless(value: &str) -> bool {
    let separates = |letter: char| matches!(letter, '*' | '+' | '/' | ',' | '{' | '}') || letter.is_control();
    !value.is_empty() && value != "." && value != ".." && !value.contains(separates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(path: &str, value: &str) -> Option<String> {
        Template::parse(path).unwrap().fill(&|_| Some(value.to_owned()))
    }

    #[test]
    fn selectors() {
        let table = [
            ("identity.entity.id", Selector::EntityId),
            ("identity.entity.name", Selector::EntityName),
            ("identity.entity.metadata.a.b", Selector::EntityMetadata("a.b".into())),
            ("identity.entity.aliases.acc.id", Selector::AliasId("acc".into())),
            ("identity.entity.aliases.acc.name", Selector::AliasName("acc".into())),
            ("identity.entity.aliases.acc.metadata.k", Selector::AliasMetadata("acc".into(), "k".into())),
            ("identity.entity.aliases.acc.custom_metadata.k", Selector::AliasCustomMetadata("acc".into(), "k".into())),
            ("identity.groups.ids.g.name", Selector::GroupName("g".into())),
            ("identity.groups.names.g.id", Selector::GroupId("g".into())),
            ("identity.groups.ids.g.metadata.k", Selector::GroupMetadataById("g".into(), "k".into())),
            ("identity.groups.names.g.metadata.k", Selector::GroupMetadataByName("g".into(), "k".into())),
            ("identity.entity.metadata", Selector::Unknown),
            ("identity.entity.groups.names", Selector::Unknown),
            ("identity.groups.ids.g", Selector::Unknown),
            ("identity.entity.aliases.acc", Selector::Unknown),
            ("identity", Selector::Unknown),
            ("time.now", Selector::Unknown),
            ("", Selector::Unknown),
        ];
        for (text, expected) in table {
            assert_eq!(Selector::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn braces_must_pair() {
        for path in ["a/{{", "a/}}", "{{a", "a}}", "{{a}}}}", "{{a{{b}}}}", "{{a}}/{{b"] {
            assert_eq!(Template::parse(path), None, "{path}");
        }
        for path in ["", "a/{b}", "a/{", "a/{{}}", "{{ identity.entity.id }}/x/{{identity.entity.name}}"] {
            assert!(Template::parse(path).is_some(), "{path}");
        }
    }

    #[test]
    fn filling() {
        assert_eq!(fill("a/{{identity.entity.id}}/*", "v").unwrap(), "a/v/*");
        assert_eq!(fill("{{ identity.entity.id }}{{identity.entity.name}}", "v w").unwrap(), "v wv w");
        assert_eq!(fill("plain", "*").unwrap(), "plain");
        let template = Template::parse("a/{{identity.entity.id}}/{{identity.entity.name}}").unwrap();
        let only_id = |selector: &Selector| (*selector == Selector::EntityId).then(|| "v".to_owned());
        assert_eq!(template.fill(&only_id), None);
    }

    #[test]
    fn a_value_that_would_widen_drops_the_rule() {
        for value in ["", "*", "a*", "+", "a+b", "/", "a/../b", "x,root", ".", "..", "a\nb", "{{identity.entity.id}}"] {
            assert_eq!(fill("a/{{identity.entity.id}}", value), None, "{value:?}");
        }
        for value in ["a.b", "...", "ünï", "a b", "user@example.com"] {
            assert!(fill("a/{{identity.entity.id}}", value).is_some(), "{value:?}");
        }
    }
}
