//! The language of `unseal_when`: text, names, bytes.

use crate::house::tree;
use proptest::prelude::*;
use strongroom_unseal::expression::{MAX_DEPTH, MAX_OCCURRENCES, is_name};
use strongroom_unseal::*;

fn seal(name: &str, kind: Kind) -> Seal {
    Seal { name: name.into(), kind, quorum: None }
}

fn custodians(threshold: u8, shares: u8) -> Seal {
    Seal { name: "custodians".into(), kind: Kind::Shamir, quorum: Some(QuorumShape::new(threshold, shares).unwrap()) }
}

#[test]
fn every_form_of_the_language_is_read_and_written() {
    for (text, written) in [
        ("hsm-a", "hsm-a"),
        (" hsm-a ", "hsm-a"),
        ("any(hsm-a,board)", "any(hsm-a, board)"),
        ("any ( hsm-a , all(board,custodians) )", "any(hsm-a, all(board, custodians))"),
        ("2 of (hsm-a, board, 3 of 5 custodians)", "2 of (hsm-a, board, 3 of 5 custodians)"),
        ("2 of(hsm-a,board,3 of custodians)", "2 of (hsm-a, board, 3 of custodians)"),
        ("1 of (hsm-a, board)", "any(hsm-a, board)"),
        ("2 of (hsm-a, board)", "all(hsm-a, board)"),
        ("3 of 5 custodians", "3 of 5 custodians"),
        ("all(hsm-a)", "any(hsm-a)"),
        ("any(hsm-a,\n\thsm-a)", "any(hsm-a, hsm-a)"),
        ("2nd.key_1", "2nd.key_1"),
    ] {
        let read: Expression = text.parse().unwrap();
        assert_eq!(read.to_string(), written, "{text}");
        assert_eq!(written.parse::<Expression>().unwrap(), read, "{text}");
    }
}

#[test]
fn every_mistake_is_named_with_its_column() {
    for (text, column, reason) in [
        ("", 1, "ends where a leaf's name"),
        ("any", 4, "ends where \"(\" is due"),
        ("any(", 5, "ends where a leaf's name"),
        ("any()", 5, "\")\" is no name of a leaf"),
        ("any(a", 6, "ends where \",\" or \")\" is due"),
        ("any(a b)", 7, "\"b\" stands where \",\" or \")\" is due"),
        ("any(a,)", 7, "\")\" is no name"),
        ("a, b", 2, "\",\" follows the end"),
        ("any(a) b", 8, "\"b\" follows the end"),
        ("2", 2, "ends where \"of\" is due"),
        ("2 off (a, b)", 3, "\"off\" stands where \"of\" is due"),
        ("0 of (a, b)", 1, "0 is not a number from 1 to 255"),
        ("256 of (a, b)", 1, "256 is not a number from 1 to 255"),
        ("99999999999999999999 of (a, b)", 1, "is not a number from 1 to 255"),
        ("3 of (a, b)", 1, "3 of 2 leaves can never come together"),
        ("any(a, 6 of 5 custodians)", 8, "6 of 5 shares can never come together"),
        ("2 of 0 custodians", 6, "0 is not a number"),
        ("2 of 3 any(a)", 8, "\"any\" is no name of a leaf"),
        ("2 of 3", 7, "ends where the name of a shamir seal is due"),
        ("all(a; b)", 6, "';' cannot stand in an expression"),
        ("all(a, hsm ä)", 12, "'ä' cannot stand in an expression"),
        ("of", 1, "\"of\" is no name of a leaf"),
    ] {
        let error = text.parse::<Expression>().unwrap_err();
        match &error {
            Error::Expression { column: found, reason: text_found } => {
                assert_eq!(*found, column, "{text}: {error}");
                assert!(text_found.contains(reason), "{text}: {error}");
            }
            other => panic!("{text}: {other}"),
        }
        assert_eq!(error.blame(), Blame::Configuration);
    }
}

#[test]
fn limits_hold_and_nothing_is_read_for_long() {
    let nested = |depth: usize| format!("{}a{}", "any(".repeat(depth), ")".repeat(depth));
    assert!(nested(MAX_DEPTH).parse::<Expression>().is_ok());
    assert!(nested(MAX_DEPTH + 1).parse::<Expression>().unwrap_err().to_string().contains("nested deeper than 8"));
    assert!(nested(1_000).parse::<Expression>().is_err());
    let many = |count: usize| format!("any({})", vec!["a"; count].join(","));
    assert!(many(MAX_OCCURRENCES).parse::<Expression>().is_ok());
    assert!(many(MAX_OCCURRENCES + 1).parse::<Expression>().unwrap_err().to_string().contains("more than 64 leaves"));
    assert!("a".repeat(64).parse::<Expression>().is_ok());
    assert!("a".repeat(65).parse::<Expression>().unwrap_err().to_string().contains("longer than 64 bytes"));
    assert!(" ".repeat(5_000).parse::<Expression>().unwrap_err().to_string().contains("longer than 4096 bytes"));
}

#[test]
fn names_are_looked_up_and_quorums_agree() {
    let seals = [seal("hsm-a", Kind::Pkcs11), seal("board", Kind::Tpm), custodians(3, 5)];
    let resolve = |text: &str| text.parse::<Expression>().unwrap().resolve(&seals);
    for (text, stored) in [
        ("any(hsm-a, custodians)", "any(hsm-a, 3 of 5 custodians)"),
        ("any(hsm-a, 3 of custodians)", "any(hsm-a, 3 of 5 custodians)"),
        ("2 of (hsm-a, board, 3 of 5 custodians)", "2 of (hsm-a, board, 3 of 5 custodians)"),
    ] {
        let tree = resolve(text).unwrap().tree;
        assert_eq!(tree.to_string(), stored);
        assert!(text.parse::<Expression>().unwrap().agrees_with(&tree));
        assert!(stored.parse::<Expression>().unwrap().agrees_with(&tree));
        for other in ["any(hsm-a, board)", "any(hsm-a, 2 of custodians)", "any(hsm-a, 3 of 6 custodians)", "board"] {
            assert!(!other.parse::<Expression>().unwrap().agrees_with(&tree), "{other} against {stored}");
        }
    }
    assert_eq!(resolve("all(custodians, board)").unwrap().unused, ["hsm-a"]);
    for (text, column, reason) in [
        ("any(hsm-b, board)", 5, "no seal is named \"hsm-b\"; the nearest name is \"hsm-a\""),
        ("any(board, 1 of 2 hsm-a)", 19, "\"hsm-a\" is a pkcs11 seal, and only a shamir seal has shares"),
        ("2 of custodians", 6, "2 of custodians does not fit the 3 of 5 that were given"),
        ("3 of 6 custodians", 8, "3 of 6 custodians does not fit the 3 of 5 that were given"),
    ] {
        assert_eq!(resolve(text).unwrap_err(), Error::Expression { column, reason: reason.into() }, "{text}");
    }
}

#[test]
fn seals_that_cannot_be_leaves_are_named() {
    let resolve =
        |text: &str, seals: &[Seal]| text.parse::<Expression>().unwrap().resolve(seals).unwrap_err().to_string();
    let bare = Seal { quorum: None, ..custodians(3, 5) };
    for (text, seals, reason) in [
        ("a", vec![], "no seal is named \"a\": there are none"),
        ("a", vec![seal("a", Kind::Tpm), seal("a", Kind::Tpm)], "two seals have this name"),
        ("a", vec![seal("a", Kind::Tpm), seal("any", Kind::Tpm)], "leaf \"any\": a name is 1 to 64"),
        ("a", vec![Seal { quorum: custodians(2, 3).quorum, ..seal("a", Kind::Tpm) }], "only a shamir seal is dealt"),
        ("custodians", vec![bare.clone()], "have not been given"),
        ("3 of custodians", vec![bare.clone()], "have not been given"),
        ("1 of 5 custodians", vec![bare.clone()], "threshold must be greater than one for multiple shares"),
        ("any(2 of 5 custodians, 3 of 5 custodians)", vec![bare], "mentioned twice with different shares"),
    ] {
        let refused = resolve(text, &seals);
        assert!(refused.contains(reason), "{text}: {refused}");
    }
}

#[test]
fn without_an_expression_any_seal_opens() {
    assert_eq!(Expression::any_of([]), None);
    assert_eq!(Expression::any_of(["a"]).unwrap().to_string(), "a");
    assert_eq!(Expression::any_of(["a", "b"]).unwrap().to_string(), "any(a, b)");
    assert_eq!(Expression::any_of(["a", "b"]).unwrap().names(), ["a", "b"]);
}

#[test]
fn what_is_needed_is_said_in_the_words_of_the_expression() {
    let tree = tree("2 of (a, all(b, d), 2 of 3 c)");
    let needed = |held: &[usize]| tree.needed(&|occurrence: usize| held.contains(&occurrence));
    assert_eq!(needed(&[]).unwrap(), "2 of (a, all(b, d), 2 of 3 c)");
    assert_eq!(needed(&[1]).unwrap(), "2 of (a, d, 2 of 3 c)");
    assert_eq!(needed(&[0, 1]).unwrap(), "any(d, 2 of 3 c)");
    assert_eq!(needed(&[0, 3]), None);
    assert_eq!(tree.occurrences().iter().map(|place| place.label()).collect::<Vec<_>>(), ["0", "1.0", "1.1", "2"]);
}

fn any_tree() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[a-z][a-z0-9._-]{0,8}".prop_filter("reserved", |name| is_name(name) && !name.starts_with('c')),
        Just("2 of 3 c".to_owned())
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        (prop::collection::vec(inner, 1..5), any::<prop::sample::Index>())
            .prop_map(|(members, needed)| format!("{} of ({})", needed.index(members.len()) + 1, members.join(", ")))
    })
}

proptest! {
    #[test]
    fn text_and_tree_turn_into_each_other(text in any_tree()) {
        let expression: Expression = text.parse().unwrap();
        let tree = tree(&text);
        prop_assert!(expression.agrees_with(&tree));
        prop_assert_eq!(&tree.to_string().parse::<Expression>().unwrap(), &expression);
        let seals: Vec<Seal> = tree.leaves().iter()
            .map(|leaf| Seal { name: leaf.name().into(), kind: leaf.kind(), quorum: leaf.quorum() }).collect();
        prop_assert_eq!(expression.resolve(&seals).unwrap().tree, tree);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-z0-9(), ]{0,80}|\\PC{0,40}") {
        if let Ok(expression) = text.parse::<Expression>() {
            prop_assert_eq!(expression.to_string().parse::<Expression>().unwrap(), expression);
        }
    }
}
