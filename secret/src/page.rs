//! Pages that hold keys: `memfd_secret` where the kernel has it (not readable through `/proc`, by a debugger or by another
//! kernel mapping, never swapped), else locked anonymous memory that no core dump takes, else plain memory; which one it
//! is, is said by [`kind`] and logged by the program at start.
//!
//! Keys are small, so a region is cut into slots of 64 bytes; a key takes as many neighbours as it needs.

#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::Mutex;

const SLOT: usize = 64;
/// One region: 1,024 slots. Few are ever needed; each counts against the limit of locked memory.
const REGION: usize = 64 << 10;

/// How key pages are kept from prying eyes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Protection {
    /// `memfd_secret(2)`: gone from the kernel's own map.
    Secret,
    /// `mlock(2)` and `MADV_DONTDUMP`: not swapped, not dumped, readable by root.
    Locked,
    /// The limit of locked memory is reached, or locking is not allowed: `MADV_DONTDUMP` alone.
    Plain,
}

struct Region {
    base: NonNull<u8>,
    taken: Vec<bool>,
    protection: Protection,
}

// SAFETY: a region is plain memory; who may touch which slot is decided under the lock and by ownership of `Slots`.
unsafe impl Send for Region {}

static REGIONS: Mutex<Vec<Region>> = Mutex::new(Vec::new());

/// Owned, zero-filled bytes in key pages; wiped and given back when dropped.
pub(crate) struct Slots {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: `Slots` owns its bytes alone, and gives them out as slices under the usual borrow rules.
unsafe impl Send for Slots {}
// SAFETY: as above: shared access is read-only.
unsafe impl Sync for Slots {}

impl Slots {
    /// `len` zero bytes, up to one region.
    ///
    /// # Panics
    /// When `len` is more than a region, or the kernel gives no memory at all.
    pub(crate) fn new(len: usize) -> Self {
        assert!(len <= REGION, "a key has at most {REGION} bytes");
        let wanted = len.div_ceil(SLOT).max(1);
        let mut regions = regions();
        for region in regions.iter_mut() {
            if let Some(start) = region.take(wanted) {
                return Slots { start, len };
            }
        }
        let mut region = Region::map();
        let start = region.take(wanted).expect("a fresh region has room");
        regions.push(region);
        Slots { start, len }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `start..start + len` lies in a mapped region that is never unmapped, and belongs to this value alone.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(self.bytes_mut());
        let wanted = self.len.div_ceil(SLOT).max(1);
        let at = self.start.as_ptr() as usize;
        for region in regions().iter_mut() {
            let base = region.base.as_ptr() as usize;
            if (base..base + REGION).contains(&at) {
                let first = (at - base) / SLOT;
                region.taken[first..first + wanted].fill(false);
                return;
            }
        }
    }
}

fn regions() -> std::sync::MutexGuard<'static, Vec<Region>> {
    // A panic while the lock is held leaves slots taken, never shared: going on is safe.
    REGIONS.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Region {
    fn take(&mut self, wanted: usize) -> Option<NonNull<u8>> {
        let first = (0..=self.taken.len().checked_sub(wanted)?)
            .find(|&first| self.taken[first..first + wanted].iter().all(|taken| !taken))?;
        self.taken[first..first + wanted].fill(true);
        // SAFETY: `first * SLOT` lies inside the region.
        Some(unsafe { self.base.add(first * SLOT) })
    }

    fn map() -> Self {
        let (base, protection) = map_secret().map(|base| (base, Protection::Secret)).unwrap_or_else(map_anonymous);
        Region { base, taken: vec![false; REGION / SLOT], protection }
    }
}

fn map_secret() -> Option<NonNull<u8>> {
    // SAFETY: plain system calls; the descriptor is closed here, and the mapping keeps the memory alive.
    unsafe {
        let descriptor = i32::try_from(libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC)).ok()?;
        if descriptor < 0 {
            return None;
        }
        let sized = libc::ftruncate(descriptor, REGION as libc::off_t) == 0;
        let mapped = if sized {
            libc::mmap(
                std::ptr::null_mut(),
                REGION,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                descriptor,
                0,
            )
        } else {
            libc::MAP_FAILED
        };
        libc::close(descriptor);
        if mapped == libc::MAP_FAILED { None } else { NonNull::new(mapped.cast()) }
    }
}

fn map_anonymous() -> (NonNull<u8>, Protection) {
    // SAFETY: a fresh private mapping, checked before use; advice and lock act on exactly this mapping.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let mapped = libc::mmap(std::ptr::null_mut(), REGION, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        assert!(mapped != libc::MAP_FAILED, "the kernel gives no memory for keys");
        libc::madvise(mapped, REGION, libc::MADV_DONTDUMP);
        libc::madvise(mapped, REGION, libc::MADV_DONTFORK);
        let locked = libc::mlock(mapped, REGION) == 0;
        let base = NonNull::new(mapped.cast()).expect("a successful mapping is not null");
        (base, if locked { Protection::Locked } else { Protection::Plain })
    }
}

/// The weakest protection among the regions in use; a first region is made when there is none.
pub fn kind() -> Protection {
    drop(Slots::new(1));
    // The line above made a region.
    regions().iter().map(|region| region.protection).max().expect("there is a region")
}

/// How many 64-byte slots hold keys now: a test counts that sealing drops them.
pub fn slots_in_use() -> usize {
    regions().iter().map(|region| region.taken.iter().filter(|taken| **taken).count()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_zero_at_birth_apart_from_each_other_and_wiped_at_death() {
        let mut held: Vec<Slots> = (0..3000).map(|n| Slots::new(1 + n % 200)).collect();
        for (n, slots) in held.iter_mut().enumerate() {
            assert!(slots.bytes().iter().all(|byte| *byte == 0));
            slots.bytes_mut().fill(n as u8 | 1);
        }
        for (n, slots) in held.iter().enumerate() {
            assert!(slots.bytes().iter().all(|byte| *byte == n as u8 | 1), "slot {n} was written through another");
        }
        held.clear();
        let again = Slots::new(200);
        assert!(again.bytes().iter().all(|byte| *byte == 0), "what was given back was not wiped");
    }

    /// What `/proc/self/smaps` says of the mapping at an address.
    fn mapping(at: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut found = None;
        for line in maps.lines() {
            let range = line.split_once(' ').and_then(|(range, _)| range.split_once('-'));
            let bound = |text| usize::from_str_radix(text, 16).ok();
            if let Some((low, high)) = range.and_then(|(low, high)| Some((bound(low)?, bound(high)?))) {
                found = (low..high)
                    .contains(&at)
                    .then(String::new)
                    .or(found.filter(|text: &String| text.contains("VmFlags")));
            }
            if let Some(text) = found.as_mut().filter(|text| !text.contains("VmFlags")) {
                text.push_str(line);
                text.push('\n');
            }
        }
        found.expect("the address is mapped")
    }

    /// T-32: the kernel swaps no locked page. Both ways to a region are looked at, whichever this kernel would take first.
    #[test]
    fn key_pages_are_locked_and_left_out_of_dumps() {
        let ways = [map_secret().map(|base| (base, Protection::Secret)), Some(map_anonymous())];
        for (base, protection) in ways.into_iter().flatten() {
            // SAFETY: a fresh mapping of this test's own.
            unsafe { base.write_bytes(0xA5, REGION) };
            let text = mapping(base.as_ptr() as usize);
            let flags = text.lines().find(|line| line.starts_with("VmFlags")).expect("the kernel shows flags");
            if protection == Protection::Plain {
                println!("skipped for locked pages: the limit of locked memory is reached");
            } else {
                assert!(flags.split(' ').any(|flag| flag == "lo"), "{protection:?} is not locked: {text}");
            }
            assert!(flags.split(' ').any(|flag| flag == "dd"), "{protection:?} would be dumped: {text}");
            let swap = text.lines().find_map(|line| line.strip_prefix("Swap:")).map(str::trim);
            assert!(swap.is_none_or(|swap| swap == "0 kB"), "{text}");
        }
    }

    #[test]
    fn root_cannot_read_secret_pages_through_the_kernel() {
        if kind() != Protection::Secret {
            // Said, not hidden: the fallback is weaker, and the program logs it.
            println!("skipped: this kernel gives {:?} pages", kind());
            return;
        }
        use std::io::{Read, Seek, SeekFrom};
        let mut slots = Slots::new(32);
        slots.bytes_mut().fill(0xA5);
        let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
        memory.seek(SeekFrom::Start(slots.bytes().as_ptr() as u64)).unwrap();
        assert!(memory.read_exact(&mut [0; 32]).is_err(), "the page can be read through /proc");
    }
}
