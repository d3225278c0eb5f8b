//! kill -9 under load, and power cuts: another process keeps what was acknowledged. 20 kills, or as many as `KILLS` says.

mod common;

use common::{MOUNT, Random, options, root, verify};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
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

/// What was acknowledged, over many ends of the child.
#[derive(Default)]
struct Ledger {
    rows: BTreeMap<String, u64>,
    total: u64,
}

impl Ledger {
    /// Starts the child on a store, ends it by `end` a random while after its first acknowledgement, and notes what it said.
    fn round(&mut self, path: &Path, random: &mut Random, end: impl FnOnce()) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(DIR, path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (send, receive) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(send.send(line))));
        // From the first acknowledgement on, a random while; the end comes from outside, so this is no wait for a clock.
        let mut seen = Vec::new();
        while let Ok(line) = receive.recv() {
            let first = line.starts_with("ack");
            seen.push(line);
            if first {
                break;
            }
        }
        std::thread::sleep(Duration::from_micros(random.below(150_000)));
        end();
        // It may have ended by itself when its disk went away.
        let _ = child.kill();
        child.wait().unwrap();
        reader.join().unwrap();
        seen.extend(receive.try_iter());
        for line in &seen {
            // A last line may be cut.
            if let [_, path, number] = line.split(' ').collect::<Vec<_>>()[..]
                && let Ok(number) = number.parse::<u64>()
            {
                let known = self.rows.entry(path.to_owned()).or_default();
                *known = number.max(*known);
                self.total += 1;
            }
        }
    }

    /// Everything that was acknowledged is in the store.
    fn check(&mut self, path: &Path, round: u64) {
        let barrier = open(path);
        for (path, number) in &mut self.rows {
            let row = wait(barrier.view(MOUNT).get(path)).unwrap().unwrap_or_else(|| panic!("{path} is lost"));
            let held = u64::from_be_bytes(row.value.expose()[..8].try_into().unwrap());
            // The write after the last acknowledged one may have been made, or not.
            assert!(held == *number || held == *number + 1, "{round}: {path} holds {held}, acknowledged {number}");
            // It is read now, so the next process may not lose it either.
            *number = held;
        }
        assert_eq!(verify(&barrier).problems, [], "{round}");
        barrier.close();
    }
}

#[test]
fn nothing_acknowledged_is_lost_to_kill_9() {
    let kills = std::env::var("KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let (mut ledger, mut random) = (Ledger::default(), Random(1));
    for kill in 0..kills {
        // The kill is what every round ends with.
        ledger.round(&path, &mut random, || {});
        ledger.check(&path, kill);
    }
    println!("{kills} kills, {} acknowledged writes, {} rows: none lost", ledger.total, ledger.rows.len());
    assert!(ledger.total >= kills, "the child wrote");
}

/// A file system in a file, which forgets on command what it has not flushed. Needs root, a loop device and xfs.
struct Xfs {
    image: PathBuf,
    at: PathBuf,
}

impl Xfs {
    fn make(dir: &Path) -> Xfs {
        let xfs = Xfs { image: dir.join("image"), at: dir.join("mounted") };
        std::fs::create_dir(&xfs.at).unwrap();
        std::fs::File::create(&xfs.image).unwrap().set_len(512 << 20).unwrap();
        run("mkfs.xfs", &["-q".as_ref(), xfs.image.as_ref()]);
        xfs.mount();
        xfs
    }

    fn mount(&self) {
        run("mount", &["-o".as_ref(), "loop".as_ref(), self.image.as_ref(), self.at.as_ref()]);
    }

    /// Nothing that was not flushed reaches the disk any more, not even the file system's own log.
    fn cut(&self) {
        run("xfs_io", &["-x".as_ref(), "-c".as_ref(), "shutdown".as_ref(), self.at.as_ref()]);
    }

    fn unmount(&self) {
        run("umount", &[self.at.as_ref()]);
    }
}

impl Drop for Xfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).output();
    }
}

fn run(program: &str, arguments: &[&OsStr]) {
    let done = Command::new(program).args(arguments).output().unwrap();
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
}

/// As many as `POWER_CUTS` says, none without: `power.rs` has the same on a disk of its own, without root.
#[test]
fn nothing_acknowledged_is_lost_to_a_power_cut() {
    let cuts = std::env::var("POWER_CUTS").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    if cuts == 0 {
        println!("skipped: POWER_CUTS is not set");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let xfs = Xfs::make(dir.path());
    let path = xfs.at.join("store");
    let (mut ledger, mut random) = (Ledger::default(), Random(2));
    for cut in 0..cuts {
        ledger.round(&path, &mut random, || xfs.cut());
        xfs.unmount();
        xfs.mount();
        ledger.check(&path, cut);
    }
    println!("{cuts} power cuts, {} acknowledged writes, {} rows: none lost", ledger.total, ledger.rows.len());
    assert!(ledger.total >= cuts, "the child wrote");
}
