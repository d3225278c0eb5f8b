//! A refused PIN never costs the token a second try: not by a retry, not by a restart.
//!
//! Tokens lock after a few wrong PINs, and a server that retries with back-off would lock its own. So before a login the
//! token's flags are read, and a slow salted hash of each refused PIN is kept by the caller beside the store:
//!
//! - a PIN that was refused before is not sent again;
//! - a changed PIN is tried once;
//! - at the token's last-try flag, or after two different refused PINs, logins stop until an operator asks
//!   ([`PinRule::permit`]), which lets one login through. The second half holds for every token: whether one shows its
//!   last try is known only when it is too late (SoftHSM shows "count low", and then nothing more).
//!
//! Not promised: a process killed between the token's refusal and the record's write forgets that one refusal.

use crate::{DeviceId, Error, Result};
use argon2::{Algorithm, Argon2, Params, Version};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use strongroom_secret::{SecretBytes, random};
use subtle::ConstantTimeEq;

/// Where the record of refused PINs is kept. Called on the device's thread, before and after a refused login.
pub trait PinLedger: Send + Sync {
    /// The last record that was saved; empty where there is none.
    fn load(&self) -> Result<Vec<u8>>;
    /// Replaces the record, durably: when this returns, a crash does not undo it.
    fn save(&self, record: &[u8]) -> Result<()>;
}

/// A ledger in one file, replaced atomically, readable by its owner only.
pub struct FileLedger(PathBuf);

impl FileLedger {
    /// The record lies at `path`; its directory exists.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        FileLedger(path.into())
    }

    fn failed(&self, what: &str, error: std::io::Error) -> Error {
        Error::Config(format!("the record of refused PINs {} cannot be {what}: {error}", self.0.display()))
    }
}

impl PinLedger for FileLedger {
    fn load(&self) -> Result<Vec<u8>> {
        match std::fs::read(&self.0) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read.map_err(|error| self.failed("read", error)),
        }
    }

    fn save(&self, record: &[u8]) -> Result<()> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let next = self.0.with_extension("next");
        let write = || {
            let mut file =
                std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
            file.write_all(record)?;
            file.sync_all()?;
            std::fs::rename(&next, &self.0)?;
            // The rename is durable once the directory is.
            let parent = self.0.parent().filter(|parent| !parent.as_os_str().is_empty());
            std::fs::File::open(parent.unwrap_or(".".as_ref()))?.sync_all()
        };
        write().map_err(|error| self.failed("written", error))
    }
}

/// A ledger that forgets at exit: for `-dev` and for one-off commands of an operator, who sees the refusal at once.
#[derive(Default)]
pub struct MemoryLedger(Mutex<Vec<u8>>);

impl PinLedger for MemoryLedger {
    fn load(&self) -> Result<Vec<u8>> {
        Ok(self.0.lock().clone())
    }

    fn save(&self, record: &[u8]) -> Result<()> {
        *self.0.lock() = record.to_vec();
        Ok(())
    }
}

/// What a token says about its user PIN (CK_TOKEN_INFO.flags).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PinFlags {
    /// CKF_USER_PIN_COUNT_LOW: a wrong one was entered since the last login.
    pub count_low: bool,
    /// CKF_USER_PIN_FINAL_TRY: one more wrong one locks it.
    pub final_try: bool,
    /// CKF_USER_PIN_LOCKED
    pub locked: bool,
}

/// The rule over one device's logins.
pub struct PinRule {
    ledger: Arc<dyn PinLedger>,
    permitted: Mutex<bool>,
}

impl PinRule {
    /// The rule over what `ledger` remembers.
    pub fn new(ledger: Arc<dyn PinLedger>) -> Self {
        PinRule { ledger, permitted: Mutex::new(false) }
    }

    /// An operator asks for one more try.
    pub fn permit(&self) {
        *self.permitted.lock() = true;
    }

    /// Whether this login may be tried; `RefusedPin` says why not. A permission is used up by asking.
    pub fn before_login(&self, device: DeviceId, pin: &SecretBytes, flags: PinFlags) -> Result<()> {
        if flags.locked {
            return Err(Error::RefusedPin("the token's PIN is locked: its security officer must unlock it".into()));
        }
        if std::mem::take(&mut *self.permitted.lock()) {
            return Ok(());
        }
        let record = Refusals::decode(&self.ledger.load()?)?;
        let refused: Vec<_> = record.0.iter().filter(|refusal| refusal.device == device).collect();
        for refusal in &refused {
            if refusal.is_for(pin)? {
                return Err(Error::RefusedPin(
                    "the token refused this PIN before, so it was not tried again: configure the right one".into(),
                ));
            }
        }
        if flags.final_try {
            return Err(Error::RefusedPin(
                "one more wrong PIN locks the token, so logins stopped: check the PIN, then ask for a login".into(),
            ));
        }
        if refused.len() >= 2 {
            return Err(Error::RefusedPin(
                "the token refused two different PINs, so logins stopped: check the PIN, then ask for a login".into(),
            ));
        }
        Ok(())
    }

    /// The token took the PIN: what was refused before is forgotten.
    pub fn after_success(&self, device: DeviceId) -> Result<()> {
        let mut record = match Refusals::decode(&self.ledger.load()?) {
            Ok(record) if record.0.iter().all(|refusal| refusal.device != device) => return Ok(()),
            Ok(record) => record,
            // An operator's permission led past an unreadable record; the token has now settled the matter.
            Err(_) => Refusals(Vec::new()),
        };
        record.0.retain(|refusal| refusal.device != device);
        self.ledger.save(&record.encode())
    }

    /// The token refused the PIN: remembers it. `reason` is the token's.
    pub fn after_refusal(&self, device: DeviceId, pin: &SecretBytes, reason: &str) -> Error {
        let refused = Error::RefusedPin(format!("the token refused the PIN ({reason}): configure the right one"));
        match self.remember(device, pin) {
            Ok(()) => refused,
            // Both are wrong, and the record is what must be repaired before anything is tried again.
            Err(error) => Error::RefusedPin(format!("{refused}; and {error}")),
        }
    }

    fn remember(&self, device: DeviceId, pin: &SecretBytes) -> Result<()> {
        let mut record = Refusals::decode(&self.ledger.load()?)?;
        for refusal in &record.0 {
            if refusal.device == device && refusal.is_for(pin)? {
                return Ok(());
            }
        }
        record.0.push(Refusal::new(device, pin)?);
        // The newest are kept: two of one device are enough to stop.
        let surplus = record.0.len().saturating_sub(REFUSALS_MAX);
        record.0.drain(..surplus);
        self.ledger.save(&record.encode())
    }
}

/// The record: format u8 = 1 ‖ count u8 ‖ { device 16 ‖ memory KiB u32 ‖ passes u32 ‖ salt 16 ‖ hash 32 }….
struct Refusals(Vec<Refusal>);

struct Refusal {
    device: DeviceId,
    memory: u32,
    passes: u32,
    salt: [u8; 16],
    hash: [u8; 32],
}

const FORMAT: u8 = 1;
const REFUSALS_MAX: usize = 8;
const REFUSAL_SIZE: usize = 16 + 4 + 4 + 16 + 32;
/// Argon2id, RFC 9106 section 4's second choice. Paid only when a PIN was refused.
const MEMORY: u32 = 64 * 1024;
const PASSES: u32 = 3;

impl Refusals {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT, self.0.len() as u8];
        for refusal in &self.0 {
            bytes.extend(refusal.device.0);
            bytes.extend(refusal.memory.to_be_bytes());
            bytes.extend(refusal.passes.to_be_bytes());
            bytes.extend(refusal.salt);
            bytes.extend(refusal.hash);
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let bad = || {
            Error::Config(
                "the record of refused PINs cannot be read: delete it when the configured PIN is known to be right"
                    .into(),
            )
        };
        let Some((&[format, count], rest)) = bytes.split_first_chunk::<2>() else {
            return if bytes.is_empty() { Ok(Refusals(Vec::new())) } else { Err(bad()) };
        };
        if format != FORMAT || rest.len() != usize::from(count) * REFUSAL_SIZE || usize::from(count) > REFUSALS_MAX {
            return Err(bad());
        }
        rest.chunks_exact(REFUSAL_SIZE)
            .map(|chunk| Refusal::decode(chunk).ok_or_else(bad))
            .collect::<Result<_>>()
            .map(Refusals)
    }
}

impl Refusal {
    fn new(device: DeviceId, pin: &SecretBytes) -> Result<Self> {
        let salt = random::array().map_err(|_| Error::Away("the random generator failed".into()))?;
        let mut refusal = Refusal { device, memory: MEMORY, passes: PASSES, salt, hash: [0; 32] };
        refusal.hash = refusal.hash_of(pin)?;
        Ok(refusal)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (device, rest) = bytes.split_first_chunk::<16>()?;
        let (memory, rest) = rest.split_first_chunk::<4>()?;
        let (passes, rest) = rest.split_first_chunk::<4>()?;
        let (salt, hash) = rest.split_first_chunk::<16>()?;
        let (memory, passes) = (u32::from_be_bytes(*memory), u32::from_be_bytes(*passes));
        // A record that was tampered with must not cost gigabytes.
        let affordable = (8..=1 << 20).contains(&memory) && (1..=16).contains(&passes);
        affordable.then_some(Refusal {
            device: DeviceId(*device),
            memory,
            passes,
            salt: *salt,
            hash: hash.try_into().ok()?,
        })
    }

    fn is_for(&self, pin: &SecretBytes) -> Result<bool> {
        Ok(self.hash_of(pin)?.ct_eq(&self.hash).into())
    }

    fn hash_of(&self, pin: &SecretBytes) -> Result<[u8; 32]> {
        let unusable = || Error::Config("a PIN's hash cannot be computed: the PIN is too long".into());
        let params = Params::new(self.memory, self.passes, 1, Some(32)).map_err(|_| unusable())?;
        let mut hash = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(pin.expose(), &self.salt, &mut hash)
            .map_err(|_| unusable())?;
        Ok(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: DeviceId = DeviceId([1; 16]);
    const OTHER: DeviceId = DeviceId([2; 16]);
    const QUIET: PinFlags = PinFlags { count_low: false, final_try: false, locked: false };
    const LOW: PinFlags = PinFlags { count_low: true, final_try: false, locked: false };
    const LAST: PinFlags = PinFlags { count_low: true, final_try: true, locked: false };

    fn pin(text: &str) -> SecretBytes {
        SecretBytes::from_slice(text.as_bytes())
    }

    fn rule() -> (PinRule, Arc<MemoryLedger>) {
        let ledger = Arc::new(MemoryLedger::default());
        (PinRule::new(ledger.clone()), ledger)
    }

    fn refused(result: Result<()>, word: &str) {
        assert!(matches!(&result, Err(Error::RefusedPin(text)) if text.contains(word)), "{word}: {result:?}");
    }

    #[test]
    fn a_refused_pin_is_not_tried_again_not_even_after_a_restart_and_a_changed_one_is() {
        let (rule, ledger) = rule();
        rule.before_login(DEVICE, &pin("1111"), QUIET).unwrap();
        assert!(rule.after_refusal(DEVICE, &pin("1111"), "CKR_PIN_INCORRECT").to_string().contains("INCORRECT"));
        let restarted = PinRule::new(ledger);
        refused(restarted.before_login(DEVICE, &pin("1111"), QUIET), "before");
        restarted.before_login(DEVICE, &pin("2222"), QUIET).unwrap();
        restarted.before_login(OTHER, &pin("1111"), QUIET).unwrap();
    }

    #[test]
    fn two_refused_pins_stop_logins_until_an_operator_asks() {
        let (rule, _) = rule();
        rule.after_refusal(DEVICE, &pin("1111"), "x");
        rule.after_refusal(DEVICE, &pin("1111"), "x");
        rule.before_login(DEVICE, &pin("3333"), QUIET).unwrap();
        rule.after_refusal(DEVICE, &pin("2222"), "x");
        refused(rule.before_login(DEVICE, &pin("3333"), QUIET), "two different");
        rule.permit();
        rule.before_login(DEVICE, &pin("3333"), QUIET).unwrap();
        refused(rule.before_login(DEVICE, &pin("3333"), QUIET), "two different");
        rule.after_success(DEVICE).unwrap();
        rule.before_login(DEVICE, &pin("1111"), QUIET).unwrap();
    }

    #[test]
    fn a_token_that_shows_its_last_try_is_not_asked_for_it() {
        let (rule, _) = rule();
        rule.before_login(DEVICE, &pin("3333"), LOW).unwrap();
        refused(rule.before_login(DEVICE, &pin("3333"), LAST), "one more wrong PIN");
        rule.permit();
        rule.before_login(DEVICE, &pin("3333"), LAST).unwrap();
        rule.permit();
        refused(rule.before_login(DEVICE, &pin("3333"), PinFlags { locked: true, ..LAST }), "locked");
    }

    #[test]
    fn a_record_holds_no_pin_and_a_damaged_one_stops_logins() {
        let (rule, ledger) = rule();
        rule.after_refusal(DEVICE, &pin("71309245"), "x");
        let record = ledger.load().unwrap();
        assert_eq!(record.len(), 2 + REFUSAL_SIZE);
        assert!(!record.windows(8).any(|window| window == b"71309245"));
        for length in 1..record.len() {
            assert!(matches!(Refusals::decode(&record[..length]), Err(Error::Config(_))), "{length} bytes");
        }
        // Format, count, memory of 2^24 + KiB, no passes.
        for (at, value) in [(0, 2), (1, 2), (18, 1), (25, 0)] {
            let mut changed = record.clone();
            changed[at] = value;
            ledger.save(&changed).unwrap();
            let result = rule.before_login(DEVICE, &pin("1"), QUIET);
            assert!(matches!(result, Err(Error::Config(_))), "byte {at} = {value}: {result:?}");
        }
        rule.permit();
        rule.before_login(DEVICE, &pin("1"), QUIET).unwrap();
        rule.after_success(DEVICE).unwrap();
        rule.before_login(DEVICE, &pin("71309245"), QUIET).unwrap();
    }

    #[test]
    fn the_record_of_the_document_decodes() {
        let block = crate::block(include_str!("../../docs/formats/refused-pins.md"), "record");
        let record = Refusals::decode(&block).unwrap();
        assert_eq!((record.0.len(), record.0[0].device), (1, DeviceId([0x11; 16])));
        assert!(record.0[0].is_for(&pin("1234")).unwrap() && !record.0[0].is_for(&pin("1235")).unwrap());
        assert_eq!(record.encode(), block);
    }

    #[test]
    fn the_record_never_grows_beyond_its_bound() {
        let (_, ledger) = rule();
        let refusal = |byte| Refusal { device: OTHER, memory: 8, passes: 1, salt: [byte; 16], hash: [0; 32] };
        ledger.save(&Refusals((0..REFUSALS_MAX as u8).map(refusal).collect()).encode()).unwrap();
        let rule = PinRule::new(ledger.clone());
        rule.after_refusal(DEVICE, &pin("1111"), "x");
        assert_eq!(ledger.load().unwrap().len(), 2 + REFUSALS_MAX * REFUSAL_SIZE);
        refused(rule.before_login(DEVICE, &pin("1111"), LOW), "before");
    }

    #[test]
    fn a_file_ledger_survives_and_names_the_file_that_it_cannot_use() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("refused-pins");
        let ledger = FileLedger::new(&path);
        assert_eq!(ledger.load().unwrap(), b"");
        ledger.save(b"one").unwrap();
        ledger.save(b"two").unwrap();
        assert_eq!(FileLedger::new(&path).load().unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let nowhere = FileLedger::new(directory.path().join("missing/refused-pins"));
        assert!(matches!(nowhere.save(b"x"), Err(Error::Config(text)) if text.contains("missing/refused-pins")));
        let rule = PinRule::new(Arc::new(nowhere));
        assert!(rule.after_refusal(DEVICE, &pin("1"), "x").to_string().contains("cannot be written"));
        let unreadable = FileLedger::new(directory.path());
        assert!(matches!(unreadable.load(), Err(Error::Config(_))));
    }
}
