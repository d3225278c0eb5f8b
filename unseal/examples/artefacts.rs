//! Prints one of each record of this version, with what opens it, for `tests/artefacts/`. Run it once for each new format
//! version and keep the old files for ever:
//! `cargo run -p strongroom-unseal --example artefacts > unseal/tests/artefacts/v2.txt`.
//!
//! Everything here protects nothing.

use std::sync::Arc;
use std::time::Duration;
use strongroom_hsm::{Device, Limits, Soft, SoftConfig};
use strongroom_secret::key::RootKey;
use strongroom_secret::{Key, SecretBytes};
use strongroom_unseal::*;

const CLUSTER: [u8; 16] = *b"artefact cluster";
const NOW: i64 = 1_800_000_000;

fn main() {
    let custodians_seal =
        Seal { name: "custodians".into(), kind: Kind::Shamir, quorum: Some(QuorumShape::new(2, 3).unwrap()) };
    let seal = |name: &str| Seal { name: name.into(), kind: Kind::Static, quorum: None };
    let expression: Expression = "any(config, all(away, 2 of 3 custodians))".parse().unwrap();
    let tree = expression.resolve(&[seal("config"), seal("away"), custodians_seal]).unwrap().tree;

    let (config, away) = (leaf("config", 0x11), leaf("away", 0x22));
    let belongs = Belongs { cluster: CLUSTER, generation: 1, leaf: "custodians".into() };
    let holders = ["Ada".to_owned(), "Grace".to_owned(), "Barbara".to_owned()];
    let (custodians, shares) = Custodians::deal(belongs, 2, &holders).unwrap();
    let leaves: [&dyn Leaf; 3] = [&config, &away, &custodians];
    let root = RootKey::generate().unwrap();
    let dealing =
        Dealing { cluster: CLUSTER, generation: 1, tree: &tree, leaves: &leaves, enrolled: Default::default() };
    let mut rows: Rows = wait(dealing.deal(&root)).unwrap().rows.into_iter().collect();
    let (recovery, recovery_shares) = Recovery::deal(CLUSTER, 1, 2, &holders).unwrap();
    rows.put(recovery.row());

    // One leaf away at a rotation: its slot waits, and generation 1 leads on.
    let leaves: [&dyn Leaf; 2] = [&config, &custodians];
    let rotation = Rotation {
        cluster: CLUSTER,
        rows: &rows,
        generation: 1,
        root: &root,
        tree: &tree,
        leaves: &leaves,
        now: NOW,
        age: Duration::from_secs(30 * 86_400),
        revoking: false,
    };
    let rotated = wait(rotation.rotate()).unwrap();
    rotated.change.apply(&mut rows);

    print("root/1", root.expose());
    print("root/2", rotated.root.expose());
    print("digest", &rows.digest(&rotated.root));
    for (number, share) in shares.iter().enumerate() {
        print(&format!("share/{}", number + 1), share.expose());
    }
    for (number, share) in recovery_shares.iter().enumerate() {
        print(&format!("recovery-share/{}", number + 1), share.expose());
    }
    let envelope = Envelope::new(custodians.set(), 1, &shares[1]).unwrap().encode();
    print("envelope", envelope.expose());
    for (name, bytes) in rows.iter() {
        print(&format!("row/{name}"), bytes);
    }
}

fn print(name: &str, bytes: &[u8]) {
    println!("{name} = {}", hex::encode(bytes));
}

fn leaf(name: &str, key: u8) -> DeviceLeaf {
    let current_key = Key::from_slice(SecretBytes::from_slice(&[key; 32]).expose()).unwrap();
    let soft = Soft::new(SoftConfig { current_key_id: "k1".into(), current_key, previous: None }).unwrap();
    let key = soft.current();
    let limits = Limits { threads: 1, queue: 8, timeout: Duration::from_secs(60) };
    DeviceLeaf::new(name, Kind::Static, Device::start(name, limits, Arc::new(soft)).unwrap(), key)
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut future = Box::pin(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(answer) => return answer,
            std::task::Poll::Pending => std::thread::yield_now(),
        }
    }
}
