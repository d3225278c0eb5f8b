//! What systemd is told over its socket (sd_notify(3)).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The server answers requests, at these addresses: for whoever started it with port 0.
pub(crate) fn ready(listeners: &[String]) {
    send(format!("READY=1\nX_LISTENERS={}\n", listeners.join(" ")).as_bytes());
}

/// The server is about to end.
pub(crate) fn stopping() {
    send(b"STOPPING=1\n");
}

fn send(message: &[u8]) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send_to(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()), message) {
        tracing::warn!(%error, "NOTIFY_SOCKET cannot be told");
    }
}

/// A path, or with `@` in front a name of Linux's abstract namespace.
fn send_to(path: &[u8], message: &[u8]) -> std::io::Result<()> {
    let address = match path {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(path))?,
    };
    UnixDatagram::unbound()?.send_to_addr(message, &address).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_an_abstract_name_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        send_to(path.as_os_str().as_encoded_bytes(), b"READY=1\n").unwrap();
        let name = format!("strongroom-test-{}", std::process::id());
        let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send_to(format!("@{name}").as_bytes(), b"READY=1\n").unwrap();
        for socket in [by_path, by_name] {
            let mut held = [0; 16];
            let length = socket.recv(&mut held).unwrap();
            assert_eq!(&held[..length], b"READY=1\n");
        }
        assert!(send_to(b"/nonexistent-directory/notify", b"x").is_err());
    }
}
