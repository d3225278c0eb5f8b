//! Start to active: from exec to the first 200 of `sys/health`, with a static seal and with SoftHSM2, embedded storage.

use crate::median;
use crate::openbao::OpenBao;
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
    let mut token = token;
    let mut openbao = OpenBao::given();
    let (mut of_static, mut of_token, mut of_openbao) = (vec![], vec![], vec![]);
    // In turn, so that a slow minute of the machine is one for all.
    for _ in 0..rounds {
        of_static.push(restart(&mut fixed));
        of_token.push(restart(&mut token));
        of_openbao.extend(openbao.as_mut().map(OpenBao::restart));
    }
    let mut result = json!({});
    let beside = if of_openbao.is_empty() { None } else { Some(median(&of_openbao)) };
    for (name, times) in [("static", of_static), ("softhsm2", of_token), ("openbao static", of_openbao)] {
        if times.is_empty() {
            continue;
        }
        let ratio = beside.map(|beside| format!(", {:.2} of OpenBao's", median(&times) / beside)).unwrap_or_default();
        println!("start to active, {name}: median {:.1} ms of {rounds}{ratio}", median(&times));
        result[name] = json!({"milliseconds": times, "median": median(&times)});
    }
    result
}

fn restart(server: &mut TestServer) -> f64 {
    server.kill();
    let begin = Instant::now();
    server.restart();
    server.wait_active(Duration::from_secs(10));
    begin.elapsed().as_secs_f64() * 1e3
}
