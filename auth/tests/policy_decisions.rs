//! What policies decide: tables from the recorded scenarios and from the rules of the language.

use std::sync::Arc;
use std::time::Duration;

use strongroom_auth::policies::{
    Acl, DEFAULT_TEXT, Denial, Policy, PolicyName, RESPONSE_WRAPPING_TEXT, Selector, Verdict,
};
use strongroom_clock::Timestamp;
use strongroom_mount::Operation::{self, Create, Delete, List, Patch, Read, Scan, Update};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

fn policy(name: &str, text: &str) -> Arc<Policy> {
    Arc::new(Policy::parse(PolicyName::parse(name).unwrap(), text).unwrap_or_else(|error| panic!("{text}: {error}")))
}

fn acl(texts: &[&str]) -> Acl {
    let policies: Vec<_> = texts.iter().enumerate().map(|(at, text)| policy(&format!("p{at}"), text)).collect();
    Acl::new(&policies, NOW).unwrap()
}

fn allows(acl: &Acl, operation: Operation, path: &str) -> bool {
    acl.decide(operation, path, [], None).allowed()
}

fn denial(acl: &Acl, operation: Operation, path: &str, given: &[(&str, &str)]) -> Option<Denial> {
    match acl.decide(operation, path, given.iter().copied(), None).verdict {
        Verdict::Denied(denial) => Some(denial),
        _ => None,
    }
}

#[test]
fn capabilities_as_recorded() {
    let acl = acl(&[
        "path \"secret/a\" { capabilities = [\"read\",\"list\",\"create\",\"update\",\"delete\",\"patch\"] }\n\
         path \"secret/b/*\" { capabilities = [\"read\"] }\npath \"secret/b/deny\" { capabilities = [\"deny\",\"read\"] }\n\
         path \"secret/+/x\" { capabilities = [\"list\"] }\npath \"sudo/path\" { capabilities = [\"sudo\",\"update\"] }",
        "path \"secret/b/*\" { capabilities = [\"update\"] }\npath \"secret/b/deny\" { capabilities = [\"update\"] }",
        DEFAULT_TEXT,
    ]);
    let table: [(&str, &[&str]); 11] = [
        ("secret/a", &["create", "delete", "list", "patch", "read", "update"]),
        ("/secret/a", &["create", "delete", "list", "patch", "read", "update"]),
        ("secret/b/x", &["read", "update"]),
        ("secret/b/", &["read", "update"]),
        ("secret/b/deny", &["deny"]),
        ("secret/zz/x", &["list"]),
        ("other", &["deny"]),
        ("sudo/path", &["sudo", "update"]),
        ("auth/token/lookup-self", &["read"]),
        ("cubbyhole/x", &["create", "delete", "list", "read", "update"]),
        ("", &["deny"]),
    ];
    for (path, expected) in table {
        assert_eq!(acl.capabilities(path), expected, "{path}");
    }
    assert_eq!(Acl::root().capabilities("sys/seal"), ["root"]);
}

#[test]
fn enforcement_as_recorded() {
    let acl = acl(&["path \"sys/policies/acl/*\" { capabilities = [\"read\"] }\n\
        path \"sys/policies/acl/wire-a\" { capabilities = [\"deny\"] }\n\
        path \"sys/policies/+/wire-b64\" { capabilities = [\"list\"] }\n\
        path \"sys/policies/acl\" { capabilities = [\"list\"] }"]);
    assert!(allows(&acl, Read, "sys/policies/acl/wire-legacy"));
    assert!(!allows(&acl, Read, "sys/policies/acl/wire-a"));
    assert!(!allows(&acl, Update, "sys/policies/acl/wire-legacy"));
    assert!(allows(&acl, List, "sys/policies/acl/"));
    assert!(!allows(&acl, Read, "sys/mounts"));
    assert_eq!(denial(&acl, Read, "sys/policies/acl/wire-a", &[]), Some(Denial::Deny));
    assert_eq!(denial(&acl, Update, "sys/policies/acl/wire-legacy", &[]), Some(Denial::Capability));
    assert_eq!(denial(&acl, Read, "sys/mounts", &[]), Some(Denial::NoRule));
}

/// Each rule grants one capability; the table says which rule counts for a path.
#[test]
fn the_most_specific_rule_counts() {
    let rule = |path: &str, capability: &str| format!("path \"{path}\" {{ capabilities = [\"{capability}\"] }}\n");
    let table: [(&[&str], &str, usize); 16] = [
        // The path itself beats every pattern.
        (&["a/b", "a/*", "a/+"], "a/b", 0),
        // The longest literal start.
        (&["a/*", "a/b*", "a/bc*"], "a/bcd", 2),
        (&["a/*", "a/b*"], "a/c", 0),
        (&["*", "a/*"], "b", 0),
        (&["a/+/c", "a/b*"], "a/b/c", 1),
        (&["+/b/c", "a/+/c"], "a/b/c", 1),
        (&["a/+/c/d", "a/b/+/d"], "a/b/c/d", 1),
        // Then without `*`.
        (&["a/+/c*", "a/+/c"], "a/b/c", 1),
        (&["a/*", "a/+"], "a/b", 1),
        (&["a/*", "a/+/c"], "a/b/c", 1),
        // Then fewer `+`.
        (&["a/+/+/d", "a/+/c/d"], "a/b/c/d", 1),
        // Then the longer.
        (&["a/+/*", "a/+/c*"], "a/b/cd", 1),
        // `+` is one segment, not several and not none.
        (&["a/*", "a/+/c"], "a/b/b/c", 0),
        (&["*", "a/+/c"], "a/c", 0),
        // A `*` inside stands for itself.
        (&["*", "a/*/c"], "a/b/c", 0),
        (&["*", "a/*/c"], "a/*/c", 1),
    ];
    let capabilities = ["read", "update", "delete"];
    for (paths, path, counts) in table {
        for backwards in [false, true] {
            let mut rules: Vec<_> =
                paths.iter().zip(capabilities).map(|(path, capability)| rule(path, capability)).collect();
            if backwards {
                rules.reverse();
            }
            let acl = acl(&[&rules.concat()]);
            assert_eq!(acl.capabilities(path), [capabilities[counts]], "{paths:?} on {path}");
            let decision = acl.decide(Read, path, [], None);
            assert_eq!(decision.grant.unwrap().path(), paths[counts]);
        }
    }
}

#[test]
fn a_list_falls_back_to_the_path_without_its_slash() {
    let table = [
        ("path \"foo\" { capabilities = [\"list\"] }", "foo/", true),
        ("path \"foo/\" { capabilities = [\"list\"] }", "foo/", true),
        ("path \"foo/\" { capabilities = [\"list\"] }", "foo", false),
        ("path \"foo/\" { capabilities = [\"deny\"] } path \"foo\" { capabilities = [\"list\"] }", "foo/", false),
        ("path \"foo\" { capabilities = [\"deny\"] } path \"*\" { capabilities = [\"list\"] }", "foo/", false),
        ("path \"+\" { capabilities = [\"list\"] }", "foo/", true),
        ("path \"fo*\" { capabilities = [\"list\"] }", "foo/", true),
        ("path \"a/+\" { capabilities = [\"list\"] }", "a/b/", true),
        ("path \"a/b\" { capabilities = [\"list\"] } path \"a/b/*\" { capabilities = [\"deny\"] }", "a/b/", true),
    ];
    for (text, path, expected) in table {
        assert_eq!(allows(&acl(&[text]), List, path), expected, "{text}");
        assert_eq!(allows(&acl(&[&text.replace("list", "scan")]), Scan, path), expected, "{text}");
    }
    let read = acl(&["path \"foo\" { capabilities = [\"read\"] }"]);
    assert!(!allows(&read, Read, "foo/"), "a read does not fall back");
}

#[test]
fn deny_beats_everything_on_an_equal_path_in_any_order() {
    let grant = "path \"x\" { capabilities = [\"read\", \"sudo\"] }";
    let deny = "path \"x\" { capabilities = [\"deny\"] }";
    for texts in [[grant, deny], [deny, grant]] {
        let acl = acl(&texts);
        let decision = acl.decide(Read, "x", [], None);
        assert_eq!(decision.verdict, Verdict::Denied(Denial::Deny));
        assert!(!decision.sudo);
        assert_eq!(acl.capabilities("x"), ["deny"]);
    }
    let wide = acl(&["path \"x/*\" { capabilities = [\"deny\"] }", "path \"x/y\" { capabilities = [\"read\"] }"]);
    assert!(allows(&wide, Read, "x/y"), "the exact path beats the denied pattern");
}

#[test]
fn each_operation_needs_its_own_capability() {
    for operation in [Create, Read, Update, Patch, Delete, List, Scan] {
        let acl = acl(&[&format!("path \"x\" {{ capabilities = [\"{}\"] }}", operation.name())]);
        for asked in [Create, Read, Update, Patch, Delete, List, Scan] {
            assert_eq!(allows(&acl, asked, "x"), asked == operation, "{operation:?} {asked:?}");
        }
    }
    let sudo = acl(&["path \"x\" { capabilities = [\"sudo\", \"read\"] }"]);
    assert!(sudo.decide(Read, "x", [], None).sudo);
    assert!(!allows(&sudo, Update, "x"), "sudo grants no operation");
}

#[test]
fn an_empty_rule_hides_the_patterns_behind_it() {
    let acl = acl(&["path \"a/b\" {}", "path \"a/*\" { capabilities = [\"read\"] }"]);
    assert_eq!(denial(&acl, Read, "a/b", &[]), Some(Denial::Capability));
    assert_eq!(acl.capabilities("a/b"), ["deny"]);
    assert!(allows(&acl, Read, "a/c"));
}

#[test]
fn root_is_everything_and_stands_alone() {
    let root = policy("root", "");
    let acl = Acl::new(std::slice::from_ref(&root), NOW).unwrap();
    assert!(acl.is_root());
    let decision = acl.decide(Update, "sys/seal", [], None);
    assert_eq!((decision.verdict.clone(), decision.sudo, decision.grant), (Verdict::Root, true, None));
    assert_eq!(decision.policies().collect::<Vec<_>>(), ["root"]);
    assert!(acl.reaches("any/"));
    let error = Acl::new(&[root, policy("p", "")], NOW).unwrap_err();
    assert_eq!(error.to_string(), "other policies present along with root");
    assert!(!allows(&Acl::new(&[], NOW).unwrap(), Read, "x"));
}

#[test]
fn the_granting_policies_are_named() {
    let acl = acl(&[
        "path \"x\" { capabilities = [\"read\"] } path \"x\" { capabilities = [\"update\"] }",
        "path \"x\" { capabilities = [\"read\", \"list\"] }",
    ]);
    let names = |operation| acl.decide(operation, "x", [], None).policies().collect::<Vec<_>>().join(" ");
    assert_eq!(names(Read), "p0 p1");
    assert_eq!(names(Update), "p0");
    assert_eq!(names(Delete), "");
}

#[test]
fn parameters() {
    let given = |text: &str| -> Vec<(String, String)> {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
        object.into_iter().map(|(name, value)| (name, value.to_string())).collect()
    };
    let required = |name: &str| Some(Denial::ParameterRequired(name.into()));
    let denied = |name: &str| Some(Denial::ParameterDenied(name.into()));
    let not_allowed = |name: &str| Some(Denial::ParameterNotAllowed(name.into()));
    let table = [
        ("allowed_parameters = { a = [\"1\",\"2\"] }", r#"{}"#, None),
        ("allowed_parameters = { a = [\"1\",\"2\"] }", r#"{"a":"1"}"#, None),
        ("allowed_parameters = { a = [\"1\",\"2\"] }", r#"{"A":"2"}"#, None),
        ("allowed_parameters = { a = [\"1\",\"2\"] }", r#"{"a":"3"}"#, not_allowed("a")),
        ("allowed_parameters = { a = [\"1\",\"2\"] }", r#"{"a":1}"#, not_allowed("a")),
        ("allowed_parameters = { a = [\"1\",\"2\"] }", r#"{"b":"1"}"#, not_allowed("b")),
        ("allowed_parameters = { a = [\"1\"] \"*\" = [] }", r#"{"b":"1","a":"1"}"#, None),
        ("allowed_parameters = { a = [\"1\"] \"*\" = [] }", r#"{"a":"2"}"#, not_allowed("a")),
        ("allowed_parameters = { \"*\" = [] }", r#"{"b":{}}"#, None),
        ("allowed_parameters = {}", r#"{"b":1}"#, None),
        ("allowed_parameters = { a = [] }", r#"{"a":[1]}"#, None),
        ("allowed_parameters = { a = [1, 1.5, true] }", r#"{"a":1}"#, None),
        ("allowed_parameters = { a = [1, 1.5, true] }", r#"{"a":1.5}"#, None),
        ("allowed_parameters = { a = [1, 1.5, true] }", r#"{"a":true}"#, None),
        ("allowed_parameters = { a = [1, 1.5, true] }", r#"{"a":"true"}"#, not_allowed("a")),
        ("allowed_parameters = { a = [[\"x\",\"y\"]] }", r#"{"a":["x","y"]}"#, None),
        ("allowed_parameters = { a = [[\"x\",\"y\"]] }", r#"{"a":["x"]}"#, not_allowed("a")),
        ("allowed_parameters = { a = [{ k = \"v\" }] }", r#"{"a":{"k":"v"}}"#, None),
        ("allowed_parameters = { a = [\"web-*\"] }", r#"{"a":"web-1"}"#, None),
        ("allowed_parameters = { a = [\"*-web\"] }", r#"{"a":"my-web"}"#, None),
        ("allowed_parameters = { a = [\"*web*\"] }", r#"{"a":"my-web-1"}"#, None),
        ("allowed_parameters = { a = [\"web-*\"] }", r#"{"a":"my-web-1"}"#, not_allowed("a")),
        ("allowed_parameters = { a = [\"*\"] }", r#"{"a":"x"}"#, not_allowed("a")),
        ("allowed_parameters = { a = [\"*\"] }", r#"{"a":"*"}"#, None),
        ("allowed_parameters = { a = [\"\\u00e9\"] }", "{\"a\":\"\\u00e9\"}", None),
        ("denied_parameters = { b = [] }", r#"{"a":1}"#, None),
        ("denied_parameters = { b = [] }", r#"{"b":null}"#, denied("b")),
        ("denied_parameters = { b = [] }", r#"{"B":1}"#, denied("B")),
        ("denied_parameters = { \"*\" = [] }", r#"{"a":1}"#, denied("a")),
        ("denied_parameters = { \"*\" = [] }", r#"{}"#, None),
        ("denied_parameters = { b = [\"x\"] }", r#"{"b":"y"}"#, None),
        ("denied_parameters = { b = [\"x\"] }", r#"{"b":"x"}"#, denied("b")),
        ("denied_parameters = { b = [\"x*\"] }", r#"{"b":"xy"}"#, denied("b")),
        // What a weak reader takes for the same is denied as well.
        ("denied_parameters = { b = [1] }", r#"{"b":"1"}"#, denied("b")),
        ("denied_parameters = { b = [\"1\"] }", r#"{"b":1}"#, denied("b")),
        ("denied_parameters = { b = [true] }", r#"{"b":"true"}"#, denied("b")),
        ("denied_parameters = { b = [true] }", r#"{"b":1}"#, denied("b")),
        ("denied_parameters = { b = [true] }", r#"{"b":false}"#, None),
        ("denied_parameters = { b = [\"1\"] }", r#"{"b":"true"}"#, None),
        ("denied_parameters = { b = [\"1\"] }", r#"{"b":true}"#, denied("b")),
        ("denied_parameters = { b = [] } allowed_parameters = { b = [] }", r#"{"b":1}"#, denied("b")),
        ("required_parameters = [\"C\"]", r#"{}"#, required("c")),
        ("required_parameters = [\"C\"]", r#"{"c":null}"#, required("c")),
        ("required_parameters = [\"C\"]", r#"{"C":1}"#, required("c")),
        ("required_parameters = [\"C\"]", r#"{"c":1}"#, None),
    ];
    for (attributes, body, expected) in table {
        let acl = acl(&[&format!(
            "path \"x\" {{ capabilities = [\"create\",\"read\",\"update\",\"patch\",\"delete\"] {attributes} }}"
        )]);
        let given = given(body);
        let given: Vec<_> = given.iter().map(|(name, json)| (name.as_str(), json.as_str())).collect();
        for operation in [Create, Read, Update, Patch] {
            assert_eq!(denial(&acl, operation, "x", &given), expected, "{attributes} {body}");
        }
        assert_eq!(denial(&acl, Delete, "x", &given), None, "a delete has no parameters to check");
    }
    let denies = acl(&["path \"x\" { capabilities = [\"read\"] denied_parameters = { b = [\"x\"] } }"]);
    assert_eq!(denial(&denies, Read, "x", &[("b", "no json")]), denied("b"));
    let allows = acl(&["path \"x\" { capabilities = [\"read\"] allowed_parameters = { b = [\"x\"] } }"]);
    assert_eq!(denial(&allows, Read, "x", &[("b", "no json")]), not_allowed("b"));
}

#[test]
fn restrictions_of_several_policies_add_up_and_values_are_united() {
    let rule = |attributes: &str| format!("path \"x\" {{ capabilities = [\"update\"] {attributes} }}");
    let free = rule("");
    let texts = [
        rule("allowed_parameters = { a = [\"1\"] } required_parameters = [\"r\"]"),
        rule("allowed_parameters = { a = [\"2\"] b = [] } denied_parameters = { d = [\"1\"] }"),
        rule("denied_parameters = { d = [] } required_parameters = [\"s\"]"),
    ];
    let acl = acl(&[&free, &texts[0], &texts[1], &texts[2]]);
    let ok = [("r", "1"), ("s", "1")];
    assert_eq!(denial(&acl, Update, "x", &ok), Some(Denial::ParameterNotAllowed("r".into())));
    let limits = acl.grants()[0].limits().unwrap();
    assert_eq!(limits.required, ["r", "s"]);
    let names = |parameters: &strongroom_auth::policies::Parameters| {
        parameters.iter().map(|(name, values)| format!("{name}:{}", values.len())).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&limits.allowed), "a:2 b:0");
    assert_eq!(names(&limits.denied), "d:0");
}

#[test]
fn wrapping_times() {
    let acl = acl(&[
        "path \"x\" { capabilities = [\"read\"] min_wrapping_ttl = \"20s\" max_wrapping_ttl = \"2m\" }",
        "path \"x\" { capabilities = [\"read\"] min_wrapping_ttl = \"10s\" max_wrapping_ttl = \"1m\" }",
        "path \"impossible\" { capabilities = [\"read\"] min_wrapping_ttl = \"20s\" }",
        "path \"impossible\" { capabilities = [\"read\"] max_wrapping_ttl = \"10s\" }",
    ]);
    let allowed = |path, seconds: Option<u64>| acl.decide(Read, path, [], seconds.map(Duration::from_secs)).allowed();
    for (seconds, expected) in [(None, false), (Some(9), false), (Some(10), true), (Some(60), true), (Some(61), false)]
    {
        assert_eq!(allowed("x", seconds), expected, "{seconds:?}");
    }
    for seconds in [None, Some(5), Some(10), Some(15), Some(20), Some(30)] {
        assert!(!allowed("impossible", seconds), "{seconds:?}");
    }
    assert_eq!(denial(&acl, Read, "x", &[]), Some(Denial::WrappingTtl));
}

#[test]
fn page_sizes() {
    let two = acl(&[
        "path \"x\" { capabilities = [\"list\"] pagination_limit = 100 }",
        "path \"x\" { capabilities = [\"list\"] pagination_limit = 50 }",
        "path \"must\" { capabilities = [\"list\"] pagination_limit = 50 required_parameters = [\"limit\"] }",
        "path \"free\" { capabilities = [\"list\"] }",
    ]);
    let page = |path, given: &[(&'static str, &'static str)]| {
        let decision = two.decide(List, path, given.iter().copied(), None);
        decision.allowed().then_some(decision.page)
    };
    type Row<'r> = (&'r str, &'r [(&'static str, &'static str)], Option<Option<u64>>);
    let table: [Row<'_>; 11] = [
        ("x/", &[], Some(Some(50))),
        ("x/", &[("limit", "10")], Some(Some(10))),
        ("x/", &[("limit", "\"10\"")], Some(Some(10))),
        ("x/", &[("limit", "0")], Some(Some(50))),
        ("x/", &[("limit", "\"max\"")], Some(Some(50))),
        ("x/", &[("limit", "51")], None),
        ("x/", &[("limit", "-1")], None),
        ("x/", &[("limit", "[]")], None),
        ("must/", &[], None),
        ("must/", &[("limit", "\"max\"")], Some(Some(50))),
        ("free/", &[("limit", "1000")], Some(None)),
    ];
    for (path, given, expected) in table {
        assert_eq!(page(path, given), expected, "{path} {given:?}");
    }
    assert_eq!(denial(&two, List, "x/", &[("limit", "51")]), Some(Denial::PageTooLarge));
}

#[test]
fn a_rule_ends_at_its_expiration() {
    let policies = [policy(
        "p",
        "path \"a\" { capabilities = [\"read\"] expiration = 1800000010 }\n\
         path \"b\" { capabilities = [\"read\"] expiration = 1800000020 }\n\
         path \"c\" { capabilities = [\"read\"] expiration = 1800000000 }\npath \"d\" { capabilities = [\"read\"] }",
    )];
    let at = |seconds| Acl::new(&policies, Timestamp::from_unix(seconds)).unwrap();
    let open =
        |acl: &Acl| ["a", "b", "c", "d"].iter().filter(|path| allows(acl, Read, path)).copied().collect::<String>();
    assert_eq!(
        (open(&at(1_800_000_000)).as_str(), at(1_800_000_000).good_until()),
        ("abd", Some(Timestamp::from_unix(1_800_000_010)))
    );
    assert_eq!(
        (open(&at(1_800_000_010)).as_str(), at(1_800_000_010).good_until()),
        ("bd", Some(Timestamp::from_unix(1_800_000_020)))
    );
    assert_eq!((open(&at(1_800_000_020)).as_str(), at(1_800_000_020).good_until()), ("d", None));
}

#[test]
fn templates_are_filled_or_their_rule_is_dropped() {
    let policies = [policy(
        "p",
        "path \"u/{{identity.entity.name}}/*\" { capabilities = [\"read\"] }\npath \"plain\" { capabilities = [\"read\"] }\n\
         path \"{{ identity.entity.nonsense }}\" { capabilities = [\"read\"] }",
    )];
    let named = |name: &'static str| {
        let known = move |selector: &Selector| (*selector == Selector::EntityName).then(|| name.to_owned());
        Acl::for_identity(&policies, NOW, &known).unwrap()
    };
    assert!(allows(&named("ada"), Read, "u/ada/x"));
    assert!(!allows(&named("ada"), Read, "u/eve/x"));
    assert_eq!(named("ada").grants()[0].path(), "u/ada/*");
    let unknown = Acl::new(&policies, NOW).unwrap();
    assert!(allows(&unknown, Read, "plain"));
    assert_eq!(unknown.grants().len(), 1);
    // A-063: names that would mean more than themselves.
    for name in ["*", "+", "a/../b", "x,root", "", ".."] {
        let acl = named(name);
        assert_eq!(acl.grants().len(), 1, "{name}");
        for path in ["u/ada/x", "u/+/x", "u/*/x", "u//x", "u/x", "u/a/../b/x"] {
            assert!(!allows(&acl, Read, path), "{name} {path}");
        }
    }
}

#[test]
fn the_default_policy_grants_what_clients_expect_and_no_more() {
    let policies = [policy("default", DEFAULT_TEXT)];
    let known = |selector: &Selector| match selector {
        Selector::EntityId => Some("e-1".to_owned()),
        Selector::EntityName => Some("ada".to_owned()),
        _ => None,
    };
    let acl = Acl::for_identity(&policies, NOW, &known).unwrap();
    let granted = [
        (Read, "auth/token/lookup-self"),
        (Update, "auth/token/renew-self"),
        (Update, "auth/token/revoke-self"),
        (Update, "sys/capabilities-self"),
        (Read, "identity/entity/id/e-1"),
        (Read, "identity/entity/name/ada"),
        (Read, "sys/internal/ui/resultant-acl"),
        (Update, "sys/leases/renew"),
        (Update, "sys/renew"),
        (Update, "sys/leases/lookup"),
        (Create, "cubbyhole/x"),
        (List, "cubbyhole/"),
        (Update, "sys/wrapping/wrap"),
        (Update, "sys/wrapping/lookup"),
        (Update, "sys/wrapping/unwrap"),
        (Update, "sys/tools/hash"),
        (Update, "sys/tools/hash/sha2-256"),
        (Update, "identity/oidc/provider/default/authorize"),
    ];
    for (operation, path) in granted {
        assert!(allows(&acl, operation, path), "{operation:?} {path}");
    }
    let refused = [
        (Read, "sys/capabilities-self"),
        (Update, "auth/token/create"),
        (Update, "auth/token/lookup"),
        (Read, "identity/entity/id/e-2"),
        (Update, "sys/leases/renew/x"),
        (Update, "sys/tools/random"),
        (Read, "secret/x"),
        (Patch, "cubbyhole/x"),
        (List, "sys/policies/acl/"),
    ];
    for (operation, path) in refused {
        assert!(!allows(&acl, operation, path), "{operation:?} {path}");
    }
    let wrapping = acl_of("response-wrapping", RESPONSE_WRAPPING_TEXT);
    assert!(allows(&wrapping, Read, "cubbyhole/response"));
    assert!(allows(&wrapping, Update, "sys/wrapping/unwrap"));
    assert!(!allows(&wrapping, Read, "cubbyhole/other"));
}

fn acl_of(name: &str, text: &str) -> Acl {
    Acl::new(&[policy(name, text)], NOW).unwrap()
}

#[test]
fn what_is_reached_below_a_mount() {
    let table = [
        ("secret/a", "secret/", true),
        ("secret/*", "secret/", true),
        ("secret", "secret/", false),
        ("sec*", "secret/", true),
        ("*", "secret/", true),
        ("secret/+/x", "secret/", true),
        ("+/x", "secret/", true),
        ("+", "secret/", false),
        ("+/x", "a/b/", false),
        ("a/+/x", "a/b/", true),
        ("a/+/x", "b/", false),
        ("a/+/xy*", "a/b/xyz/", true),
        ("a/+/xy*", "a/b/zz/", false),
        ("other/x", "secret/", false),
    ];
    for (path, mount, expected) in table {
        let text = format!("path \"{path}\" {{ capabilities = [\"read\"] }}");
        assert_eq!(acl(&[&text]).reaches(mount), expected, "{path} {mount}");
        assert!(!acl(&[&text.replace("read", "deny")]).reaches(mount), "{path} {mount}");
        assert!(!acl(&[&text.replace("\"read\"", "")]).reaches(mount), "{path} {mount}");
    }
}
