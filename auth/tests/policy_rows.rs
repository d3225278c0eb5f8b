//! Policies in the store: what holds from the next request on, and what stays.

mod support;

use std::sync::Arc;

use strongroom_auth::Error;
use strongroom_keystore::MountId;
use strongroom_mount::Operation;
use support::{House, run};

fn names(names: &[&str]) -> Arc<[String]> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn may_read(house: &House, set: &Arc<[String]>, path: &str) -> bool {
    run(house.policies.acl(set)).unwrap().decide(Operation::Read, path, [], None).allowed()
}

#[test]
fn a_change_of_a_policy_holds_from_the_next_request_on() {
    let house = House::new();
    let set = names(&["app", "default"]);
    assert!(!may_read(&house, &set, "kv/a"), "a name without a policy grants nothing");
    let written = run(house.policies.write("App", "path \"kv/*\" { capabilities = [\"read\"] }")).unwrap();
    assert_eq!(written.warning.as_deref(), Some("policy name was converted to app"));
    assert!(may_read(&house, &set, "kv/a"));
    let first = run(house.policies.acl(&set)).unwrap();
    assert!(Arc::ptr_eq(&first, &run(house.policies.acl(&set)).unwrap()), "compiled once");
    run(house.policies.write("app", "path \"kv/*\" { capabilities = [\"deny\"] }")).unwrap();
    assert!(!may_read(&house, &set, "kv/a"));
    run(house.policies.write("app", "path \"kv/*\" { capabilities = [\"read\"] }")).unwrap();
    assert!(may_read(&house, &set, "kv/a"));
    run(house.policies.delete("app")).unwrap();
    assert!(!may_read(&house, &set, "kv/a") && run(house.policies.read("app")) == Ok(None));
    assert_eq!(run(house.policies.capabilities(&set, "cubbyhole/x")).unwrap().len(), 5);
    assert_eq!(run(house.policies.capabilities(&names(&["root"]), "x")).unwrap(), ["root"]);
}

#[test]
fn a_rule_ends_when_it_says() {
    let house = House::new();
    let set = names(&["short"]);
    let end = house.clock.now().plus(std::time::Duration::from_secs(60));
    let text = format!("path \"kv/*\" {{ capabilities = [\"read\"]\n expiration = \"{end}\" }}");
    run(house.policies.write("short", &text)).unwrap();
    assert!(may_read(&house, &set, "kv/a"));
    house.wait(60);
    assert!(!may_read(&house, &set, "kv/a"));
}

#[test]
fn built_in_policies_stay_and_default_may_change() {
    let house = House::new();
    let text = "path \"x\" { capabilities = [\"read\"] }";
    for (result, error) in [
        (run(house.policies.delete("default")), "cannot delete default policy"),
        (run(house.policies.delete("Root")), "cannot delete \"root\" policy"),
        (run(house.policies.write("root", text)).map(|_| ()), "cannot update \"root\" policy"),
        (run(house.policies.write("a", "")).map(|_| ()), "'policy' parameter not supplied or empty"),
        (run(house.policies.write(" ", text)).map(|_| ()), "policy name missing"),
    ] {
        assert_eq!(result.unwrap_err().to_string(), error);
    }
    assert_eq!(run(house.policies.read("ROOT")).unwrap().unwrap().version, 0);
    assert_eq!(run(house.policies.read("default")).unwrap().unwrap().version, 1);
    run(house.policies.write("default", text)).unwrap();
    let again = House::over(house.barrier.clone(), house.clock.clone());
    assert_eq!(run(again.policies.read("default")).unwrap().unwrap().text, text, "a restart keeps it");
}

#[test]
fn names_with_slashes_are_listed_beside_the_others() {
    let house = House::new();
    for name in ["b/c", "b%2Fc", "a//", "b"] {
        run(house.policies.write(name, "path \"x\" { capabilities = [\"read\"] }")).unwrap();
    }
    let all = run(house.policies.list(None, usize::MAX)).unwrap();
    assert_eq!(all, ["a//", "b", "b%2fc", "b/c", "default", "root"]);
    assert_eq!(run(house.policies.list(Some("b"), 2)).unwrap(), ["b%2fc", "b/c"]);
    assert!(run(house.policies.exists("b/c")).unwrap() && !run(house.policies.exists("c")).unwrap());
}

#[test]
fn a_damaged_policy_refuses_its_token() {
    let house = House::new();
    run(house.policies.write("app", "path \"kv/*\" { capabilities = [\"read\"] }")).unwrap();
    run(house.barrier.view(MountId([2; 16])).put("policy/app", b"\x02{}")).unwrap();
    let error = run(house.policies.acl(&names(&["app"]))).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::StoredPolicy(_)));
}

#[test]
fn writers_at_once_lose_no_version() {
    let house = House::new();
    let text = "path \"x\" { capabilities = [\"read\"] }";
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10).for_each(|_| _ = run(house.policies.write("shared", text)).unwrap()));
        }
    });
    assert_eq!(run(house.policies.read("shared")).unwrap().unwrap().version, 40);
}
