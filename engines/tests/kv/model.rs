//! Random histories of a secret against a model of versions.

use crate::common::Host;
use crate::versions::host;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One version as the model has it.
#[derive(Clone)]
struct Version {
    data: Value,
    deleted: bool,
    destroyed: bool,
}

/// A secret as the model has it.
#[derive(Default)]
struct Secret {
    current: u64,
    max: u64,
    kept: BTreeMap<u64, Version>,
    custom: BTreeMap<String, String>,
    /// Whether it is there at all.
    made: bool,
}

impl Secret {
    fn write(&mut self, data: Value) {
        self.made = true;
        self.current += 1;
        self.kept.insert(self.current, Version { data, deleted: false, destroyed: false });
        let most = if self.max == 0 { 10 } else { self.max };
        while self.kept.len() as u64 > most {
            self.kept.pop_first();
        }
    }
}

/// A generator that needs no crate; any sequence will do (Steele, Lea, Flood: SplitMix).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % end
    }
}

const PATHS: [&str; 4] = ["a", "a/b", "dir/c", "d"];

#[test]
fn a_thousand_steps_at_a_time_agree_with_the_model() {
    for seed in 0..8 {
        let (host, mut random) = (host(), Random(seed));
        let mut model: BTreeMap<&str, Secret> = BTreeMap::new();
        for step in 0..1_000 {
            let path = PATHS[random.below(4) as usize];
            one_step(&host, &mut random, path, model.entry(path).or_default(), step);
            if step % 25 == 0 {
                compare(&host, &model, &format!("seed {seed} step {step}"));
            }
        }
        compare(&host, &model, &format!("seed {seed}"));
    }
}

fn one_step(host: &Host, random: &mut Random, path: &str, secret: &mut Secret, step: u64) {
    let some = [random.below(secret.current + 2), random.below(secret.current + 2)];
    let call =
        |method: &str, place: &str, body: Value| host.http(method, &format!("{place}/{path}"), &body.to_string());
    match random.below(12) {
        0..=2 => {
            let data = json!({"step": step, "o": {"a": step % 3}});
            assert_eq!(call("POST", "data", json!({"data": data})).1["data"]["version"], json!(secret.current + 1));
            secret.write(data);
        }
        3 => {
            let cas = some[0];
            let (status, _) = call("PUT", "data", json!({"data": {"cas": step}, "options": {"cas": cas}}));
            assert_eq!(status == 200, cas == secret.current, "cas {cas} of {}", secret.current);
            if cas == secret.current {
                secret.write(json!({"cas": step}));
            }
        }
        4 | 5 => {
            let (status, _) = call("PATCH", "data", json!({"data": {"p": step, "o": {"a": null, "b": [1]}}}));
            let newest = secret.kept.get(&secret.current).filter(|newest| !newest.deleted && !newest.destroyed);
            assert_eq!(status == 200, newest.is_some());
            if let Some(newest) = newest {
                let mut data = newest.data.clone();
                data["p"] = json!(step);
                match data["o"].as_object_mut() {
                    Some(object) => drop((object.remove("a"), object.insert("b".into(), json!([1])))),
                    None => data["o"] = json!({"b": [1]}),
                }
                secret.write(data);
            }
        }
        6 => {
            let body = json!({"versions": some});
            assert_eq!(call("POST", "delete", body).0, 204);
            for (_, version) in secret.kept.iter_mut().filter(|(number, _)| some.contains(number)) {
                version.deleted |= !version.destroyed;
            }
        }
        7 => {
            assert_eq!(call("POST", "undelete", json!({"versions": some})).0, 204);
            for (_, version) in secret.kept.iter_mut().filter(|(number, _)| some.contains(number)) {
                version.deleted &= version.destroyed;
            }
        }
        8 => {
            assert_eq!(call("PUT", "destroy", json!({"versions": some})).0, 204);
            for (_, version) in secret.kept.iter_mut().filter(|(number, _)| some.contains(number)) {
                version.destroyed = true;
            }
        }
        9 => {
            assert_eq!(call("DELETE", "data", json!({})).0, 204);
            if let Some(version) = secret.kept.get_mut(&secret.current) {
                version.deleted |= !version.destroyed;
            }
        }
        10 => {
            let max = random.below(6);
            let body = json!({"max_versions": max, "custom_metadata": {"step": step.to_string()}});
            assert_eq!(call("POST", "metadata", body).0, 204);
            (secret.max, secret.made) = (max, true);
            secret.custom = BTreeMap::from([("step".to_owned(), step.to_string())]);
        }
        _ if step.is_multiple_of(3) => {
            assert_eq!(call("DELETE", "metadata", json!({})).0, 204);
            *secret = Secret::default();
        }
        _ => {}
    }
}

fn compare(host: &Host, model: &BTreeMap<&str, Secret>, at: &str) {
    for (path, secret) in model {
        let (status, reply) = host.http("GET", &format!("metadata/{path}"), "");
        assert_eq!(status == 200, secret.made, "{at}: {path}");
        if !secret.made {
            continue;
        }
        let read = &reply["data"];
        assert_eq!(read["current_version"], json!(secret.current), "{at}: {path}");
        assert_eq!(read["custom_metadata"], if secret.custom.is_empty() { json!(null) } else { json!(secret.custom) });
        let shown: Vec<u64> = read["versions"].as_object().unwrap().keys().map(|key| key.parse().unwrap()).collect();
        let mut shown = shown;
        shown.sort_unstable();
        assert_eq!(shown, secret.kept.keys().copied().collect::<Vec<_>>(), "{at}: {path}");
        for number in 1..=secret.current {
            let (status, reply) = host.http("GET", &format!("data/{path}?version={number}"), "");
            match secret.kept.get(&number) {
                None => assert_eq!(status, 404, "{at}: {path} version {number}"),
                Some(version) if version.deleted || version.destroyed => {
                    assert_eq!((status, &reply["data"]["data"]), (404, &json!(null)), "{at}: {path} version {number}");
                    assert_eq!(reply["data"]["metadata"]["destroyed"], json!(version.destroyed));
                    assert_eq!(reply["data"]["metadata"]["deletion_time"] != json!(""), version.deleted);
                }
                Some(version) => {
                    assert_eq!((status, &reply["data"]["data"]), (200, &version.data), "{at}: {path} version {number}");
                }
            }
        }
    }
}
