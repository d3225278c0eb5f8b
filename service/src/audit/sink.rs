//! Where audit lines go: a file, opened to append, mode 0600; `stdout`; or another device node. "Held" means that the
//! `write(2)` that a line was in has returned.

use super::gather::{Gather, Offer};
use parking_lot::Mutex;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a device that takes nothing is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two attempts at a device that takes nothing.
const PAUSE: Duration = Duration::from_millis(10);

/// One open device, which many requests write to at once.
pub struct Sink {
    path: PathBuf,
    mode: u32,
    gather: Gather,
    output: Mutex<Output>,
    /// Whose turn it is to wait for a device that takes nothing.
    turn: tokio::sync::Mutex<()>,
}

struct Output {
    file: File,
    /// Where the last bytes stopped.
    at: At,
    /// How often the path was opened again.
    opened: u64,
}

/// Where the device's last line stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// At its end.
    Newline,
    /// In its middle, and it is given up: the next one begins on a line of its own.
    Torn,
    /// In its middle, and somebody waits to go on with it: nobody else writes.
    Middle,
}

impl Sink {
    /// Opens the file, and makes it with `mode` where it is not there. Directories are not made.
    ///
    /// # Errors
    /// What the system says, with the path.
    pub fn open(path: &Path, mode: u32) -> io::Result<Self> {
        let output = Mutex::new(Output { file: open_named(path, mode)?, at: At::Newline, opened: 0 });
        Ok(Sink { path: path.to_owned(), mode, gather: Gather::default(), output, turn: tokio::sync::Mutex::default() })
    }

    /// Opens the path again, after the file was moved away. The old file serves until the new one is open.
    ///
    /// # Errors
    /// What the system says, with the path; the old file goes on being used.
    pub fn reopen(&self) -> io::Result<()> {
        let file = open_named(&self.path, self.mode)?;
        let mut output = self.output.lock();
        // The new name may lead to the same pipe: a line that was cut short ends before the next one.
        let at = if output.at == At::Newline { At::Newline } else { At::Torn };
        *output = Output { file, at, opened: output.opened + 1 };
        Ok(())
    }

    /// Appends one line, its newline included, together with those of requests that are served at the same time, without
    /// waiting for a device that takes nothing.
    pub async fn offer(&self, line: &[u8]) -> Offer {
        self.gather.offer(line, |lines| self.output.lock().append(lines)).await
    }

    /// Appends a line that the device would not take, and waits for the device: not for ever.
    ///
    /// # Errors
    /// The line is not held: the device failed, or took nothing in time.
    pub async fn insist(&self, line: &[u8]) -> io::Result<()> {
        let (mut done, mut opened) = (0, None);
        let patient = tokio::time::timeout(PATIENCE, async {
            let _turn = self.turn.lock().await;
            loop {
                match self.output.lock().go_on(line, &mut done, &mut opened) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => return result,
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        let result = patient.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if result.is_err() && done > 0 {
            self.output.lock().at = At::Torn;
        }
        result
    }
}

impl Output {
    /// Appends whole lines: how many bytes the device took, and why not more.
    fn append(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        if self.at == At::Middle {
            return (0, Err(io::ErrorKind::WouldBlock.into()));
        }
        let mut done = 0;
        let result = self.write(lines, &mut done);
        if done > 0 {
            self.at = if lines[done - 1] == b'\n' { At::Newline } else { At::Torn };
        }
        (done, result)
    }

    /// Goes on with a line of which `done` bytes are written, in the file that was open then; begins again in another one.
    fn go_on(&mut self, line: &[u8], done: &mut usize, opened: &mut Option<u64>) -> io::Result<()> {
        if opened.replace(self.opened) != Some(self.opened) {
            *done = 0;
        }
        let result = self.write(line, done);
        if *done > 0 {
            self.at = if *done == line.len() { At::Newline } else { At::Middle };
        }
        result
    }

    fn write(&mut self, bytes: &[u8], done: &mut usize) -> io::Result<()> {
        if self.at == At::Torn {
            self.file.write_all(b"\n")?;
            self.at = At::Newline;
        }
        while *done < bytes.len() {
            match self.file.write(&bytes[*done..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => *done += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn open_named(path: &Path, mode: u32) -> io::Result<File> {
    open(path, mode).map_err(|error| io::Error::new(error.kind(), format!("audit file {}: {error}", path.display())))
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
        assert!(matches!(run(sink.offer(line)), Offer::Held));
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
        let Offer::Failed(error) = run(sink.offer(b"line\n")) else { panic!("a full device holds nothing") };
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
        let offer = run(sink.offer(&line));
        assert!(matches!(offer, Offer::Busy), "a pipe has less room: {offer:?}");
        // Time is paused, so the two seconds pass at once.
        let error = run(sink.insist(&line)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // What was cut short is ended before the next line.
        let mut held = vec![0; 1 << 20];
        let first = std::io::Read::read(&mut &reader, &mut held).unwrap();
        append(&sink, b"next\n");
        let second = std::io::Read::read(&mut &reader, &mut held[first..]).unwrap();
        assert!(held[..first + second].ends_with(b"x\nnext\n"));
    }

    #[test]
    fn nobody_writes_into_the_line_of_somebody_who_waits() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let mut reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let sink = Sink::open(&path, 0o600).unwrap();
        let (long, short) = ([vec![b'x'; 1 << 18], b"\n".to_vec()].concat(), b"short\n".as_slice());
        let mut held = Vec::new();
        run(async {
            let mut waits = std::pin::pin!(sink.insist(&long));
            for _ in 0..64 {
                let once = std::future::poll_fn(|cx| std::task::Poll::Ready(waits.as_mut().poll(cx).is_ready()));
                if once.await {
                    break;
                }
                assert!(matches!(sink.offer(short).await, Offer::Busy));
                let mut room = vec![0; 1 << 16];
                let read = std::io::Read::read(&mut reader, &mut room).unwrap();
                held.extend_from_slice(&room[..read]);
                tokio::time::advance(PAUSE).await;
            }
        });
        append(&sink, short);
        let mut room = vec![0; 1 << 16];
        let read = std::io::Read::read(&mut reader, &mut room).unwrap();
        held.extend_from_slice(&room[..read]);
        assert_eq!(held, [long.as_slice(), short].concat());
    }

    #[test]
    fn a_line_that_waits_while_the_path_is_opened_again_is_written_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let mut reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let sink = Sink::open(&path, 0o600).unwrap();
        let long = [vec![b'x'; 1 << 17], b"\n".to_vec()].concat();
        let mut held = Vec::new();
        run(async {
            let mut waits = std::pin::pin!(sink.insist(&long));
            let mut reopened = false;
            for _ in 0..64 {
                let once = std::future::poll_fn(|cx| std::task::Poll::Ready(waits.as_mut().poll(cx).is_ready()));
                if once.await {
                    break;
                }
                if !std::mem::replace(&mut reopened, true) {
                    sink.reopen().unwrap();
                }
                let mut room = vec![0; 1 << 16];
                let read = std::io::Read::read(&mut reader, &mut room).unwrap();
                held.extend_from_slice(&room[..read]);
                tokio::time::advance(PAUSE).await;
            }
        });
        append(&sink, b"next\n");
        let mut room = vec![0; 1 << 17];
        let read = std::io::Read::read(&mut reader, &mut room).unwrap();
        held.extend_from_slice(&room[..read]);
        assert!(held.windows(long.len()).any(|part| part == long), "the line lies in the pipe whole");
        assert!(held.ends_with(b"\nnext\n"));
    }

    #[test]
    fn lines_offered_at_once_are_whole_and_all_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let sink = std::sync::Arc::new(Sink::open(&path, 0o600).unwrap());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
        runtime.block_on(async {
            let all = (0..500).map(|n: usize| {
                let sink = sink.clone();
                tokio::spawn(async move {
                    for round in 0..10 {
                        let line = format!("{n} {round} {}\n", "y".repeat(n));
                        assert!(matches!(sink.offer(line.as_bytes()).await, Offer::Held));
                        let text = std::fs::read(&sink.path).unwrap();
                        assert!(
                            round > 0
                                || !n.is_multiple_of(100)
                                || text.windows(line.len()).any(|part| part == line.as_bytes())
                        );
                    }
                })
            });
            for one in all.collect::<Vec<_>>() {
                one.await.unwrap();
            }
        });
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), 5000);
        for line in lines {
            let [n, _, rest] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            assert_eq!(rest.len(), n.parse::<usize>().unwrap());
        }
    }
}
