//! What the language accepts and refuses, and where it says a mistake is.

use strongroom_hcl::{DEPTH_LIMIT, Fault, Item, Kind, TEXT_LIMIT, Tree, parse};

/// The tree in one line: keys with labels, `=` where it stands, values.
fn outline(items: &[Item]) -> String {
    let item = |item: &Item| {
        let keys: Vec<_> = item.keys.iter().map(|key| key.text.as_str()).collect();
        format!("{}{}{}", keys.join("|"), if item.assigned { "=" } else { ":" }, value(&item.value.kind))
    };
    items.iter().map(item).collect::<Vec<_>>().join(" ")
}

fn value(kind: &Kind) -> String {
    match kind {
        Kind::Null => "null".into(),
        Kind::Bool(bool) => bool.to_string(),
        Kind::Number(number) => number.text().into(),
        Kind::Text(text) => format!("{text:?}"),
        Kind::List(values) => {
            format!("[{}]", values.iter().map(|entry| value(&entry.kind)).collect::<Vec<_>>().join(" "))
        }
        Kind::Object(items) => format!("{{{}}}", outline(items)),
    }
}

fn read(text: &str) -> Tree {
    parse("t", text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn mistake(text: &str) -> String {
    parse("t", text).expect_err(text).to_string()
}

#[test]
fn hcl_that_is_accepted() {
    let table = [
        ("", ""),
        (" \t\r\n # only a comment", ""),
        ("a = 1", "a=1"),
        ("a=1 b=2", "a=1 b=2"),
        ("a = 1, b = 2,\nc = 3", "a=1 b=2 c=3"),
        ("\"a b\" = true", "a b=true"),
        ("a-b.c_d = false", "a-b.c_d=false"),
        ("größe = 1", "größe=1"),
        (
            "path \"secret/*\" { capabilities = [\"read\", \"list\"] }",
            "path|secret/*:{capabilities=[\"read\" \"list\"]}",
        ),
        ("audit \"file\" \"a\" { options { x = \"y\" } }", "audit|file|a:{options:{x=\"y\"}}"),
        ("path \"a\" {} path \"a\" {}", "path|a:{} path|a:{}"),
        ("\"path\" \"a\" {}", "path|a:{}"),
        ("a {b=1,c=2,}", "a:{b=1 c=2}"),
        ("a = { b = 1 }", "a={b=1}"),
        ("a = { \"x\" = [\"1\",\"2\"] \"*\" = [] }", "a={x=[\"1\" \"2\"] *=[]}"),
        ("a = [1, -2, 0x1F, 0755, 1.5, .5, 1e9, 2E-3, -0.5]", "a=[1 -2 0x1F 0755 1.5 .5 1e9 2E-3 -0.5]"),
        ("a = [\"x\",]", "a=[\"x\"]"),
        ("a = [,\"x\",,\"y\"]", "a=[\"x\" \"y\"]"),
        ("a = [\n  # first\n  \"x\", // second\n  /* none */\n]", "a=[\"x\"]"),
        ("a = [[1], [2, [3]]]", "a=[[1] [2 [3]]]"),
        ("a = [{ b = 1 }, { b = 2 }]", "a=[{b=1} {b=2}]"),
        ("a = [true, false]", "a=[true false]"),
        ("a = [<<EOF\nx\nEOF\n, \"y\"]", "a=[\"x\\n\" \"y\"]"),
        ("a = \"${x(\"y\")}\"", "a=\"${x(\\\"y\\\")}\""),
        ("path \"secret/${user}/*\" {}", "path|secret/${user}/*:{}"),
        ("path \"secret/$5\" {}", "path|secret/$5:{}"),
        ("path \"{{identity.entity.id}}\" {}", "path|{{identity.entity.id}}:{}"),
        ("a = \"\\\"q\\\" \\\\ \\n\"", "a=\"\\\"q\\\" \\\\ \\n\""),
        ("a = <<EOF\nline\n  line\nEOF\nb = 1", "a=\"line\\n  line\\n\" b=1"),
        ("a = <<-EOF\r\n  line\r\n  EOF\r\nb = 1\r\n", "a=\"line\\n\" b=1"),
        ("a = 1 # x = 2\n// y = 3\n/* z = 4\n */ b = 5", "a=1 b=5"),
        ("a /* c */ = /* c */ 1", "a=1"),
        ("a = \"# no // comment\"", "a=\"# no // comment\""),
    ];
    for (text, expected) in table {
        let tree = read(text);
        assert!(!tree.json);
        assert_eq!(outline(&tree.items), expected, "{text:?}");
    }
}

#[test]
fn hcl_that_is_refused_where_the_mistake_is() {
    let table = [
        ("a", "t:1:2: expected start of object ('{') or assignment ('=') behind the key, found the end of the text"),
        (
            "path \"x\" {",
            "t:1:11: expected a name, a string or the '}' that closes the '{' at 1:10, found the end of the text",
        ),
        ("a = ", "t:1:5: expected a value, found the end of the text"),
        ("a = b", "t:1:5: expected a value, found a name"),
        ("a = 1,, b = 2", "t:1:7: expected a name, a string or the end of the text, found ','"),
        ("a {\n  b = 1\n}}", "t:3:2: expected a name, a string or the end of the text, found '}'"),
        ("= 1", "t:1:1: expected a name, a string or the end of the text, found '='"),
        ("[]", "t:1:1: expected a name, a string or the end of the text, found '['"),
        ("a b = {}", "t:1:5: expected '{' after a label, found '='"),
        ("a = [1 2]", "t:1:8: expected comma or list end, found a number"),
        ("a = [1", "t:1:7: expected the ']' that closes the '[' at 1:5, found the end of the text"),
        ("a = [b]", "t:1:6: expected a value, found a name"),
        ("a = [}", "t:1:6: expected a value, found '}'"),
        ("a = {1}", "t:1:6: expected a name, a string or the '}' that closes the '{' at 1:5, found a number"),
        ("a = \"x\ny\"", "t:1:5: literal not terminated"),
        ("a = \"x", "t:1:5: literal not terminated"),
        ("a = \"${x\"", "t:1:5: literal not terminated"),
        ("a = \"\\", "t:1:5: literal not terminated"),
        ("a = \"\\q\"", "t:1:5: illegal char escape"),
        ("\n\n a = 'x'", "t:3:6: illegal character '\\''"),
        ("a = 0x", "t:1:5: illegal hexadecimal number"),
        ("a = 089", "t:1:5: illegal octal number"),
        ("a = 1e", "t:1:5: illegal exponent"),
        ("a = -", "t:1:5: illegal character, expected a number"),
        ("a = -.5", "t:1:5: illegal character, expected a number"),
        ("a = .", "t:1:5: illegal character, expected a number"),
        ("a = 1 /* ", "t:1:7: comment not terminated"),
        ("a = 1 / b", "t:1:7: expected '/' or '*' for a comment"),
        ("a = <<EOF\nx\n", "t:1:5: heredoc not terminated"),
        ("a = <EOF\nx\n", "t:1:5: heredoc expected second '<', didn't see it"),
        ("a = true = 1", "t:1:10: expected a name, a string or the end of the text, found '='"),
        ("true = 1", "t:1:1: expected a name, a string or the end of the text, found a boolean"),
        ("ä = \u{1F512}", "t:1:5: illegal character '🔒'"),
        ("a = \"é\" ?", "t:1:9: illegal character '?'"),
        ("a = 1\0", "t:1:6: unexpected null character (0x00)"),
        ("\u{feff}a = 1", "t:1:1: illegal character '\\u{feff}'"),
    ];
    for (text, expected) in table {
        assert_eq!(mistake(text), expected, "{text:?}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused_where_they_are() {
    let error = parse("", b"a = 1\nb = \"\xff\"").unwrap_err();
    assert_eq!(error.to_string(), "At 2:6: illegal UTF-8 encoding");
}

#[test]
fn json_that_is_accepted() {
    let table = [
        ("{}", ""),
        (" \n{ } ", ""),
        (r#"{"a":1,"b":-1.5e3,"c":true,"d":null}"#, "a=1 b=-1.5e3 c=true d=null"),
        (r#"{"path":{"secret/*":{"capabilities":["read"]}}}"#, "path={secret/*={capabilities=[\"read\"]}}"),
        (r#"{"a":[{"b":1},[2,[]],"x"]}"#, "a=[{b=1} [2 []] \"x\"]"),
        (r#"{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\udd12"}"#, "a=\"\\\"\\\\/\\u{8}\\u{c}\\n\\r\\té🔒\""),
        (r#"{"a":"${x} # y"}"#, "a=\"${x} # y\""),
        ("{\"a\":0,\r\n\"b\":10}", "a=0 b=10"),
    ];
    for (text, expected) in table {
        let tree = read(text);
        assert!(tree.json);
        assert_eq!(outline(&tree.items), expected, "{text:?}");
    }
}

#[test]
fn json_that_is_refused_where_the_mistake_is() {
    let table = [
        (r#"{"path":"#, "t:1:9: expected a JSON value, found the end of the text"),
        ("{", "t:1:2: expected a JSON string as the name of a member"),
        (r#"{"a":1"#, "t:1:7: expected ',' or '}' in a JSON object"),
        (r#"{"a":1,}"#, "t:1:8: expected a JSON string as the name of a member"),
        (r#"{"a":1} x"#, "t:1:9: unexpected text behind the end of the JSON object"),
        (r#"{"a":1}{"b":2}"#, "t:1:8: unexpected text behind the end of the JSON object"),
        (r#"{"a":[1,]}"#, "t:1:9: expected a JSON value, found ']'"),
        (r#"{"a":[1 2]}"#, "t:1:9: expected ',' or ']' in a JSON list"),
        ("{\n \"a\" 1}", "t:2:6: expected ':' behind the name of a member"),
        ("{a:1}", "t:1:2: expected a JSON string as the name of a member"),
        (r#"{"a":01}"#, "t:1:6: illegal JSON number"),
        (r#"{"a":1.}"#, "t:1:6: illegal JSON number"),
        (r#"{"a":-}"#, "t:1:6: illegal JSON number"),
        (r#"{"a":1e}"#, "t:1:6: illegal JSON number"),
        (r#"{"a":.5}"#, "t:1:6: expected a JSON value, found '.'"),
        (r#"{"a":tru}"#, "t:1:6: expected a JSON value, found a word"),
        (r#"{"a":"x}"#, "t:1:6: literal not terminated"),
        ("{\"a\":\"x\ny\"}", "t:1:8: illegal control character in a JSON string"),
        (r#"{"a":"\x41"}"#, "t:1:7: illegal char escape"),
        (r#"{"a":"\ud800"}"#, "t:1:7: illegal char escape"),
        (r#"{"a":"\ud800\u0041"}"#, "t:1:7: illegal char escape"),
        (r#"{"a":"\udc00"}"#, "t:1:7: illegal char escape"),
        (r#"{"a":"\u0000"}"#, "t:1:7: illegal char escape"),
        (r#"{"a":"\u12"}"#, "t:1:7: illegal char escape"),
        (r#"{"a":1} # no comment"#, "t:1:9: unexpected text behind the end of the JSON object"),
    ];
    for (text, expected) in table {
        assert_eq!(mistake(text), expected, "{text:?}");
    }
}

#[test]
fn numbers_fit_or_do_not() {
    let tree = read(
        "a = [0, 42, -42, 0x1F, -0x10, 0755, 9223372036854775807, -9223372036854775808, 9223372036854775808, 1.5, 1e3, 1e999]",
    );
    let Kind::List(values) = &tree.items[0].value.kind else { panic!() };
    let numbers: Vec<_> = values
        .iter()
        .map(|value| match &value.kind {
            Kind::Number(number) => (number.int(), number.float()),
            _ => panic!(),
        })
        .collect();
    let int = |int: i64| (Some(int), Some(int as f64));
    let expected = [
        int(0),
        int(42),
        int(-42),
        int(31),
        int(-16),
        int(493),
        int(i64::MAX),
        int(i64::MIN),
        (None, Some(9223372036854775808.0)),
        (None, Some(1.5)),
        (None, Some(1000.0)),
        (None, None),
    ];
    assert_eq!(numbers, expected);
}

#[test]
fn positions_stand_in_every_node() {
    let tree = read("a = 1\n  path \"x\" {\n\tb = [\n \"é\", \"z\" ] }");
    let block = &tree.items[1];
    let at = |position: strongroom_hcl::Position| (position.line, position.column);
    assert_eq!(at(tree.items[0].keys[0].position), (1, 1));
    assert_eq!(at(tree.items[0].value.position), (1, 5));
    assert_eq!(at(block.keys[0].position), (2, 3));
    assert_eq!(at(block.keys[1].position), (2, 8));
    assert_eq!(at(block.value.position), (2, 12));
    let Kind::Object(items) = &block.value.kind else { panic!() };
    assert_eq!(at(items[0].keys[0].position), (3, 2));
    let Kind::List(values) = &items[0].value.kind else { panic!() };
    assert_eq!(at(values[1].position), (4, 7));
}

#[test]
fn limits_hold_for_depth_and_size() {
    let nested = |open: &str, close: &str, depth: usize| format!("{}{}", open.repeat(depth), close.repeat(depth));
    for depth in [2, DEPTH_LIMIT] {
        read(&format!("a = {}", nested("[", "]", depth)));
        read(&nested("a {", "}", depth));
        read(&format!("{{\"a\":{}}}", nested("[", "]", depth - 1)));
    }
    let deep = DEPTH_LIMIT + 1;
    for depth in [deep, 200_000] {
        for text in [
            format!("a = {}", nested("[", "]", depth)),
            format!("a = {}", "[".repeat(depth)),
            nested("a {", "}", depth),
            nested("a ={", "}", depth),
            format!("{{\"a\":{}}}", nested("[", "]", depth)),
            "{\"a\":".repeat(depth),
        ] {
            assert_eq!(parse("t", &text).unwrap_err().fault, Fault::TooDeep, "{}", &text[..20]);
        }
    }
    read(&format!("a = \"{}\"", "x".repeat(TEXT_LIMIT - 6)));
    let large = format!("a = \"{}\"", "x".repeat(TEXT_LIMIT - 5));
    assert_eq!(parse("t", large).unwrap_err().fault, Fault::TooLarge { bytes: TEXT_LIMIT + 1 });
}
