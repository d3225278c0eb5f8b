//! From a path below a mount to its route: a literal segment beats a capture, a capture beats the rest.

use crate::route::Route;
use std::collections::HashMap;

/// A table of routes, ready for matching.
pub struct Router {
    routes: &'static [Route],
    shapes: Vec<Vec<Segment>>,
    /// Routes by their first segment, where that is literal: a path is held against few of a long table.
    by_first: HashMap<&'static str, Vec<usize>>,
    /// Routes whose first segment is caught, and the one with none.
    others: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq)]
enum Segment {
    Literal(&'static str),
    One(&'static str),
    Optional(&'static str),
    Rest(&'static str),
}

/// A route, and what its captures caught.
pub struct Found<'a> {
    /// Index into the table that the router was made from.
    pub index: usize,
    /// The route itself.
    pub route: &'static Route,
    /// Captures by name, in the template's order.
    pub captures: Vec<(&'static str, &'a str)>,
}

impl Router {
    /// Prepares the table.
    ///
    /// # Panics
    /// When a template is malformed: an optional or rest capture before the end, or two templates of one shape. Tables
    /// are constants, and each backend's test makes its router.
    pub fn new(routes: &'static [Route]) -> Self {
        let shapes: Vec<Vec<Segment>> = routes.iter().map(|route| shape(route.path)).collect();
        for (index, one) in shapes.iter().enumerate() {
            assert!(
                !shapes[..index].iter().any(|other| same_shape(one, other)),
                "two routes of one shape: {}",
                routes[index].path
            );
        }
        let mut by_first: HashMap<&'static str, Vec<usize>> = HashMap::new();
        let mut others = Vec::new();
        for (index, shape) in shapes.iter().enumerate() {
            match shape.first() {
                Some(Segment::Literal(first)) => by_first.entry(first).or_default().push(index),
                _ => others.push(index),
            }
        }
        Router { routes, shapes, by_first, others }
    }

    /// The table.
    pub fn routes(&self) -> &'static [Route] {
        self.routes
    }

    /// The most literal route that fits `path` (no leading slash, no trailing slash).
    pub fn find<'a>(&self, path: &'a str) -> Option<Found<'a>> {
        let first = path.split('/').next().unwrap_or_default();
        let literal = self.by_first.get(first).map_or(&[][..], Vec::as_slice);
        let candidates = literal.iter().chain(&self.others);
        let ranked = candidates.filter_map(|&index| Some((rank(&self.shapes[index], path)?, index)));
        let (_, index) = ranked.min()?;
        Some(Found { index, route: &self.routes[index], captures: captures(&self.shapes[index], path) })
    }
}

fn shape(template: &'static str) -> Vec<Segment> {
    if template.is_empty() {
        return Vec::new();
    }
    let segments: Vec<Segment> = template
        .split('/')
        .map(|part| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            None => Segment::Literal(part),
            Some(name) => match (name.strip_suffix("..."), name.strip_suffix('?')) {
                (Some(name), _) => Segment::Rest(name),
                (_, Some(name)) => Segment::Optional(name),
                _ => Segment::One(name),
            },
        })
        .collect();
    assert!(segments.len() <= 32, "{template}: at most 32 segments");
    let mut ended = false;
    for segment in &segments {
        let ends = matches!(segment, Segment::Optional(_) | Segment::Rest(_));
        assert!(!ended || matches!(segment, Segment::Optional(_)), "{template}: nothing follows an open end");
        ended |= ends;
    }
    segments
}

fn same_shape(one: &[Segment], other: &[Segment]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(a, b)| match (a, b) {
            (Segment::Literal(a), Segment::Literal(b)) => a == b,
            _ => std::mem::discriminant(a) == std::mem::discriminant(b),
        })
}

/// Two bits per path segment, first segment highest, smaller where the template is more literal; `None` where it does
/// not fit. Templates have at most 32 segments.
fn rank(shape: &[Segment], path: &str) -> Option<u64> {
    let mut parts = split(path).peekable();
    let mut rank = 0;
    for (at, segment) in shape.iter().enumerate() {
        let literalness = match segment {
            Segment::Literal(text) => {
                if parts.next()? != *text {
                    return None;
                }
                0
            }
            Segment::One(_) => {
                if parts.next()?.is_empty() {
                    return None;
                }
                1
            }
            Segment::Optional(_) => match parts.next() {
                Some("") => return None,
                Some(_) => 2,
                None => 0,
            },
            Segment::Rest(_) => {
                if parts.peek()?.is_empty() {
                    return None;
                }
                return Some(rank | 3 << (62 - 2 * at));
            }
        };
        rank |= literalness << (62 - 2 * at);
    }
    parts.next().is_none().then_some(rank)
}

fn captures<'a>(shape: &[Segment], path: &'a str) -> Vec<(&'static str, &'a str)> {
    let mut rest = path;
    let mut caught = Vec::new();
    for segment in shape {
        let (part, tail) = rest.split_once('/').unwrap_or((rest, ""));
        match segment {
            Segment::Literal(_) => {}
            Segment::Rest(name) => caught.push((*name, rest)),
            Segment::One(name) => caught.push((*name, part)),
            Segment::Optional(name) if !part.is_empty() => caught.push((*name, part)),
            Segment::Optional(_) => {}
        }
        rest = tail;
    }
    caught
}

fn split(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').take(if path.is_empty() { 0 } else { usize::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Route;

    const fn route(path: &'static str) -> Route {
        Route { path, about: "", methods: &[], params: &[], open: false }
    }

    static ROUTES: [Route; 7] = [
        route("keys"),
        route("keys/{name}"),
        route("keys/{name}/config"),
        route("keys/list"),
        route("random/{source?}/{bytes?}"),
        route("data/{path...}"),
        route("{name}"),
    ];

    fn find(path: &str) -> Option<(&'static str, Vec<(&'static str, &str)>)> {
        Router::new(&ROUTES).find(path).map(|found| (found.route.path, found.captures))
    }

    #[test]
    fn the_most_literal_template_wins() {
        assert_eq!(find("keys"), Some(("keys", vec![])));
        assert_eq!(find("keys/a"), Some(("keys/{name}", vec![("name", "a")])));
        assert_eq!(find("keys/list"), Some(("keys/list", vec![])));
        assert_eq!(find("keys/list/config"), Some(("keys/{name}/config", vec![("name", "list")])));
        assert_eq!(find("other"), Some(("{name}", vec![("name", "other")])));
    }

    #[test]
    fn open_ends_catch_what_is_there() {
        assert_eq!(find("random"), Some(("random/{source?}/{bytes?}", vec![])));
        assert_eq!(find("random/all"), Some(("random/{source?}/{bytes?}", vec![("source", "all")])));
        assert_eq!(
            find("random/all/32"),
            Some(("random/{source?}/{bytes?}", vec![("source", "all"), ("bytes", "32")]))
        );
        assert_eq!(find("data/a/b/c"), Some(("data/{path...}", vec![("path", "a/b/c")])));
    }

    #[test]
    fn what_fits_nothing_is_found_nowhere() {
        for path in ["keys/a/b", "keys//config", "random/a/1/x", "data/", "", "keys/"] {
            assert_eq!(find(path), None, "{path}");
        }
    }
}
