//! kill -9 under load: another process keeps what was acknowledged. 20 kills, or as many as `KILLS` says.

mod common;

use common::{MOUNT, Random, options, root, verify};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use strongroom_keystore::{Barrier, Store, wait};

const DIR: &str = "STRONGROOM_KILL_DIR";
/// So short that nearly every commit moves changes into the tree: most kills hit a sweep.
const JOURNAL: usize = 40;
const WRITERS: u64 = 8;
const ROWS: u64 = 200;

fn open(dir: &Path) -> Barrier {
    let store = Store::embedded(dir, options(JOURNAL)).unwrap();
    if store.is_initialised() {
        store.unseal(&root(1)).unwrap().confirm(&[]).unwrap().serve(&[]).unwrap()
    } else {
        common::init(&store, Vec::new())
    }
}

/// The process that is killed: writes rising numbers, and says each one that was acknowledged.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let barrier = open(Path::new(&dir));
    println!("open");
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let view = barrier.view(MOUNT);
            scope.spawn(move || {
                let mut random = Random(std::process::id().into());
                loop {
                    // Each writer has its own rows, so that a row's numbers rise.
                    let path = format!("d{}/r{}", random.below(5), random.below(ROWS / WRITERS) * WRITERS + writer);
                    let before = wait(view.get(&path)).unwrap();
                    let number =
                        before.map_or(0, |row| u64::from_be_bytes(row.value.expose()[..8].try_into().unwrap()));
                    let mut value = (number + 1).to_be_bytes().to_vec();
                    value.resize(8 + random.below(600) as usize, 1);
                    wait(view.put(&path, &value)).unwrap();
                    writeln!(std::io::stdout().lock(), "ack {path} {}", number + 1).unwrap();
                }
            });
        }
    });
}

#[test]
fn nothing_acknowledged_is_lost_to_kill_9() {
    let kills = std::env::var("KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut random = Random(1);
    let mut acknowledged: BTreeMap<String, u64> = BTreeMap::new();
    let mut total = 0;
    for kill in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(DIR, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (send, receive) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(send.send(line))));
        // From the first acknowledgement on, a random while; the kill comes from outside, so this is no wait for a clock.
        let mut seen = Vec::new();
        while let Ok(line) = receive.recv() {
            let first = line.starts_with("ack");
            seen.push(line);
            if first {
                break;
            }
        }
        std::thread::sleep(Duration::from_micros(random.below(150_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        reader.join().unwrap();
        seen.extend(receive.try_iter());
        for line in &seen {
            // A last line may be cut.
            if let [_, path, number] = line.split(' ').collect::<Vec<_>>()[..]
                && let Ok(number) = number.parse::<u64>()
            {
                let known = acknowledged.entry(path.to_owned()).or_default();
                *known = number.max(*known);
                total += 1;
            }
        }
        let barrier = open(&path);
        for (path, number) in &mut acknowledged {
            let row = wait(barrier.view(MOUNT).get(path)).unwrap().unwrap_or_else(|| panic!("{path} is lost"));
            let held = u64::from_be_bytes(row.value.expose()[..8].try_into().unwrap());
            // The write after the last acknowledged one may have been made, or not.
            assert!(held == *number || held == *number + 1, "kill {kill}: {path} holds {held}, acknowledged {number}");
            // It is read now, so the next process may not lose it either.
            *number = held;
        }
        assert_eq!(verify(&barrier).problems, [], "kill {kill}");
        barrier.close();
    }
    println!("{kills} kills, {total} acknowledged writes, {} rows: none lost", acknowledged.len());
    assert!(total >= kills, "the child wrote");
}
