//! The protocol, explored exhaustively: every run of up to sixteen steps, with crashes anywhere, devices coming and going,
//! and any older copy of the store put back.

use super::*;
use std::collections::HashSet;

/// How many devices the model has.
const DEVICES: usize = 2;
/// Copies of the store that the adversary keeps: one, or two in the long run (`STRONGROOM_LONG`, 5,756,178 states).
const COPIES: usize = 2;
const STEPS: usize = 16;

/// What lies in storage: the head's counters, and how much of the history it holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
struct Copy {
    counters: [u8; DEVICES],
    /// The number of the last serving session whose writes it holds, and how many writes of it.
    writes: u8,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct World {
    store: Copy,
    kept: [Option<Copy>; COPIES],
    /// The devices' own counters, which the adversary cannot lower.
    counters: [u8; DEVICES],
    /// The writes that the store held when each device was last raised: less is a rollback past a confirmed epoch.
    confirmed: [u8; DEVICES],
    running: Running,
    /// Whether no older copy was ever put back. Once one was, while the devices were away, the store is another branch of
    /// the history, and devices may well refuse it later.
    honest: bool,
    /// Whether an older copy that was put back, inside the window, has been written to since, if only by a raise. Its history is another
    /// branch then, and a counter cannot tell two branches apart: what was written in an interrupted raise of the first
    /// may be taken for the same raise of the second (stated in `docs/decisions/0013-epoch.md`).
    forked: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Running {
    No,
    /// The next epoch is durable; the devices of the mask are still to be raised.
    Raising {
        left: u8,
        present: u8,
    },
    Serving,
}

fn id(n: usize) -> DeviceId {
    DeviceId([n as u8; 16])
}

fn readings(world: &World, present: u8) -> Vec<Reading> {
    (0..DEVICES)
        .filter(|n| present >> n & 1 == 1)
        .map(|n| Reading { id: id(n), counter: world.counters[n].into() })
        .collect()
}

/// A raise: the head's counters move, then the devices of the mask are to be raised.
fn raise_in(world: &World, present: u8) -> Result<World, Error> {
    let mut devices: Vec<_> =
        (0..DEVICES).map(|n| Device { id: id(n), counter: world.store.counters[n].into() }).collect();
    let targets = raise(&mut devices, &readings(world, present))?;
    let mut next = world.clone();
    next.store.counters = std::array::from_fn(|n| devices[n].counter as u8);
    let left = targets.iter().fold(0, |mask, target| mask | 1 << target.id.0[0]);
    for target in &targets {
        let counter = world.counters[usize::from(target.id.0[0])];
        assert!(target.counter > counter.into(), "a device is only ever asked for a counter that it has not had");
    }
    next.running = Running::Raising { left, present };
    next.forked |= !next.honest;
    Ok(next)
}

fn step(world: &World, copies: usize) -> Vec<World> {
    let mut next = Vec::new();
    let mut push = |change: &dyn Fn(&mut World)| {
        let mut world = world.clone();
        change(&mut world);
        next.push(world);
    };
    // The adversary copies what is in storage, at any time, over any copy that it keeps.
    for slot in COPIES - copies..COPIES {
        push(&|world| world.kept[slot] = Some(world.store));
    }
    match world.running {
        Running::No => {
            for copy in world.kept.iter().flatten() {
                push(&|world| {
                    world.honest &= world.store == *copy;
                    world.store = *copy;
                });
            }
            for present in 0..1 << DEVICES {
                match raise_in(world, present) {
                    Ok(raising) => {
                        // No device that is here accepts a store from before its last raise.
                        for n in (0..DEVICES).filter(|n| present >> n & 1 == 1) {
                            let kept = world.forked || world.store.writes >= world.confirmed[n];
                            assert!(kept, "rolled back past a raise: {world:?}");
                        }
                        next.push(raising);
                    }
                    Err(error) => assert!(!world.honest, "locked out by {error}: {world:?}"),
                }
            }
        }
        Running::Raising { left: 0, .. } => push(&|world| world.running = Running::Serving),
        Running::Raising { left, present } => {
            let n = left.trailing_zeros() as usize;
            // Raised; or the device goes away and does not vouch; or the store stops first.
            push(&|world| {
                world.counters[n] = world.store.counters[n];
                world.confirmed[n] = world.store.writes;
                world.running = Running::Raising { left: left & !(1 << n), present };
            });
            push(&|world| world.running = Running::Raising { left: left & !(1 << n), present });
            push(&|world| world.running = Running::No);
        }
        Running::Serving => {
            push(&|world| {
                world.store.writes += 1;
                world.forked |= !world.honest;
            });
            push(&|world| world.running = Running::No);
            for present in 0..1 << DEVICES {
                // While it serves, what it wrote last is in place.
                next.extend(raise_in(world, present).ok());
            }
        }
    }
    next
}

#[test]
fn no_run_locks_out_and_none_goes_back_past_a_raise() {
    let start = World {
        store: Copy { counters: [0; DEVICES], writes: 0 },
        kept: [None; COPIES],
        counters: [0; DEVICES],
        confirmed: [0; DEVICES],
        running: Running::No,
        honest: true,
        forked: false,
    };
    let copies = if std::env::var_os("STRONGROOM_LONG").is_some() { COPIES } else { 1 };
    let mut seen = HashSet::from([start.clone()]);
    let mut front = vec![start];
    for _ in 0..STEPS {
        let mut next = Vec::new();
        for mut world in front.iter().flat_map(|world| step(world, copies)) {
            world.kept.sort();
            if seen.insert(world.clone()) {
                next.push(world);
            }
        }
        front = next;
    }
    assert!(seen.len() > 10_000, "{} states were seen", seen.len());
    println!("{} states", seen.len());
}

#[test]
fn a_device_ahead_is_a_rollback_and_one_far_behind_vouches_for_nothing() {
    let device = |counter| vec![Device { id: id(1), counter }];
    assert!(matches!(
        raise(&mut device(5), &[Reading { id: id(1), counter: 6 }]),
        Err(Error::RollbackDetected { counter: 6, stored: 5, .. })
    ));
    for (reading, target) in [(50, Some(51)), (49, Some(51)), (50 - BEHIND, Some(51)), (49 - BEHIND, None), (0, None)] {
        let mut known = device(50);
        let targets = raise(&mut known, &[Reading { id: id(1), counter: reading }]).unwrap();
        assert_eq!(targets.first().map(|device| device.counter), target, "reading {reading}");
        assert_eq!(known[0].counter, target.unwrap_or(50));
    }
    assert!(raise(&mut device(5), &[Reading { id: id(2), counter: 99 }]).unwrap().is_empty(), "not one of ours");
    let full = raise(&mut device(u64::MAX), &[Reading { id: id(1), counter: u64::MAX }]).unwrap();
    assert!(full.is_empty(), "a counter at its end cannot vouch");
}
