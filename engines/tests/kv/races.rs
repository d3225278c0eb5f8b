//! Several threads at one secret, also through two instances that know nothing of each other's turns.

use crate::common::Host;
use crate::versions::host;
use serde_json::json;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn of_many_writes_with_one_check_and_set_exactly_one_wins() {
    let one = host();
    let two = Host::kv(one.view.clone(), "2");
    // Two nodes could both find a mount that nobody has used; one alone makes it ready before it answers.
    one.ok("GET", "config", json!(null));
    for round in 0..20_u64 {
        let (won, start) = (AtomicUsize::new(0), Barrier::new(8));
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let host = if writer % 2 == 0 { &one } else { &two };
                let (won, start) = (&won, &start);
                scope.spawn(move || {
                    start.wait();
                    let body = json!({"data": {"writer": writer}, "options": {"cas": round}});
                    let (status, reply) = host.http("POST", "data/a", &body.to_string());
                    match status {
                        200 => won.fetch_add(1, Ordering::SeqCst),
                        _ => {
                            let text = "check-and-set parameter did not match the current version";
                            assert_eq!((status, &reply["errors"][0]), (400, &json!(text)));
                            0
                        }
                    };
                });
            }
        });
        assert_eq!(won.load(Ordering::SeqCst), 1, "round {round}");
    }
}

#[test]
fn nobody_is_refused_while_a_new_mount_becomes_ready() {
    for _ in 0..20 {
        let (host, start) = (host(), Barrier::new(4));
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let (host, start) = (&host, &start);
                scope.spawn(move || {
                    start.wait();
                    host.ok("POST", &format!("data/{writer}"), json!({"data": {}}));
                });
            }
        });
    }
}

#[test]
fn no_write_without_check_and_set_is_lost_or_refused() {
    let host = host();
    host.ok("POST", "metadata/a", json!({"max_versions": 1000}));
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let host = &host;
            scope.spawn(move || {
                for turn in 0..25 {
                    host.ok("POST", "data/a", json!({"data": {"id": format!("{writer}-{turn}")}}));
                }
            });
        }
    });
    let mut seen = std::collections::BTreeSet::new();
    for version in 1..=200 {
        let read = host.ok("GET", &format!("data/a?version={version}"), json!(null));
        seen.insert(read["data"]["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen.len(), 200);
}

#[test]
fn changes_of_one_secret_beside_each_other_leave_it_whole() {
    let one = host();
    let two = Host::kv(one.view.clone(), "2");
    let allowed = [200, 204, 400, 404, 409];
    std::thread::scope(|scope| {
        for worker in 0..6 {
            let host = if worker % 2 == 0 { &one } else { &two };
            scope.spawn(move || {
                for turn in 0..60 {
                    let (method, path, body) = match (worker + turn) % 7 {
                        0 => ("POST", "delete/a", json!({"versions": [turn, turn + 1]})),
                        1 => ("POST", "undelete/a", json!({"versions": [turn, turn + 1]})),
                        2 => ("POST", "destroy/a", json!({"versions": [turn / 2]})),
                        3 if turn % 5 == 0 => ("DELETE", "metadata/a", json!(null)),
                        4 => ("PATCH", "data/a", json!({"data": {"patched": turn}})),
                        5 => ("PATCH", "metadata/a", json!({"custom_metadata": {"turn": turn.to_string()}})),
                        _ => ("POST", "data/a", json!({"data": {"v": turn}})),
                    };
                    let body = if body.is_null() { String::new() } else { body.to_string() };
                    let (status, reply) = host.http(method, path, &body);
                    assert!(allowed.contains(&status), "{method} {path}: {status} {reply}");
                    let (status, reply) = host.http("GET", "metadata/a", "");
                    assert!(allowed.contains(&status), "{status} {reply}");
                }
            });
        }
    });
    one.ok("POST", "data/a", json!({"data": {"last": true}}));
    let read = one.ok("GET", "metadata/a", json!(null));
    let kept = read["versions"].as_object().unwrap();
    let oldest = read["oldest_version"].as_u64().unwrap().max(1);
    let current = read["current_version"].as_u64().unwrap();
    assert_eq!(kept.len() as u64, current - oldest + 1, "every version that is kept has its row: {read}");
}
