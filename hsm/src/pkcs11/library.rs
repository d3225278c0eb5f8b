//! One owner per library: C_Initialize is per library and process, whichever devices use it.

use super::fault::told;
use super::raw::Raw;
use crate::{Error, Result};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as CkError, RvError};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use strongroom_secret::mac::HmacKey;
use strongroom_secret::{SecretBytes, random};

/// A loaded and initialised module. It stays so for the life of the process: unloading what vendors' threads may still
/// run in is worse than keeping it.
pub(super) struct Library {
    pub(super) context: Pkcs11,
    pub(super) raw: Raw,
    /// Held while token objects are made, found or destroyed: SoftHSM 2.6.1 fails sporadically without.
    pub(super) objects: Mutex<()>,
    /// Held while a counter is raised.
    pub(super) counters: Mutex<()>,
    /// Held while a login is decided: one at a time, and who logged in to which slot, by a keyed hash of the PIN.
    pub(super) logins: Mutex<BTreeMap<u64, [u8; 32]>>,
    /// Read by every call, written by the one that finalises: no call may be in the module then.
    gate: RwLock<()>,
    /// How many connections there are.
    users: AtomicUsize,
}

type Place = Arc<Mutex<Option<Arc<Library>>>>;

fn registry() -> &'static Mutex<BTreeMap<PathBuf, Place>> {
    static REGISTRY: OnceLock<Mutex<BTreeMap<PathBuf, Place>>> = OnceLock::new();
    REGISTRY.get_or_init(Default::default)
}

impl Library {
    /// The one instance of the library at `path`, loaded on first use. A failure is not remembered: the next call tries
    /// again, as a library may be installed later.
    pub(super) fn open(path: &Path) -> Result<Arc<Library>> {
        let away = |error| Error::Away(format!("library {} cannot be used: {error}", path.display()));
        let real = path.canonicalize().map_err(|error| away(error.to_string()))?;
        // The registry is not held while a module loads: one that hangs holds up only itself.
        let place = registry().lock().entry(real.clone()).or_default().clone();
        let mut place = place.lock();
        if let Some(library) = &*place {
            return Ok(library.clone());
        }
        let unusable = |error: CkError| match error {
            CkError::MissingSymbol(_) | CkError::NullFunctionPointer => {
                Error::Config(format!("{} is not a PKCS#11 module", path.display()))
            }
            error => away(told(&error)),
        };
        let raw = Raw::load(&real).map_err(unusable)?;
        let context = Pkcs11::new(&real).map_err(unusable)?;
        let library = Library {
            context,
            raw,
            objects: Mutex::default(),
            counters: Mutex::default(),
            logins: Mutex::default(),
            gate: RwLock::default(),
            users: AtomicUsize::new(0),
        };
        library.initialise().map_err(unusable)?;
        let library = Arc::new(library);
        *place = Some(library.clone());
        Ok(library)
    }

    /// Held by whoever calls into the module.
    pub(super) fn calling(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read_recursive()
    }

    /// Makes the module look for tokens anew, where nobody has a connection or is in a call: some modules (SoftHSM) see
    /// a token that comes later only after C_Finalize and C_Initialize. Whether it was done.
    pub(super) fn look_again(&self) -> std::result::Result<bool, CkError> {
        let Some(_alone) = self.gate.try_write() else { return Ok(false) };
        if self.users.load(Ordering::SeqCst) > 0 {
            return Ok(false);
        }
        self.logins.lock().clear();
        match self.context.clone().finalize() {
            Ok(()) | Err(CkError::Pkcs11(RvError::CryptokiNotInitialized, _)) => self.initialise().map(|()| true),
            Err(error) => Err(error),
        }
    }

    /// C_Initialize, with the operating system's locks: sessions are used from several threads, each by one at a time.
    pub(super) fn initialise(&self) -> std::result::Result<(), CkError> {
        match self.context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Other code in this process uses the same module.
            Err(CkError::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
            initialised => initialised,
        }
    }
}

/// A connection's share of a library.
pub(super) struct User(Arc<Library>);

impl User {
    pub(super) fn of(library: &Arc<Library>) -> Self {
        library.users.fetch_add(1, Ordering::SeqCst);
        User(library.clone())
    }
}

impl std::ops::Deref for User {
    type Target = Library;

    fn deref(&self) -> &Library {
        &self.0
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.0.users.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What shows that a PIN is the one with which a login was made. The key is this process's own and leaves it never.
pub(super) fn pin_mark(pin: &SecretBytes) -> Result<[u8; 32]> {
    static KEY: OnceLock<HmacKey> = OnceLock::new();
    if KEY.get().is_none() {
        let key = random::array::<32>().map_err(|_| Error::Away("the random generator failed".into()))?;
        // Where two threads race, the first key stays.
        let _ = KEY.set(HmacKey::new(&key));
    }
    // Set above.
    Ok(KEY.get().expect("the key was set").sign(&[pin.expose()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_away_and_may_come_later() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("libmissing.so");
        let error = Library::open(&path).err().unwrap();
        assert!(matches!(&error, Error::Away(text) if text.contains("libmissing.so")), "{error}");
        assert!(error.may_pass_later());
    }

    #[test]
    fn a_file_that_is_no_library_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("libtext.so");
        std::fs::write(&path, "not a library").unwrap();
        assert!(matches!(Library::open(&path), Err(Error::Away(text)) if text.contains("libtext.so")));
    }

    #[test]
    fn a_library_that_is_no_pkcs11_module_is_a_mistake_in_the_configuration() {
        // Every process that runs this has the C library mapped; its file is a shared library without our symbols.
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let libc =
            maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|path| path.contains("/libc.so"));
        let error = Library::open(Path::new(libc.unwrap())).err().unwrap();
        assert!(matches!(&error, Error::Config(text) if text.contains("not a PKCS#11 module")), "{error}");
    }
}
