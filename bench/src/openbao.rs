//! OpenBao beside the program, where `OPENBAO` names its binary: file storage, a static seal, a file audit device.

use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use strongroom_conformance::http::Client;

/// A running server.
pub(crate) struct OpenBao {
    program: PathBuf,
    directory: tempfile::TempDir,
    address: SocketAddr,
    child: Child,
    /// The root token.
    pub(crate) root: String,
}

impl OpenBao {
    /// Starts and initialises one; `None` when no binary is given.
    ///
    /// # Panics
    /// When the binary does not do what OpenBao 2.6 does.
    pub(crate) fn given() -> Option<Self> {
        let program = PathBuf::from(std::env::var_os("OPENBAO")?);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
        let at = directory.path().display();
        std::fs::write(directory.path().join("key"), (0..32).collect::<Vec<u8>>()).expect("the key can be written");
        let text = format!(
            "disable_mlock = true\nlog_level = \"error\"\napi_addr = \"http://{address}\"\n\
             storage \"file\" {{ path = \"{at}/data\" }}\n\
             listener \"tcp\" {{ address = \"{address}\"  tls_disable = true }}\n\
             seal \"static\" {{ current_key_id = \"1\"  current_key = \"file://{at}/key\" }}\n\
             audit \"file\" \"file\" {{ options {{ file_path = \"{at}/audit.log\" }} }}\n"
        );
        std::fs::write(directory.path().join("openbao.hcl"), text).expect("the configuration can be written");
        let child = spawn(&program, &directory);
        let mut server = OpenBao { program, directory, address, child, root: String::new() };
        server.wait(&[200, 501]);
        let reply =
            server.client().call("PUT", "sys/init", Some(&json!({"recovery_shares": 1, "recovery_threshold": 1})));
        let init = reply.json().expect("JSON");
        server.root = init["root_token"].as_str().unwrap_or_else(|| panic!("{init}")).to_owned();
        server.wait(&[200]);
        Some(server)
    }

    /// A client without a token.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// `http://…`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Kills it hard.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Milliseconds from exec to active, after a hard kill.
    pub(crate) fn restart(&mut self) -> f64 {
        self.kill();
        let begin = Instant::now();
        self.child = spawn(&self.program, &self.directory);
        self.wait(&[200]);
        begin.elapsed().as_secs_f64() * 1e3
    }

    /// A token under `policy` alone.
    pub(crate) fn token(&self, policies: &Value) -> String {
        let mut root = self.client().with_token(&self.root);
        let body = json!({"policies": policies, "no_default_policy": true, "ttl": "24h"});
        let reply = root.call("POST", "auth/token/create", Some(&body)).json().expect("JSON");
        reply["auth"]["client_token"].as_str().expect("a token").to_owned()
    }

    fn wait(&self, statuses: &[u16]) {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            match self.client().try_call("GET", "sys/health", None) {
                Ok(reply) if statuses.contains(&reply.status) => return,
                _ if Instant::now() > end => panic!("OpenBao is not active after a minute"),
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(program: &PathBuf, directory: &tempfile::TempDir) -> Child {
    Command::new(program)
        .arg("server")
        .arg(format!("-config={}", directory.path().join("openbao.hcl").display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("OPENBAO names a program")
}
