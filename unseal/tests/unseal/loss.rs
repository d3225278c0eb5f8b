//! What init warns of.

use crate::house::tree;
use strongroom_unseal::Kind;
use strongroom_unseal::loss::{Loss, Rollback, rollback, single_losses};

#[test]
fn a_single_loss_that_ends_everything_is_found() {
    let leaf = |name: &str| Loss::Leaf(name.into());
    let share = |name: &str| Loss::Share(name.into());
    for (text, losses) in [
        ("hsm", vec![leaf("hsm")]),
        ("any(hsm)", vec![leaf("hsm")]),
        ("any(hsm-a, hsm-b)", vec![]),
        ("all(hsm-a, hsm-b)", vec![leaf("hsm-a"), leaf("hsm-b")]),
        ("2 of 3 c", vec![]),
        ("5 of 5 c", vec![share("c")]),
        ("all(board, 3 of 5 c)", vec![leaf("board")]),
        ("all(board, 5 of 5 c)", vec![leaf("board"), share("c")]),
        ("any(board, 5 of 5 c)", vec![]),
        ("2 of (a, b, d)", vec![]),
        ("2 of (a, b, a)", vec![leaf("a")]),
        ("any(all(a, b), all(a, d))", vec![leaf("a")]),
    ] {
        assert_eq!(single_losses(&tree(text)), losses, "{text}");
    }
    assert!(leaf("hsm").to_string().contains("without hsm there is no way in"));
    assert!(share("c").to_string().contains("every share of c is needed"));
}

#[test]
fn only_a_device_notices_rollback() {
    let counts = |_: &str, kind: Kind| kind.counts();
    for (text, expected) in [
        ("3 of 5 c", Rollback::Unprotected),
        ("hsm", Rollback::Protected),
        ("any(hsm, 3 of 5 c)", Rollback::WhenPresent),
        ("all(hsm, 3 of 5 c)", Rollback::Protected),
        ("any(hsm-a, hsm-b)", Rollback::Protected),
        ("2 of (hsm-a, c, c)", Rollback::WhenPresent),
    ] {
        assert_eq!(rollback(&tree(text), &counts), expected, "{text}");
    }
    // A token that turned out to have no counter protects nothing.
    assert_eq!(rollback(&tree("hsm"), &|_, _| false), Rollback::Unprotected);
    assert_eq!(Rollback::Unprotected.name(), "unprotected");
    let counting: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| kind.counts()).collect();
    assert_eq!(counting, [Kind::Pkcs11, Kind::Tpm, Kind::Yubihsm]);
}
