//! Where audit lines go: a file, opened to append, mode 0600; `stdout`; or another device node. One line is one
//! `write(2)`, and "held" means that it returned.

use parking_lot::RwLock;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a device that takes nothing is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two attempts at a device that takes nothing.
const PAUSE: Duration = Duration::from_millis(10);

/// One open device. Written to by many requests at once; the kernel keeps lines that are appended whole.
pub struct Sink {
    path: PathBuf,
    mode: u32,
    file: RwLock<Option<Arc<File>>>,
    /// Whether the last line stopped in its middle: the next one begins on a line of its own.
    torn: AtomicBool,
}

impl Sink {
    /// Opens the file, and makes it with `mode` where it is not there. Directories are not made.
    ///
    /// # Errors
    /// What the system says, with the path.
    pub fn open(path: &Path, mode: u32) -> io::Result<Self> {
        let sink = Sink { path: path.to_owned(), mode, file: RwLock::new(None), torn: AtomicBool::new(false) };
        sink.reopen()?;
        Ok(sink)
    }

    /// Opens the path again, after the file was moved away. The old file serves until the new one is open.
    ///
    /// # Errors
    /// What the system says, with the path; the old file goes on being used.
    pub fn reopen(&self) -> io::Result<()> {
        let file = open(&self.path, self.mode)
            .map_err(|error| io::Error::new(error.kind(), format!("audit file {}: {error}", self.path.display())))?;
        *self.file.write() = Some(Arc::new(file));
        Ok(())
    }

    /// Appends one line, its newline included, without waiting.
    pub fn offer(&self, line: &[u8]) -> Offer {
        let Some(file) = self.file.read().clone() else { return Offer::Failed(io::ErrorKind::NotConnected.into()) };
        if self.torn.swap(false, Ordering::Relaxed)
            && let Err(error) = (&*file).write_all(b"\n")
        {
            self.torn.store(true, Ordering::Relaxed);
            return Offer::failed(error, 0);
        }
        self.write_on(&file, line, 0)
    }

    /// Goes on with a line that was offered, of which `done` bytes are written, and waits for the device: not for ever.
    ///
    /// # Errors
    /// The line is not held: the device failed, or took nothing in time.
    pub async fn insist(&self, line: &[u8], mut done: usize) -> io::Result<()> {
        let mut waited = Duration::ZERO;
        loop {
            let Some(file) = self.file.read().clone() else { return Err(io::ErrorKind::NotConnected.into()) };
            match self.write_on(&file, line, done) {
                Offer::Held => return Ok(()),
                Offer::Failed(error) => return Err(error),
                Offer::Busy(now_done) => done = now_done,
            }
            if waited >= PATIENCE {
                self.abandon(done);
                return Err(io::ErrorKind::TimedOut.into());
            }
            tokio::time::sleep(PAUSE).await;
            waited += PAUSE;
        }
    }

    /// Gives up a line of which `done` bytes are written.
    pub fn abandon(&self, done: usize) {
        if done > 0 {
            self.torn.store(true, Ordering::Relaxed);
        }
    }

    fn write_on(&self, mut file: &File, line: &[u8], mut done: usize) -> Offer {
        loop {
            let error = match file.write(&line[done..]) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(written) if done + written == line.len() => return Offer::Held,
                Ok(written) => {
                    done += written;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let offer = Offer::failed(error, done);
            if matches!(offer, Offer::Failed(_)) {
                self.abandon(done);
            }
            return offer;
        }
    }
}

/// What became of a line.
#[derive(Debug)]
pub enum Offer {
    /// The device has it.
    Held,
    /// The device takes nothing just now; so many bytes of the line are written.
    Busy(usize),
    /// The device failed.
    Failed(io::Error),
}

impl Offer {
    fn failed(error: io::Error, done: usize) -> Self {
        if error.kind() == io::ErrorKind::WouldBlock { Offer::Busy(done) } else { Offer::Failed(error) }
    }
}

fn open(path: &Path, mode: u32) -> io::Result<File> {
    if path == Path::new("stdout") {
        return OpenOptions::new().append(true).open("/dev/stdout");
    }
    // O_NONBLOCK does nothing to a regular file, and keeps a pipe that nobody reads from holding up the server.
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(mode)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY)
        .open(path)?;
    let metadata = file.metadata()?;
    let kind = metadata.file_type();
    if kind.is_block_device() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is a block device"));
    }
    if kind.is_file() && metadata.permissions().mode() & 0o777 != mode {
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
    }

    fn append(sink: &Sink, line: &[u8]) {
        assert!(matches!(sink.offer(line), Offer::Held));
    }

    #[test]
    fn a_new_file_is_for_its_owner_alone_and_an_old_one_becomes_so() {
        let directory = tempfile::tempdir().unwrap();
        for make_first in [false, true] {
            let path = directory.path().join(format!("{make_first}.log"));
            if make_first {
                std::fs::write(&path, "old\n").unwrap();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
            }
            let sink = Sink::open(&path, 0o600).unwrap();
            append(&sink, b"line\n");
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let want = if make_first { "old\nline\n" } else { "line\n" };
            assert_eq!(std::fs::read_to_string(&path).unwrap(), want);
        }
    }

    #[test]
    fn a_missing_directory_is_an_error_that_names_the_path() {
        let error = Sink::open(Path::new("/nonexistent-directory/audit.log"), 0o600).err().unwrap();
        assert!(error.to_string().contains("/nonexistent-directory/audit.log"), "{error}");
    }

    #[test]
    fn reopening_follows_the_path() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (directory.path().join("a"), directory.path().join("b"));
        let sink = Sink::open(&path, 0o600).unwrap();
        append(&sink, b"1\n");
        std::fs::rename(&path, &moved).unwrap();
        append(&sink, b"2\n");
        sink.reopen().unwrap();
        append(&sink, b"3\n");
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "1\n2\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "3\n");
        std::fs::remove_dir_all(directory.path()).unwrap();
        assert!(sink.reopen().is_err());
        append(&sink, b"4\n");
    }

    #[test]
    fn a_full_device_is_an_error() {
        let sink = Sink::open(Path::new("/dev/full"), 0o600).unwrap();
        let Offer::Failed(error) = sink.offer(b"line\n") else { panic!("a full device holds nothing") };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_given_up_after_a_while() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert!(Sink::open(&path, 0o600).is_err(), "nobody reads");
        let reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let sink = Sink::open(&path, 0o600).unwrap();
        let line = vec![b'x'; 1 << 20];
        let Offer::Busy(done) = sink.offer(&line) else { panic!("a pipe has less room") };
        assert!(done > 0);
        // Time is paused, so the two seconds pass at once.
        let error = run(sink.insist(&line, done)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // What was cut short is ended before the next line.
        let mut held = vec![0; 1 << 20];
        let first = std::io::Read::read(&mut &reader, &mut held).unwrap();
        append(&sink, b"next\n");
        let second = std::io::Read::read(&mut &reader, &mut held[first..]).unwrap();
        assert!(held[..first + second].ends_with(b"x\nnext\n"));
    }
}
