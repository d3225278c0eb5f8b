//! The row of a policy, as `docs/formats/policy.md` says.

use strongroom_auth::policies::{DEFAULT_TEXT, PolicyName, StoredPolicy};
use strongroom_clock::Timestamp;

fn name(name: &str) -> PolicyName {
    PolicyName::parse(name).unwrap()
}

/// The bytes of the page's one example.
fn example() -> Vec<u8> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/formats/policy.md")).unwrap();
    let (_, block) = page.split_once("```hex\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    hex::decode(block.split_whitespace().collect::<String>()).unwrap()
}

#[test]
fn the_example_of_the_document() {
    let stored = StoredPolicy::decode(&name("app-read"), &example()).unwrap();
    let expected = StoredPolicy {
        name: name("app-read"),
        text: "path \"secret/data/app/*\" {\n  capabilities = [\"read\"]\n}\n".into(),
        version: 2,
        created: "2025-11-24T16:00:00Z".parse().unwrap(),
        updated: "2025-11-24T17:00:00.5Z".parse().unwrap(),
    };
    assert_eq!(stored, expected);
    assert_eq!(stored.encode(), example());
    assert_eq!(stored.parse().unwrap().rules().len(), 1);
}

#[test]
fn a_policy_comes_back_as_it_was() {
    let first = StoredPolicy::new(name("default"), DEFAULT_TEXT.into(), Timestamp::from_unix(5));
    let second = first.rewritten("# \"é\"\n".into(), Timestamp::from_unix(7));
    assert_eq!((second.version, second.created, second.updated), (2, first.created, Timestamp::from_unix(7)));
    for policy in [first, second] {
        assert_eq!(StoredPolicy::decode(&policy.name, &policy.encode()).unwrap(), policy);
    }
}

#[test]
fn damaged_rows_are_refused() {
    let good = StoredPolicy::new(name("a"), "text".into(), Timestamp::from_unix(5)).encode();
    let edit = |from: &str, to: &str| {
        let text = String::from_utf8(good.clone()).unwrap();
        assert!(text.contains(from), "{from}");
        text.replace(from, to).into_bytes()
    };
    let not_json = "a stored policy is damaged: it is not the JSON expected";
    let later = "a stored policy is damaged: its layout is of a later version of this program";
    let table: [(Vec<u8>, &str); 10] = [
        (vec![], "a stored policy is damaged: it is empty"),
        (edit("\u{1}{", "\u{2}{"), later),
        (good[1..].to_vec(), later),
        (vec![1], not_json),
        (good[..good.len() - 1].to_vec(), not_json),
        (edit("}", "}x"), not_json),
        (edit("\"version\":1,", ""), not_json),
        (edit("\"version\":1,", "\"version\":1,\"more\":1,"), not_json),
        (edit("\"name\":\"a\"", "\"name\":\"b\""), "a stored policy is damaged: its name is another's"),
        (edit("\"version\":1,", "\"version\":0,"), "a stored policy is damaged: its version is 0"),
    ];
    for (bytes, expected) in table {
        let message =
            StoredPolicy::decode(&name("a"), &bytes).map_or_else(|error| error.to_string(), |_| String::new());
        assert_eq!(message, expected, "{}", String::from_utf8_lossy(&bytes));
    }
}
