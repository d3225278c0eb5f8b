//! The epoch object.

use crate::{Stand, TOKEN, phase};
use std::process::Command;
use strongroom_hsm::{CounterName, Error};

const CLUSTER: CounterName = CounterName([0x11; 16]);
const LABEL: &str = "strongroom-epoch-11111111111111111111111111111111";

fn objects(stand: &Stand) -> usize {
    let listed = stand.tool_in(TOKEN, &["--list-objects", "--type", "data"]);
    listed.lines().filter(|line| line.contains("strongroom-epoch-")).count()
}

fn write(stand: &Stand, value: &[u8]) {
    let file = stand.directory().join("value");
    std::fs::write(&file, value).unwrap();
    let file = file.to_str().unwrap();
    let arguments = ["--write-object", file, "--type", "data", "--private", "--label", LABEL];
    stand.tool_in(TOKEN, &[&arguments[..], &["--application-label", "strongroom"]].concat());
}

/// None, then what it was raised to, and no way down.
pub fn a_counter_rises_and_never_falls(stand: &Stand) {
    let token = stand.token();
    assert_eq!(token.counter_read(&CLUSTER).unwrap(), None);
    for to in [0, 1, 2, 2, 1_000_000, u64::MAX - 1] {
        token.counter_raise(&CLUSTER, to).unwrap();
        assert_eq!(token.counter_read(&CLUSTER).unwrap(), Some(to));
    }
    assert_eq!(token.counter_raise(&CLUSTER, 3), Err(Error::Backwards { held: u64::MAX - 1, asked: 3 }));
    assert_eq!(token.counter_read(&CLUSTER).unwrap(), Some(u64::MAX - 1));
    assert_eq!(objects(stand), 1);
}

/// The next process reads it, and replaces the one object.
pub fn a_counter_survives_a_restart_and_is_one_object(stand: &Stand) {
    let token = stand.token();
    if phase() == 0 {
        token.counter_raise(&CLUSTER, 41).unwrap();
    } else {
        assert_eq!(token.counter_read(&CLUSTER).unwrap(), Some(41));
        token.counter_raise(&CLUSTER, 42).unwrap();
        assert_eq!(token.counter_read(&CLUSTER).unwrap(), Some(42));
        assert_eq!(objects(stand), 1);
    }
}

/// A crash between the new object and the old one's end leaves two.
pub fn a_counter_left_in_the_middle_of_a_raise_reads_as_its_maximum(stand: &Stand) {
    let mut config = stand.config();
    config.library = stand.shim().module();
    let token = stand.token_by(config);
    token.counter_raise(&CLUSTER, 1).unwrap();
    // CKR_DEVICE_ERROR: not one of the sporadic answers that are met with another try.
    let fails = strongroom_hw_shim::Rule::from("C_DestroyObject", 1, strongroom_hw_shim::Action::answer(0x30));
    stand.shim().obey(&[fails]);
    assert!(matches!(token.counter_raise(&CLUSTER, 5), Err(Error::Away(text)) if text.contains("CKR_DEVICE_ERROR")));
    assert_eq!(objects(stand), 2);
    assert_eq!(token.counter_read(&CLUSTER).unwrap(), Some(5));
    stand.shim().obey(&[]);
    // Raising to the same value cleans up.
    token.counter_raise(&CLUSTER, 5).unwrap();
    assert_eq!(objects(stand), 1);
    assert_eq!(token.counter_read(&CLUSTER).unwrap(), Some(5));
}

/// Something else wrote under our name: never "not raised yet".
pub fn a_counter_that_was_overwritten_is_an_error(stand: &Stand) {
    let token = stand.token();
    write(stand, b"not an epoch");
    assert!(matches!(token.counter_read(&CLUSTER), Err(Error::Config(text)) if text.contains("epoch object")));
    // Beside a good one it is passed over, and gone with the next raise.
    token.counter_raise(&CLUSTER, 7).unwrap();
    assert_eq!(objects(stand), 1);
    write(stand, b"not an epoch");
    assert_eq!(token.counter_read(&CLUSTER).unwrap(), Some(7));
}

/// Each cluster has its own object.
pub fn counters_of_several_clusters_share_a_token(stand: &Stand) {
    let token = stand.token();
    let clusters = [1, 2, 3].map(|byte| CounterName([byte; 16]));
    for (cluster, to) in clusters.iter().zip(10..) {
        token.counter_raise(cluster, to).unwrap();
    }
    assert_eq!(clusters.map(|cluster| token.counter_read(&cluster).unwrap()), [Some(10), Some(11), Some(12)]);
    token.counter_raise(&clusters[0], 99).unwrap();
    assert_eq!(clusters.map(|cluster| token.counter_read(&cluster).unwrap()), [Some(99), Some(11), Some(12)]);
    assert_eq!(objects(stand), 3);
    // All of them are listed: who begins a new store is told of the others.
    assert_eq!(token.counters().unwrap(), clusters.into_iter().zip([99, 11, 12]).collect::<Vec<_>>());
}

/// Whoever is late is told so; the highest stays.
pub fn eight_threads_raise_one_counter(stand: &Stand) {
    let token = stand.token();
    raise_from_threads(&token, 8);
    assert_eq!(token.counter_read(&CLUSTER).unwrap(), Some(39));
    assert_eq!(objects(stand), 1);
}

fn raise_from_threads(token: &std::sync::Arc<dyn strongroom_hsm::Hsm>, threads: u64) {
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for round in 0..40 / threads {
                    match token.counter_raise(&CLUSTER, round * threads + thread) {
                        Ok(()) | Err(Error::Backwards { .. }) => {}
                        Err(error) => panic!("thread {thread}: {error}"),
                    }
                }
            });
        }
    });
}

/// SoftHSM fails sporadically when two processes make and destroy objects at once.
pub fn two_processes_raise_one_counter(stand: &Stand) {
    const SECOND: &str = "STRONGROOM_STAND_SECOND";
    let token = stand.token();
    if std::env::var_os(SECOND).is_some() {
        return raise_from_threads(&token, 2);
    }
    let test = std::thread::current().name().unwrap().to_string();
    let mut second = Command::new(std::env::current_exe().unwrap())
        .args([&test, "--exact", "--nocapture", "--test-threads=1"])
        .env(SECOND, "1")
        .spawn()
        .unwrap();
    raise_from_threads(&token, 2);
    assert!(second.wait().unwrap().success());
    assert_eq!(token.counter_read(&CLUSTER).unwrap(), Some(39));
    token.counter_raise(&CLUSTER, 40).unwrap();
    assert_eq!(objects(stand), 1);
}
