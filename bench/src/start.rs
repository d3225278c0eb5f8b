//! Start to active: from exec to the first 200 of `sys/health`, with a static seal and with SoftHSM2, embedded storage.

use crate::median;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use strongroom_conformance::TestServer;
use strongroom_conformance::server::{Config, Storage};

/// Runs `rounds` restarts of each kind.
pub(crate) fn run(rounds: u64) -> Value {
    let (token, _, _kept) = TestServer::on_a_token(Storage::Embedded, false);
    let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
    let stanzas = "seal \"static\" \"key\" { current_key_id = \"1\"  current_key = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\" }";
    let config = Config { storage: Storage::Embedded, stanzas: stanzas.into(), quiet: true, ..Config::default() };
    let mut fixed = TestServer::start_in(directory, config);
    fixed.initialise(&json!({"recovery_shares": 1, "recovery_threshold": 1}));
    fixed.wait_active(Duration::from_secs(10));
    let mut result = json!({});
    for (name, mut server) in [("static", fixed), ("softhsm2", token)] {
        let mut times = Vec::new();
        for _ in 0..rounds {
            server.kill();
            let begin = Instant::now();
            server.restart();
            server.wait_active(Duration::from_secs(10));
            times.push(begin.elapsed().as_secs_f64() * 1e3);
        }
        println!("start to active, {name}: median {:.1} ms of {rounds} (OpenBao 2.6.2: 80-84 ms)", median(&times));
        result[name] = json!({"milliseconds": times, "median": median(&times)});
    }
    result
}
