//! The reading layer: types, labels, duplicates, what is left over.

use std::time::Duration;

use strongroom_hcl::{Body, Error, Mistakes};

fn body(text: &str) -> Body {
    Body::parse("s.hcl", text).unwrap()
}

fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn attributes_by_type() {
    let mut read = body(
        "text = \"x\" number_text = 5 yes_text = true int = 0x10 text_int = \"-7\"\n\
         yes = true quoted = \"False\" one = 1 span = \"1h30m\" seconds = 90\n\
         list = [\"a\", 1, true] words = \"a, b,\" more = [\"c,d\"] options { path = \"p\" }",
    );
    assert_eq!(read.text("text").unwrap().unwrap().value, "x");
    assert_eq!(read.text("number_text").unwrap().unwrap().value, "5");
    assert_eq!(read.text("yes_text").unwrap().unwrap().value, "true");
    assert_eq!(read.int("int").unwrap().unwrap().value, 16);
    assert_eq!(read.int("text_int").unwrap().unwrap().value, -7);
    assert!(read.bool("yes").unwrap().unwrap().value);
    assert!(!read.bool("quoted").unwrap().unwrap().value);
    assert!(read.bool("one").unwrap().unwrap().value);
    assert_eq!(read.duration("span").unwrap().unwrap().value, Duration::from_secs(5400));
    assert_eq!(read.duration("seconds").unwrap().unwrap().value, Duration::from_secs(90));
    let values = |texts: Option<Vec<strongroom_hcl::Placed<String>>>| {
        texts.unwrap().into_iter().map(|text| text.value).collect::<Vec<_>>()
    };
    assert_eq!(values(read.texts("list").unwrap()), ["a", "1", "true"]);
    assert_eq!(values(read.words("words").unwrap()), ["a", "b"]);
    assert_eq!(values(read.words("more").unwrap()), ["c,d"]);
    let mut options = read.object("options").unwrap().unwrap();
    assert_eq!(options.required_text("path").unwrap().value, "p");
    options.finish().unwrap();
    assert_eq!(read.text("absent").unwrap(), None);
    assert!(read.words("absent").unwrap().is_none());
    assert!(read.is_empty());
    read.finish().unwrap();
}

#[test]
fn wrong_types_name_the_place_and_never_the_value() {
    let text = "pin = [\"hunter2\"]\nint = \"hunter2\"\nbool = \"hunter2\"\nspan = \"hunter2\"\nlist = \"hunter2\"\n\
                entry = [[\"hunter2\"]]\nobject = \"hunter2\"\nblock = \"hunter2\"\nfloat = 1.5";
    let mut read = body(text);
    let messages = [
        refused(read.text("pin")),
        refused(read.int("int")),
        refused(read.bool("bool")),
        refused(read.duration("span")),
        refused(read.texts("list")),
        refused(read.texts("entry")),
        refused(read.object("object")),
        refused(read.blocks("block", 0..=1)),
        refused(read.int("float")),
        refused(read.required_text("gone")),
    ];
    let expected = [
        "s.hcl:1:7: \"pin\" must be a string, not a list",
        "s.hcl:2:7: \"int\" must be a whole number, not a string",
        "s.hcl:3:8: \"bool\" must be a boolean, not a string",
        "s.hcl:4:8: \"span\" must be a duration such as 3600, \"90s\" or \"1h30m\", not a string",
        "s.hcl:5:8: \"list\" must be a list of strings, not a string",
        "s.hcl:6:10: \"entry\" must be a list of strings, not a list",
        "s.hcl:7:10: \"object\" must be an object, not a string",
        "s.hcl:8:9: \"block\" must be a block, not a string",
        "s.hcl:9:9: \"float\" must be a whole number, not a number",
        "s.hcl:1:1: \"gone\" is missing",
    ];
    assert_eq!(messages, expected);
}

#[test]
fn a_syntax_error_does_not_repeat_a_secret() {
    for text in
        ["pin \"hunter2\"", "pin = \"hunter2\" \"hunter2\"", "pin = hunter2", "pin = \"hunter2\\q\"", "pin = \"hunter2"]
    {
        let message = refused(Body::parse("s.hcl", text));
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn duplicates_are_refused() {
    let mut read = body("a = 1\na = 2");
    let duplicate = "s.hcl:2:1: the argument \"a\" was already set; each argument can only be defined once";
    assert_eq!(refused(read.int("a")), duplicate);
    assert_eq!(refused(body("a = 1\na = 2").entries()), duplicate);
    let mut json = Body::parse("s.hcl", "{\"a\":1,\n\"a\":2}").unwrap();
    assert_eq!(refused(json.int("a")), duplicate);
}

#[test]
fn labels_are_counted() {
    let text = "seal \"pkcs11\" \"hsm-a\" { pin = \"x\" }\nseal \"shamir\" {}\nseal \"a\" \"b\" \"c\" {}\nui \"x\" {}";
    let mut read = body(text);
    assert_eq!(refused(read.blocks("seal", 1..=2)), "s.hcl:3:1: \"seal\" takes 1 to 2 labels, not 3");
    assert_eq!(refused(body("seal {}").blocks("seal", 1..=1)), "s.hcl:1:1: \"seal\" takes 1 labels, not 0");
    assert_eq!(refused(read.object("ui")), "s.hcl:4:1: \"ui\" takes 0 labels, not 1");
    assert_eq!(refused(body("a = 1 b \"x\" {}").entries()), "s.hcl:1:7: \"b\" takes 0 labels, not 1");
    let mut good = body("seal \"pkcs11\" \"hsm-a\" { pin = \"x\" }\nseal \"shamir\" {}");
    let seals = good.blocks("seal", 1..=2).unwrap();
    let labels: Vec<Vec<&str>> =
        seals.iter().map(|seal| seal.labels.iter().map(|label| label.value.as_str()).collect()).collect();
    assert_eq!(labels, [vec!["pkcs11", "hsm-a"], vec!["shamir"]]);
    assert_eq!(seals[1].position.line, 2);
}

#[test]
fn json_nests_its_labels() {
    let table = [
        (r#"{"seal":{"pkcs11":{"hsm-a":{"pin":"x"}}}}"#, vec!["pkcs11/hsm-a"]),
        (r#"{"seal":{"pkcs11":{"pin":"x"}}}"#, vec!["pkcs11"]),
        (r#"{"seal":{"shamir":{}}}"#, vec!["shamir"]),
        (
            r#"{"seal":[{"pkcs11":{"hsm-a":{"pin":"x"},"hsm-b":{"pin":"y"}}},{"shamir":{}}]}"#,
            vec!["pkcs11/hsm-a", "pkcs11/hsm-b", "shamir"],
        ),
        (r#"{"seal":{"pkcs11":[{"pin":"x"},{"pin":"y"}]}}"#, vec!["pkcs11", "pkcs11"]),
        (r#"{"seal":{"pkcs11":{"hsm-a":[{"pin":"x"}]}}}"#, vec!["pkcs11/hsm-a"]),
        (r#"{"seal":null}"#, vec![]),
        (r#"{"seal":[]}"#, vec![]),
    ];
    for (text, expected) in table {
        let mut read = body(text);
        let seals = read.blocks("seal", 1..=2).unwrap();
        let join = |seal: &strongroom_hcl::Block| {
            seal.labels.iter().map(|label| label.value.as_str()).collect::<Vec<_>>().join("/")
        };
        assert_eq!(seals.iter().map(join).collect::<Vec<_>>(), expected, "{text}");
        read.finish().unwrap();
    }
    // A label that must be there is taken even if every member under it is an object.
    let mut read = body(r#"{"path":{"a":{"allowed_parameters":{"x":[]}}}}"#);
    let mut paths = read.blocks("path", 1..=1).unwrap();
    assert_eq!(paths[0].labels[0].value, "a");
    let parameters = paths[0].body.object("allowed_parameters").unwrap().unwrap().entries().unwrap();
    assert_eq!(parameters[0].0.value, "x");
    assert_eq!(
        refused(body(r#"{"seal":"x"}"#).blocks("seal", 1..=2)),
        "s.hcl:1:9: \"seal\" must be an object, not a string"
    );
    let mut null = body(r#"{"a":null,"b":[{"c":1}]}"#);
    assert_eq!(null.text("a").unwrap(), None);
    assert_eq!(null.object("b").unwrap().unwrap().int("c").unwrap().unwrap().value, 1);
}

#[test]
fn what_nobody_asked_for_is_refused_with_the_nearest_name() {
    let mut read = body("listenr \"tcp\" {}\nstorage \"inmem\" {}\nlog_lvel = 1\nzzz = 2\nlog_level = \"info\"");
    read.blocks("listener", 1..=1).unwrap();
    read.blocks("storage", 1..=1).unwrap();
    read.text("log_level").unwrap();
    let mistakes = read.finish().unwrap_err();
    let expected = "s.hcl:1:1: invalid key \"listenr\", did you mean \"listener\"?\n\
                    s.hcl:3:1: invalid key \"log_lvel\", did you mean \"log_level\"?\n\
                    s.hcl:4:1: invalid key \"zzz\"";
    assert_eq!(mistakes.to_string(), expected);
    assert_eq!(mistakes.errors().len(), 3);
}

#[test]
fn a_key_without_effect_is_passed_over_with_its_place() {
    let mut read = body("a = 1\ntelemetry { x = 1 }\ntelemetry \"y\" {}");
    assert_eq!(read.skip("telemetry").unwrap().to_string(), "2:1");
    assert!(read.skip("telemetry").is_none());
    read.int("a").unwrap();
    read.finish().unwrap();
}

#[test]
fn a_reader_refuses_a_value_at_its_place() {
    let mut read = body("\n address = \"x\"");
    let address = read.required_text("address").unwrap();
    assert_eq!(read.refuse(address.position, "no port").to_string(), "s.hcl:2:12: no port");
}

#[test]
fn mistakes_come_in_the_order_of_the_text_and_never_none() {
    let read = body("a = 1");
    let mut errors = vec![read.missing("z")];
    errors.extend(Vec::from(read.finish().unwrap_err()));
    assert_eq!(Mistakes::of(errors).unwrap().to_string(), "s.hcl:1:1: \"z\" is missing\ns.hcl:1:1: invalid key \"a\"");
    assert!(Mistakes::of(Vec::new()).is_none());
}

#[test]
fn a_long_name_is_cut_in_messages_and_unknown_keys_are_capped() {
    let text = format!("{} = 1\n{}", "k".repeat(1000), "x = 1\n".repeat(1000));
    let mistakes = body(&text).finish().unwrap_err();
    assert_eq!(mistakes.errors().len(), 50);
    assert!(mistakes.errors()[0].to_string().len() < 120);
}
