//! The compiled form against a slow matcher that goes through all rules with the words of the language's description.

use std::cmp::Reverse;
use std::sync::Arc;

use proptest::prelude::*;
use strongroom_auth::policies::{Acl, Capabilities, Capability, Denial, Policy, PolicyName, Verdict};
use strongroom_clock::Timestamp;
use strongroom_mount::Operation::{self, Create, Delete, List, Patch, Read, Scan, Update};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

/// A rule as the generator makes it.
type Line = (String, Vec<Capability>);

/// Whether a path in a policy fits a path in a request.
fn fits(pattern: &str, path: &str) -> bool {
    if !has_plus(pattern) {
        return match pattern.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => path == pattern,
        };
    }
    let (pattern, open) = match pattern.strip_suffix('*') {
        Some(start) => (start, true),
        None => (pattern, false),
    };
    let wanted: Vec<&str> = pattern.split('/').collect();
    let given: Vec<&str> = path.split('/').collect();
    if given.len() < wanted.len() || (!open && given.len() > wanted.len()) {
        return false;
    }
    (0..wanted.len()).all(|at| {
        let last = at + 1 == wanted.len();
        wanted[at] == "+" || wanted[at] == given[at] || (open && last && given[at].starts_with(wanted[at]))
    })
}

fn has_plus(pattern: &str) -> bool {
    pattern == "+" || pattern.starts_with("+/") || pattern.contains("/+")
}

fn is_exact(pattern: &str) -> bool {
    !has_plus(pattern) && !pattern.ends_with('*')
}

/// The order of two patterns that both fit: the greater counts.
fn specificity(pattern: &str) -> (usize, bool, Reverse<usize>, usize, &str) {
    let stem = pattern.strip_suffix('*').unwrap_or(pattern);
    let literal = if has_plus(pattern) { pattern.find('+').unwrap() } else { stem.len() };
    let plusses = if has_plus(pattern) { stem.split('/').filter(|segment| *segment == "+").count() } else { 0 };
    (literal, !pattern.ends_with('*'), Reverse(plusses), stem.len(), stem)
}

/// What all rules on the one path that counts say together; `None` where none fits.
fn counts<'l>(lines: &'l [Line], path: &str, exact: bool) -> Option<(&'l str, Vec<Capability>)> {
    let fitting = lines
        .iter()
        .map(|(pattern, _)| pattern.as_str())
        .filter(|pattern| is_exact(pattern) == exact && fits(pattern, path));
    let best = fitting.max_by_key(|pattern| specificity(pattern))?;
    let granted = lines.iter().filter(|(pattern, _)| pattern == best).flat_map(|(_, capabilities)| capabilities);
    Some((best, granted.copied().collect()))
}

/// The decision in the reference's words: the path; for a list the path without its slash; the patterns on each.
fn reference<'l>(lines: &'l [Line], operation: Operation, path: &str) -> (Verdict, Option<&'l str>) {
    let path = path.trim_start_matches('/');
    let mut tries = vec![(path, true)];
    let shorter = path.strip_suffix('/').filter(|_| matches!(operation, List | Scan));
    tries.extend(shorter.map(|path| (path, true)));
    tries.push((path, false));
    tries.extend(shorter.map(|path| (path, false)));
    let Some((pattern, granted)) = tries.into_iter().find_map(|(path, exact)| counts(lines, path, exact)) else {
        return (Verdict::Denied(Denial::NoRule), None);
    };
    let verdict = if granted.contains(&Capability::Deny) {
        Verdict::Denied(Denial::Deny)
    } else if granted.contains(&Capability::from(operation)) {
        Verdict::Allowed
    } else {
        Verdict::Denied(Denial::Capability)
    };
    (verdict, Some(pattern))
}

fn segment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "ab", "abc", "", "a", "b"])
}

fn pattern() -> impl Strategy<Value = String> {
    let part = prop_oneof![3 => segment(), 2 => Just("+"), 1 => prop::sample::select(vec!["+a", "a+", "*", "a*b"])];
    let path = (prop::collection::vec(part, 1..5), prop::bool::weighted(0.4));
    path.prop_map(|(parts, open)| format!("{}{}", parts.join("/"), if open { "*" } else { "" }))
        .prop_filter("+* is refused, and one slash at the start is left out", |path| {
            !path.contains("+*") && !path.starts_with('/')
        })
}

fn lines() -> impl Strategy<Value = Vec<Vec<Line>>> {
    let capabilities = prop::collection::vec(prop::sample::select(Capability::ALL.to_vec()), 0..4)
        .prop_filter("deny is rarer", |capabilities| {
            !capabilities.contains(&Capability::Deny) || capabilities.len() > 2
        });
    prop::collection::vec(prop::collection::vec((pattern(), capabilities), 0..6), 1..4)
}

fn request_path() -> impl Strategy<Value = String> {
    let part = prop_oneof![6 => segment(), 1 => prop::sample::select(vec!["+", "*", "+a", "a*b", "abcd"])];
    (prop::collection::vec(part, 1..6), any::<bool>())
        .prop_map(|(parts, slash)| format!("{}{}", parts.join("/"), if slash { "/" } else { "" }))
}

fn print(lines: &[Line]) -> String {
    let rule = |(path, capabilities): &Line| {
        let names: Vec<_> = capabilities.iter().map(|capability| format!("{:?}", capability.name())).collect();
        format!("path {path:?} {{ capabilities = [{}] }}\n", names.join(", "))
    };
    lines.iter().map(rule).collect()
}

fn compile(policies: &[Vec<Line>]) -> Acl {
    let parse = |(at, lines): (usize, &Vec<Line>)| {
        Arc::new(Policy::parse(PolicyName::parse(&format!("p{at}")).unwrap(), &print(lines)).unwrap())
    };
    Acl::new(&policies.iter().enumerate().map(parse).collect::<Vec<_>>(), NOW).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_compiled_form_decides_as_the_slow_matcher(
        policies in lines(),
        paths in prop::collection::vec(request_path(), 8),
    ) {
        let acl = compile(&policies);
        let lines: Vec<Line> = policies.concat();
        for path in &paths {
            for operation in [Create, Read, Update, Patch, Delete, List, Scan] {
                let decision = acl.decide(operation, path, [], None);
                let (verdict, pattern) = reference(&lines, operation, path);
                prop_assert_eq!(&decision.verdict, &verdict, "{:?} {} under\n{}", operation, path, print(&lines));
                prop_assert_eq!(decision.grant.map(|grant| grant.path()), pattern, "{:?} {} under\n{}", operation, path, print(&lines));
                // Every policy named grants it, and every policy that grants it is named.
                let names: Vec<_> = decision.policies().map(str::to_owned).collect();
                let grants = |lines: &Vec<Line>| lines.iter().any(|(path, capabilities)| Some(path.as_str()) == pattern
                    && capabilities.contains(&Capability::from(operation)));
                let expected: Vec<_> = policies.iter().enumerate().filter(|(_, lines)| grants(lines)).map(|(at, _)| format!("p{at}")).collect();
                prop_assert_eq!(names, if verdict == Verdict::Allowed { expected } else { vec![] });
            }
            let listed = acl.capabilities(path);
            prop_assert!(listed.is_sorted() && !listed.is_empty());
            let (_, pattern) = reference(&lines, List, path);
            let united: Capabilities = lines.iter().filter(|(path, _)| Some(path.as_str()) == pattern).flat_map(|(_, capabilities)| capabilities.iter().copied()).collect();
            let expected: Vec<_> = united.iter().map(Capability::name).collect();
            prop_assert_eq!(listed, if expected.is_empty() { vec!["deny"] } else { expected });
        }
    }

    #[test]
    fn what_is_granted_below_a_mount_is_reached(policies in lines(), path in request_path(), operation in prop::sample::select(vec![Read, Update])) {
        let acl = compile(&policies);
        if let Some((mount, _)) = path.trim_start_matches('/').split_once('/') && acl.decide(operation, &path, [], None).allowed() {
            prop_assert!(acl.reaches(&format!("{mount}/")), "{}", path);
        }
    }

    #[test]
    fn a_printed_policy_parses_as_itself(policies in lines()) {
        for lines in policies {
            let policy = Policy::parse(PolicyName::parse("p").unwrap(), &print(&lines)).unwrap();
            let read: Vec<_> = policy.rules().iter().map(|rule| (rule.path.text().to_owned(), rule.capabilities)).collect();
            let expected: Vec<_> = lines.into_iter().map(|(path, capabilities)| (path, capabilities.into_iter().collect())).collect();
            prop_assert_eq!(read, expected);
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "[ -~\n]{0,80}", inner in "[a-z_ =\\[\\]{}\",*+0-9]{0,60}") {
        let name = || PolicyName::parse("p").unwrap();
        let _ = Policy::parse(name(), &text);
        if let Ok(policy) = Policy::parse(name(), &format!("path {text:?} {{ {inner} }}")) {
            let acl = Acl::new(&[Arc::new(policy)], NOW).unwrap();
            let _ = (acl.capabilities(&text), acl.decide(Update, &inner, [("a", "1")], None).allowed());
        }
    }
}
