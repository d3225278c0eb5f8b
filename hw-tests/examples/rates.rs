//! How fast a token key seals and opens here, beside the bare calls: `cargo run --release -p strongroom-hw-tests --example
//! rates`. Each line is the median of five runs in one process; compare lines of one run only.

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::Attribute;
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use std::process::Command;
use std::time::Instant;
use strongroom_hsm::{Device, KeyKind, KeyName, Limits, NewKey};
use strongroom_hw_tests::{Kind, PIN, Stand};
use strongroom_secret::SecretBytes;

const ROUNDS: u32 = 2_000;
const READY: &str = "STRONGROOM_RATES";

fn main() {
    if std::env::var_os(READY).is_some() {
        return measure();
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let stand = Stand::prepare(Kind::SoftHsm, directory.path());
    let this = std::env::current_exe().expect("a running program has a file");
    let status = Command::new(this).envs(stand.environment()).env(READY, directory.path()).status();
    assert!(status.expect("the example can be started again").success());
}

fn measure() {
    let directory = std::path::PathBuf::from(std::env::var_os(READY).expect("the parent set it"));
    let stand = Stand::inherit(Kind::SoftHsm, &directory);
    let token = stand.token();
    let key = KeyName::Label("root".into());
    token.generate_key(&NewKey::new("root", KeyKind::Aes256).expect("well-formed")).expect("the key is made");
    let secret = || SecretBytes::from_slice(&[7; 32]);
    let sealed = token.seal(&key, b"aad", &secret()).expect("it seals");

    // The module counts its users: this context shares the login above.
    let context = Pkcs11::new(stand.kind().module()).expect("the module is loaded");
    let _ = context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    let slot = context.get_slots_with_initialized_token().expect("slots")[0];
    let session = context.open_ro_session(slot).expect("a session");
    let _ = session.login(UserType::User, Some(&AuthPin::new(PIN.into())));
    let handle = session.find_objects(&[Attribute::Label(b"root".to_vec())]).expect("found")[0];
    let bare = || {
        let mut nonce = [1; 12];
        let params = GcmParams::new(&mut nonce, b"aad", 128.into()).expect("parameters");
        session.encrypt(&Mechanism::AesGcm(params), handle, &[7; 64]).expect("it encrypts");
    };

    let device = Device::start("bench", Limits::default(), stand.token()).expect("threads");
    let waiting = |device: &Device| device.open(key.clone(), b"aad".to_vec(), sealed.clone());
    let base = rate("C_Encrypt, 64 B (bare)", None, bare);
    rate("open", Some(base), || drop(token.open(&key, b"aad", &sealed).expect("it opens")));
    rate("seal (encrypt, then decrypt and compare)", Some(base), || {
        drop(token.seal(&key, b"aad", &secret()).expect("it seals"));
    });
    rate("open through a device, one at a time", Some(base), || drop(waiting(&device).wait().expect("it opens")));
    let batch = rate("open through a device, 64 at a time", None, || {
        let calls: Vec<_> = (0..64).map(|_| waiting(&device)).collect();
        calls.into_iter().for_each(|call| drop(call.wait().expect("it opens")));
    });
    println!("{:>48}: {:>9.0} /s, {:>4.0} % of bare", "the same, per call", batch * 64.0, batch * 6400.0 / base);
}

fn rate(name: &str, base: Option<f64>, mut op: impl FnMut()) -> f64 {
    let mut rates: Vec<f64> = (0..5)
        .map(|_| {
            let start = Instant::now();
            (0..ROUNDS / 5).for_each(|_| op());
            f64::from(ROUNDS / 5) / start.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    let share = base.map(|base| format!(", {:>4.0} % of bare", rates[2] * 100.0 / base)).unwrap_or_default();
    println!("{name:>48}: {:>9.0} /s{share}", rates[2]);
    rates[2]
}
