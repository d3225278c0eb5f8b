//! What hashicorp/hcl 1.0.1-vault-7 makes of texts, recorded: `reference.jsonl` has one a line, with the tree that its
//! parser gives, or null where it refuses.

use serde_json::{Value, json};
use strongroom_hcl::{Item, Kind, parse};

fn tree(items: &[Item]) -> Value {
    let item = |item: &Item| {
        let keys: Vec<_> = item.keys.iter().map(|key| key.text.as_str()).collect();
        json!({ "keys": keys, "assigned": item.assigned, "value": value(&item.value.kind) })
    };
    items.iter().map(item).collect()
}

fn value(kind: &Kind) -> Value {
    match kind {
        Kind::Null => Value::Null,
        Kind::Bool(bool) => json!(bool),
        Kind::Number(number) => json!({ "number": number.text() }),
        Kind::Text(text) => json!(text),
        Kind::List(values) => values.iter().map(|entry| value(&entry.kind)).collect(),
        Kind::Object(items) => json!({ "items": tree(items) }),
    }
}

fn read(text: &str) -> Value {
    parse("", text).map_or(Value::Null, |read| tree(&read.items))
}

#[test]
fn the_reference_reads_the_same() {
    let (mut accepted, mut refused) = (0, 0);
    for line in include_str!("reference.jsonl").lines() {
        let recorded: Value = serde_json::from_str(line).unwrap();
        let text = recorded["text"].as_str().unwrap();
        assert_eq!(read(text), recorded["tree"], "{text:?}: {:?}", parse("", text).err());
        *if recorded["tree"].is_null() { &mut refused } else { &mut accepted } += 1;
    }
    assert!(accepted >= 200 && refused >= 100, "{accepted} accepted, {refused} refused");
}

/// Where this parser differs on purpose: each text with what the reference does.
#[test]
fn where_the_reference_reads_otherwise() {
    // Drops the attribute without a word.
    assert!(read("a =").is_null());
    // Takes a list without a comma behind a nested list.
    assert!(read("a = [[1] 2]").is_null());
    // Does not see that the heredoc ends.
    assert!(!read("a = <<-EOF\nx\nEOF\n").is_null());
    // Wants a line end behind the marker.
    assert!(!read("a = <<EOF\nx\nEOF").is_null());
    // Refuses escapes inside `${…}` that it then leaves as they stand.
    assert!(!read("a = \"${\\q}\"").is_null());
    // Ends the program with a panic on a number that does not fit; here that is the reader's to refuse.
    assert!(!read("a = 99999999999999999999").is_null());
    // Makes a character of its own out of half a surrogate pair.
    assert!(read("a = \"\\ud800\"").is_null());
}
