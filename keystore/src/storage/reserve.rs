//! Space kept back on the store's file system, given up piece by piece so that what must go through on a full disk does:
//! deletes, revocations, and the store's own writes at an unseal.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes kept back. A commit of a thousand deletes writes about half of it; what it frees serves the next.
pub(super) const SIZE: u64 = 8 << 20;
/// The file beside the store's.
const FILE: &str = "store.reserve";
/// The least that is given up at a time.
const STEP: u64 = 1 << 20;

/// A file whose only content is the space that it takes.
pub(super) struct Reserve {
    path: PathBuf,
    held: AtomicU64,
}

impl Reserve {
    /// What an earlier process left of it; nothing is written yet.
    pub(super) fn of(directory: &Path) -> Reserve {
        let path = directory.join(FILE);
        let held = fs::metadata(&path).map_or(0, |found| found.len());
        Reserve { path, held: AtomicU64::new(held) }
    }

    /// Makes it whole. When there is no space for that, it is left as it was: the last free bytes of a disk are not taken
    /// from others, the audit log among them.
    pub(super) fn fill(&self) -> io::Result<()> {
        let held = self.held.load(Ordering::Relaxed);
        if held >= SIZE {
            return Ok(());
        }
        let mut file = self.open()?;
        let filled = write_noise(&mut file, held);
        if filled.is_err() {
            file.set_len(held)?;
        } else {
            self.held.store(SIZE, Ordering::Relaxed);
        }
        filled
    }

    /// Gives up at least `needed` bytes, or what is left; `false` when nothing was left.
    pub(super) fn give(&self, needed: u64) -> bool {
        let held = self.held.load(Ordering::Relaxed);
        let rest = held.saturating_sub(needed.max(STEP));
        if held == 0 {
            return false;
        }
        // Synced, since some file systems hand freed blocks out again only then.
        let given = self.open().and_then(|file| file.set_len(rest).and_then(|()| file.sync_all()));
        // A reserve that cannot be made smaller is none.
        self.held.store(if given.is_ok() { rest } else { 0 }, Ordering::Relaxed);
        given.is_ok()
    }

    fn open(&self) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.path)
    }
}

/// Writes from `held` to [`SIZE`], bytes that a file system cannot compress.
fn write_noise(file: &mut File, held: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(held))?;
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ held;
    let mut left = usize::try_from(SIZE - held).unwrap_or(0);
    let mut block = vec![0; 1 << 16];
    while left > 0 {
        for word in block.chunks_exact_mut(8) {
            // xorshift64: no randomness is needed, only no pattern.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_be_bytes());
        }
        let n = left.min(block.len());
        file.write_all(&block[..n])?;
        left -= n;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_given_up_in_pieces_made_whole_again_and_found_by_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::of(dir.path());
        assert!(!reserve.give(1), "nothing is there yet");
        reserve.fill().unwrap();
        let len = || fs::metadata(dir.path().join(FILE)).unwrap().len();
        assert_eq!(len(), SIZE);
        assert!(reserve.give(1));
        assert_eq!(len(), SIZE - STEP);
        assert!(reserve.give(3 * STEP));
        assert_eq!(len(), SIZE - 4 * STEP);
        let next = Reserve::of(dir.path());
        assert!(next.give(SIZE), "what is left");
        assert_eq!(len(), 0);
        assert!(!next.give(1));
        next.fill().unwrap();
        assert_eq!(len(), SIZE);
    }

    #[test]
    fn one_that_cannot_be_written_is_none() {
        let reserve = Reserve::of(Path::new("/proc/nowhere"));
        assert!(reserve.fill().is_err());
        assert!(!reserve.give(1));
    }
}
