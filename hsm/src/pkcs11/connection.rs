//! From a configured token to a session that may use its keys: slot, identity, login, session pool.

use super::fault::{Fault, Lost, name};
use super::library::{Library, User, pin_mark};
use super::{Found, Pkcs11, slots};
use crate::config::TokenName;
use crate::{Error, Identity, KeyName, Result};
use cryptoki::error::{Error as CkError, RvError};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::RawAuthPin;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// A token that was found and logged in to.
pub(super) struct Connection {
    pub(super) library: User,
    pub(super) slot: Slot,
    pub(super) identity: Identity,
    /// Keeps the login alive: it belongs to the application, and ends with its last session.
    _anchor: Mutex<Session>,
    idle: Mutex<Vec<Session>>,
    /// Handles and checks of keys, found once.
    pub(super) keys: Mutex<HashMap<KeyName, Arc<Found>>>,
}

impl Connection {
    fn session(&self) -> std::result::Result<Session, CkError> {
        match self.idle.lock().pop() {
            Some(session) => Ok(session),
            None => self.library.context.open_ro_session(self.slot),
        }
    }

    /// A session that may change the token, for one operation.
    pub(super) fn writing_session(&self) -> std::result::Result<Session, CkError> {
        self.library.context.open_rw_session(self.slot)
    }
}

impl Pkcs11 {
    /// Runs `op` with a session of a logged-in connection. After any failure the session is closed, not reused: an
    /// operation may still be active in it. Where the connection was lost, it is made anew and `op` runs once more.
    pub(super) fn with<T>(&self, op: impl Fn(&Connection, &Session) -> std::result::Result<T, Fault>) -> Result<T> {
        self.with_attempts(2, op)
    }

    /// As [`Pkcs11::with`], but `op` is not repeated: for what must not happen twice.
    pub(super) fn with_once<T>(
        &self,
        op: impl Fn(&Connection, &Session) -> std::result::Result<T, Fault>,
    ) -> Result<T> {
        self.with_attempts(1, op)
    }

    fn with_attempts<T>(
        &self,
        attempts: u8,
        op: impl Fn(&Connection, &Session) -> std::result::Result<T, Fault>,
    ) -> Result<T> {
        let mut left = attempts;
        loop {
            left -= 1;
            let connection = self.connection()?;
            let _calling = connection.library.calling();
            let session = connection.session().map_err(Fault::from);
            let fault = match session.and_then(|session| op(&connection, &session).map(|value| (session, value))) {
                Ok((session, value)) => {
                    connection.idle.lock().push(session);
                    return Ok(value);
                }
                Err(fault) => fault,
            };
            if fault.code().is_some() {
                // Whatever failed, handles may be stale: some modules answer "general error" for an object that is gone.
                connection.keys.lock().clear();
            }
            match fault.lost() {
                Some(Lost::Handles) => {}
                Some(lost) => self.forget(&connection, lost),
                None => return Err(fault.into_error(&self.name)),
            }
            if left == 0 {
                return Err(fault.into_error(&self.name));
            }
        }
    }

    /// Drops what was lost. Threads that are in the middle of a call keep their share of it until they return.
    fn forget(&self, connection: &Arc<Connection>, lost: Lost) {
        let mut current = self.current.lock();
        if current.as_ref().is_some_and(|held| Arc::ptr_eq(held, connection)) {
            *current = None;
        }
        drop(current);
        if lost == Lost::Library {
            connection.library.logins.lock().clear();
            if let Err(error) = connection.library.initialise() {
                tracing::warn!(token = %self.name, "C_Initialize failed: {error}");
            }
        }
    }

    /// The connection there is, or a new one: library, slot, identity, then login.
    pub(super) fn connection(&self) -> Result<Arc<Connection>> {
        let mut current = self.current.lock();
        if let Some(connection) = &*current {
            return Ok(connection.clone());
        }
        let library = Library::open(&self.config.library)?;
        let connection = match self.connect(&library) {
            Err(fault) if fault.lost() == Some(Lost::Library) => {
                library.logins.lock().clear();
                library.initialise().map_err(|error| Fault::from(error).into_error(&self.name))?;
                self.connect(&library)
            }
            connected => connected,
        };
        let connection = Arc::new(connection.map_err(|fault| fault.into_error(&self.name))?);
        *self.serial.lock() = Some(connection.identity.serial.clone());
        *current = Some(connection.clone());
        Ok(connection)
    }

    fn connect(&self, library: &Arc<Library>) -> std::result::Result<Connection, Fault> {
        let (slot, identity) = self.locate(library)?;
        let _calling = library.calling();
        let anchor = library.context.open_ro_session(slot)?;
        self.login(library, slot, &identity, &anchor)?;
        Ok(Connection {
            library: User::of(library),
            slot,
            identity,
            _anchor: Mutex::new(anchor),
            idle: Mutex::default(),
            keys: Mutex::default(),
        })
    }

    /// The configured token; where it is absent, once more after the library was made to look again.
    pub(super) fn locate(&self, library: &Library) -> std::result::Result<(Slot, Identity), Fault> {
        match self.find_token(library)? {
            Some(found) => Ok(found),
            None if library.look_again()? => self.find_token(library)?.ok_or_else(|| self.absent()),
            None => Err(self.absent()),
        }
    }

    fn absent(&self) -> Fault {
        let (wanted, library) = (&self.config.token, self.config.library.display());
        Error::Away(format!("no token {wanted} is present in {library}: insert it")).into()
    }

    /// The configured token. From the first login on it is known by its serial, and where it was proven, by that
    /// proof's device id: another token with its label is refused before it sees the PIN.
    fn find_token(&self, library: &Library) -> std::result::Result<Option<(Slot, Identity)>, Fault> {
        let _calling = library.calling();
        let mut named = Vec::new();
        for slot in library.context.get_slots_with_token()? {
            let info = match library.raw.token_info(slot.id()) {
                Ok(info) if slots::is_initialised(&info) => info,
                // A slot that is empty or being changed is none of ours.
                Ok(_) => continue,
                Err(CkError::Pkcs11(RvError::CryptokiNotInitialized, function)) => {
                    return Err(CkError::Pkcs11(RvError::CryptokiNotInitialized, function).into());
                }
                Err(_) => continue,
            };
            let identity = slots::identity(&info);
            let same = match &self.config.token {
                TokenName::Slot(number) => slot.id() == *number,
                TokenName::Label(label) => identity.label == *label,
                TokenName::Serial(serial) => identity.serial == *serial,
            };
            if same {
                named.push((slot, identity));
            }
        }
        let wanted = &self.config.token;
        if named.is_empty() {
            return Ok(None);
        }
        let (device, serial) = (*self.device.lock(), self.serial.lock().clone());
        let is_ours = |identity: &Identity| match (device, &serial) {
            (Some(device), _) => identity.device_id() == device,
            (None, Some(serial)) => identity.serial == *serial,
            (None, None) => true,
        };
        let stranger = named[0].1.serial.clone();
        let mut ours = named.into_iter().filter(|(_, identity)| is_ours(identity));
        match (ours.next(), ours.next()) {
            (Some(found), None) => Ok(Some(found)),
            (None, _) => Err(Error::WrongToken(format!(
                "the token {wanted} has serial {stranger:?} and is not the one that was used before: insert that one"
            ))
            .into()),
            (Some(_), Some(_)) => {
                Err(Error::Config(format!("several tokens {wanted} are present: name one by token_serial")).into())
            }
        }
    }

    /// One login for the whole application, and none where there is one already under the same PIN.
    fn login(
        &self,
        library: &Library,
        slot: Slot,
        identity: &Identity,
        session: &Session,
    ) -> std::result::Result<(), Fault> {
        let mut logins = library.logins.lock();
        let mark = pin_mark(&self.config.pin)?;
        if is_logged_in(session)? {
            match logins.get(&slot.id()) {
                Some(held) if *held == mark => return Ok(()),
                // A login is shared by the whole process: without this, any PIN would do beside it.
                Some(_) => {
                    return Err(Error::RefusedPin(
                        "this process is logged in to the token under another PIN: configure one PIN for one token"
                            .into(),
                    )
                    .into());
                }
                // Somebody else's login, which says nothing about our PIN.
                None => session.logout()?,
            }
        }
        logins.remove(&slot.id());
        let device = identity.device_id();
        let flags = slots::pin_flags(&library.raw.token_info(slot.id())?);
        self.rule.before_login(device, &self.config.pin, flags)?;
        let pin = RawAuthPin::new(Box::new(self.config.pin.expose().to_vec()));
        match session.login_with_raw(UserType::User, &pin) {
            Ok(()) => {}
            Err(CkError::Pkcs11(code, _)) if is_pin_code(code) => {
                return Err(self.rule.after_refusal(device, &self.config.pin, &name(&code)).into());
            }
            Err(error) => return Err(error.into()),
        }
        logins.insert(slot.id(), mark);
        if let Err(error) = self.rule.after_success(device) {
            tracing::warn!(token = %self.name, "the login succeeded, but {error}");
        }
        Ok(())
    }
}

fn is_logged_in(session: &Session) -> std::result::Result<bool, CkError> {
    Ok(matches!(session.get_session_info()?.session_state(), SessionState::RoUser | SessionState::RwUser))
}

/// Codes of C_Login that cost a try, or would.
fn is_pin_code(code: RvError) -> bool {
    use RvError::*;
    matches!(code, PinIncorrect | PinInvalid | PinLenRange | PinExpired | PinLocked | UserPinNotInitialized)
}
