//! What a policy's text may say, and the words with which one is refused.

use std::time::Duration;

use strongroom_auth::policies::{Capability, Limits, Policy, PolicyName, Rule, text_of};
use strongroom_clock::Timestamp;

fn parse(text: &str) -> Result<Policy, String> {
    Policy::parse(PolicyName::parse("test").unwrap(), text).map_err(|error| error.to_string())
}

/// Rules in one line: path, capabilities.
fn outline(text: &str) -> String {
    let rule = |rule: &Rule| {
        let names: Vec<_> = rule.capabilities.iter().map(Capability::name).collect();
        format!("{}={}", rule.path.text(), names.join(","))
    };
    let policy = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    policy.rules().iter().map(rule).collect::<Vec<_>>().join(" ")
}

fn limits(attributes: &str) -> Limits {
    parse(&format!("path \"x\" {{ {attributes} }}")).unwrap().rules()[0].limits.clone()
}

#[test]
fn texts_that_are_accepted() {
    let table = [
        ("# nothing\n", ""),
        ("", ""),
        ("{}", ""),
        ("name = \"other\"\npath \"a\" { capabilities = [\"read\"] }", "a=read"),
        (
            "# comment\npath \"secret/data/*\" {\n  capabilities = [\"create\", \"read\"]\n}\n",
            "secret/data/*=create,read",
        ),
        ("{\"path\":{\"secret/*\":{\"capabilities\":[\"read\",\"list\"]}}}", "secret/*=list,read"),
        ("{\"path\":[{\"a\":{\"capabilities\":[\"read\"]}},{\"b\":{\"policy\":\"deny\"}}]}", "a=read b=deny"),
        ("{\"path\":{\"a\":{\"allowed_parameters\":{\"x\":[]}}}}", "a="),
        ("path \"x/+/y\" { capabilities = [\"deny\"] }", "x/+/y=deny"),
        ("path \"x\" { capabilities = [\"read\"] }\npath \"x\" { capabilities = [\"list\"] }", "x=read x=list"),
        ("path \"x\" { capabilities = [\"deny\", \"read\"] }", "x=deny"),
        (
            "path \"x\" { capabilities = [\"scan\",\"update\",\"sudo\",\"read\",\"patch\",\"list\",\"delete\",\"create\"] }",
            "x=create,delete,list,patch,read,scan,sudo,update",
        ),
        ("path \"x/*\" { policy = \"read\" }", "x/*=list,read"),
        ("path \"x/*\" { policy = \"write\" }", "x/*=create,delete,list,read,update"),
        ("path \"x/*\" { policy = \"sudo\" }", "x/*=create,delete,list,read,sudo,update"),
        ("path \"x/*\" { policy = \"deny\" capabilities = [\"read\"] }", "x/*=deny"),
        ("path \"x/*\" { policy = \"read\" capabilities = [\"update\"] }", "x/*=list,read,update"),
        ("path \"x\" { comment = \"why\" capabilities = [] }", "x="),
        ("path \"x\" { mfa_methods = [] list_scan_response_keys_filter_path = \"\" }", "x="),
        ("path \"secret/${user}\" {}", "secret/${user}="),
        ("path \"a\" { capabilities = [\"read\"], }, path \"b\" {}", "a=read b="),
    ];
    for (text, expected) in table {
        assert_eq!(outline(text), expected, "{text}");
    }
}

#[test]
fn texts_that_are_refused() {
    let table = [
        // The texts that clients know, whole.
        ("path \"x\" { capabilities = [\"fly\"] }", "failed to parse policy: path \"x\": invalid capability \"fly\""),
        ("path \"x/*\" { policy = \"fly\" }", "failed to parse policy: path \"x/*\": invalid policy \"fly\""),
        (
            "path \"x/+*\" { capabilities = [\"read\"] }",
            "failed to parse policy: path \"x/+*\": invalid use of wildcards ('+*' is forbidden)",
        ),
        (
            "path \"x/*\" { min_wrapping_ttl = \"2m\"\n max_wrapping_ttl = \"1m\" }",
            "failed to parse policy: max_wrapping_ttl cannot be less than min_wrapping_ttl",
        ),
        // Ours, with what clients match on inside.
        (
            "path \"x\" {",
            "failed to parse policy: At 1:11: expected a name, a string or the '}' that closes the '{' at 1:10, found the end of the text",
        ),
        (
            "path \"x\" { capability = [\"read\"] }",
            "failed to parse policy: path \"x\": At 1:12: invalid key \"capability\", did you mean \"capabilities\"?",
        ),
        (
            "paths \"x\" { capabilities = [\"read\"] }",
            "failed to parse policy: At 1:1: invalid key \"paths\", did you mean \"path\"?",
        ),
        ("{\"path\":", "failed to parse policy: At 1:9: expected a JSON value, found the end of the text"),
        (
            "{\"path\":{\"x\":{\"capabilities\":[\"read\"]}}",
            "failed to parse policy: At 1:40: expected ',' or '}' in a JSON object",
        ),
        ("{\"path\":\"x\"}", "failed to parse policy: At 1:9: \"path\" must be an object, not a string"),
        ("path = \"x\"", "failed to parse policy: At 1:8: \"path\" must be a block, not a string"),
        ("path {}", "failed to parse policy: At 1:1: \"path\" takes 1 labels, not 0"),
        ("path \"x\" \"y\" {}", "failed to parse policy: At 1:1: \"path\" takes 1 labels, not 2"),
        (
            "path \"x\" { capabilities = \"read\" }",
            "failed to parse policy: path \"x\": At 1:27: \"capabilities\" must be a list of strings, not a string",
        ),
        (
            "path \"x\" { capabilities = [\"read\"] capabilities = [\"list\"] }",
            "failed to parse policy: path \"x\": At 1:36: the argument \"capabilities\" was already set; each argument can only be defined once",
        ),
        (
            "path \"x/{{identity\" {}",
            "failed to parse policy: path \"x/{{identity\": failed to validate policy templating: unbalanced templating characters",
        ),
        (
            "path \"x\" { min_wrapping_ttl = \"soon\" }",
            "failed to parse policy: path \"x\": At 1:31: \"min_wrapping_ttl\" must be a duration such as 3600, \"90s\" or \"1h30m\", not a string",
        ),
        (
            "path \"x\" { expiration = \"soon\" }",
            "failed to parse policy: path \"x\": invalid expiration time: write RFC 3339, as \"2030-01-31T12:00:00Z\", or seconds since 1970",
        ),
        (
            "path \"x\" { pagination_limit = -1 }",
            "failed to parse policy: path \"x\": At 1:31: \"pagination_limit\" must not be negative",
        ),
        (
            "path \"x\" { allowed_parameters = { \"a\" = \"1\" } }",
            "failed to parse policy: path \"x\": At 1:41: allowed_parameters: the values of \"a\" must be a list",
        ),
        (
            "path \"x\" { denied_parameters = { \"a\" = [] \"A\" = [] } }",
            "failed to parse policy: path \"x\": At 1:43: denied_parameters: \"A\" is there twice, case does not count",
        ),
        (
            "path \"x\" { denied_parameters = { \"a\" = [] \"a\" = [] } }",
            "failed to parse policy: path \"x\": At 1:43: the argument \"a\" was already set; each argument can only be defined once",
        ),
        (
            "path \"x\" { allowed_parameters = { \"a\" = [1e999] } }",
            "failed to parse policy: path \"x\": At 1:42: allowed_parameters: a number does not fit",
        ),
        (
            "path \"x\" { mfa_methods = [\"m\"] }",
            "failed to parse policy: path \"x\": mfa_methods is not supported by this server, which would grant the path without it; remove the rule or the key",
        ),
        (
            "path \"x\" { control_group = { ttl = \"1h\" } }",
            "failed to parse policy: path \"x\": control_group is not supported by this server, which would grant the path without it; remove the rule or the key",
        ),
        (
            "path \"x\" { control_group {} }",
            "failed to parse policy: path \"x\": control_group is not supported by this server, which would grant the path without it; remove the rule or the key",
        ),
        (
            "path \"x\" { capabilities = [\"list\"] list_scan_response_keys_filter_path = \"{{ .path }}\" }",
            "failed to parse policy: path \"x\": list_scan_response_keys_filter_path is not supported by this server, which would grant the path without it; remove the rule or the key",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(parse(text).expect_err(text), expected, "{text}");
    }
}

#[test]
fn limits_are_read() {
    let read = limits(
        "allowed_parameters = { \"A\" = [\"1\", 2, true] \"*\" = [] } denied_parameters = { b = [] }\n\
         required_parameters = [\"C\", \"c\"] min_wrapping_ttl = \"10s\" max_wrapping_ttl = 60 pagination_limit = 100",
    );
    let allowed: Vec<_> = read
        .allowed
        .iter()
        .map(|(name, values)| (name, values.iter().map(|value| value.json().to_string()).collect::<Vec<_>>().join(" ")))
        .collect();
    assert_eq!(allowed, [("*", String::new()), ("a", "\"1\" 2 true".into())]);
    assert_eq!(read.denied.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["b"]);
    assert_eq!(read.required, ["c"]);
    assert_eq!(read.min_wrapping_ttl, Some(Duration::from_secs(10)));
    assert_eq!(read.max_wrapping_ttl, Some(Duration::from_secs(60)));
    assert_eq!(read.page, Some(100));
    assert!(limits("min_wrapping_ttl = 0 max_wrapping_ttl = \"0s\" pagination_limit = 0").is_empty());
}

#[test]
fn expiration_is_read() {
    let ends = |text: &str| parse(&format!("path \"x\" {{ expiration = {text} }}")).unwrap().rules()[0].expiration;
    let moment = Timestamp::from_unix(1_900_000_000);
    assert_eq!(ends("\"2030-03-17T17:46:40Z\""), Some(moment));
    assert_eq!(ends("1900000000"), Some(moment));
    assert_eq!(ends("\"1900000000\""), Some(moment));
    assert_eq!(ends("\"\""), None);
}

#[test]
fn a_template_is_seen() {
    assert!(parse("path \"a\" {} path \"b/{{identity.entity.id}}\" {}").unwrap().is_templated());
    assert!(!parse("path \"a/{b}\" {}").unwrap().is_templated());
}

#[test]
fn the_parameter_may_be_base64() {
    assert_eq!(
        text_of("cGF0aCAieCIgeyBjYXBhYmlsaXRpZXMgPSBbInJlYWQiXSB9").unwrap(),
        "path \"x\" { capabilities = [\"read\"] }"
    );
    assert_eq!(text_of("path \"x\" {}").unwrap(), "path \"x\" {}");
    assert_eq!(text_of("/w==").unwrap(), "/w==", "not UTF-8 inside: taken as it is");
    assert_eq!(text_of("").unwrap_err().to_string(), "'policy' parameter not supplied or empty");
}
