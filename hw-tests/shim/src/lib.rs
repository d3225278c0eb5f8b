//! A PKCS#11 module that stands between the program and a real token, and misbehaves when it is told to.
//!
//! Three environment variables: [`MODULE`] is the real module's path, [`CONTROL`] a file of [`Rule`]s that is read again
//! at every call, [`LOG`] a file that gets a line for every call. The log also gets a line that begins with `VIOLATION`
//! where the program does what some token is known to punish: GCM without AAD, one session used by two threads at once,
//! decryption in parts, CBC, PKCS#1 v1.5 decryption.

#![allow(unsafe_code, non_snake_case)]

mod rule;

pub use rule::{Action, Mutation, Rule};

use cryptoki_sys::*;
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// The environment variable with the path of the real module.
pub const MODULE: &str = "STRONGROOM_SHIM_MODULE";
/// The environment variable with the path of the file of rules. No file, no rules.
pub const CONTROL: &str = "STRONGROOM_SHIM_CONTROL";
/// The environment variable with the path of the log.
pub const LOG: &str = "STRONGROOM_SHIM_LOG";

struct Real {
    functions: CK_FUNCTION_LIST,
    _module: Pkcs11,
}

static REAL: OnceLock<Real> = OnceLock::new();
static OURS: OnceLock<CK_FUNCTION_LIST> = OnceLock::new();

/// The one symbol of a PKCS#11 v2.40 module.
///
/// # Safety
/// `list` points to a place for one pointer, as PKCS#11 says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: CK_FUNCTION_LIST_PTR_PTR) -> CK_RV {
    let Some(ours) = ours() else { return CKR_GENERAL_ERROR };
    // SAFETY: the caller's promise. The list is never written through: PKCS#11 gives it to be read.
    unsafe { *list = std::ptr::from_ref(ours).cast_mut() };
    CKR_OK
}

fn ours() -> Option<&'static CK_FUNCTION_LIST> {
    if REAL.get().is_none() {
        let path = std::env::var_os(MODULE)?;
        // SAFETY: the tests say which module this is.
        let module = unsafe { Pkcs11::new(path) }.ok()?;
        let mut list = std::ptr::null_mut();
        // SAFETY: a module exports this function with this signature; it writes one pointer.
        if unsafe { module.C_GetFunctionList(&mut list) } != CKR_OK || list.is_null() {
            return None;
        }
        // SAFETY: the module answered CKR_OK and keeps its list as long as it is loaded.
        let functions = unsafe { std::ptr::read_unaligned(list) };
        let _ = REAL.set(Real { functions, _module: module });
    }
    let mut functions = REAL.get()?.functions;
    watch(&mut functions);
    Some(OURS.get_or_init(|| functions))
}

/// The rules as last read, and how often each function was called since they changed.
#[derive(Default)]
struct Plan {
    text: String,
    rules: Vec<Rule>,
    calls: HashMap<&'static str, u64>,
}

static PLAN: Mutex<Option<Plan>> = Mutex::new(None);
static IN_USE: Mutex<Option<HashSet<CK_SESSION_HANDLE>>> = Mutex::new(None);

/// Counts a call, logs it, and gives what is to happen to it; delays and hangs have then happened.
fn plan(function: &'static str) -> Action {
    log(function);
    let action = {
        let mut held = PLAN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let plan = held.get_or_insert_default();
        let text = control();
        if text != plan.text {
            let rules = text.lines().filter(|line| !line.is_empty()).filter_map(|line| line.parse().ok()).collect();
            *plan = Plan { text, rules, calls: HashMap::new() };
        }
        let count = plan.calls.entry(function).or_default();
        *count += 1;
        let count = *count;
        let concerns =
            |rule: &&Rule| rule.function == function && (count == rule.call || rule.sticky && count >= rule.call);
        plan.rules.iter().find(concerns).cloned()
    };
    let Some(rule) = action else { return Action::default() };
    std::thread::sleep(Duration::from_millis(rule.action.delay));
    let line = rule.to_string();
    while rule.action.hang && control().lines().any(|held| held == line) {
        std::thread::sleep(Duration::from_millis(2));
    }
    rule.action
}

fn control() -> String {
    std::env::var_os(CONTROL).and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default()
}

fn log(line: &str) {
    let Some(path) = std::env::var_os(LOG) else { return };
    if let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path) {
        let _ = file.write_all(format!("{line}\n").as_bytes());
    }
}

/// A session while a call uses it.
struct InUse(CK_SESSION_HANDLE);

impl InUse {
    fn begin(session: CK_SESSION_HANDLE, function: &str) -> Self {
        let mut held = IN_USE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if !held.get_or_insert_default().insert(session) {
            log(&format!("VIOLATION {function}: session {session} is in use by another thread"));
        }
        InUse(session)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut held = IN_USE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        held.get_or_insert_default().remove(&self.0);
    }
}

/// Looks at a mechanism that is about to be used.
///
/// # Safety
/// `mechanism` is a valid mechanism as PKCS#11 asks for.
unsafe fn inspect(function: &str, mechanism: CK_MECHANISM_PTR) {
    // SAFETY: the caller's promise.
    let mechanism = unsafe { std::ptr::read_unaligned(mechanism) };
    match mechanism.mechanism {
        CKM_AES_GCM if mechanism.ulParameterLen as usize == size_of::<CK_GCM_PARAMS>() => {
            // SAFETY: a mechanism of this type and length points to these parameters.
            let params = unsafe { std::ptr::read_unaligned(mechanism.pParameter.cast::<CK_GCM_PARAMS>()) };
            if params.ulAADLen == 0 {
                log(&format!("VIOLATION {function}: GCM without AAD"));
            }
        }
        CKM_AES_CBC | CKM_AES_CBC_PAD | CKM_AES_ECB => log(&format!("VIOLATION {function}: encryption without a tag")),
        CKM_RSA_PKCS if function == "C_DecryptInit" => log("VIOLATION C_DecryptInit: PKCS#1 v1.5 decryption"),
        _ => {}
    }
}

/// Changes an output of `*length` bytes at `out`.
///
/// # Safety
/// `out` and `length` are an output buffer and its filled length, as PKCS#11 asks for.
unsafe fn change(mutation: &Mutation, out: *mut u8, length: *mut CK_ULONG) {
    if out.is_null() || length.is_null() {
        return;
    }
    // SAFETY: the caller's promise; the call that filled them succeeded.
    let (bytes, length) = unsafe { (std::slice::from_raw_parts_mut(out, *length as usize), &mut *length) };
    match mutation {
        Mutation::Truncate => *length = length.saturating_sub(1),
        Mutation::Zero => bytes.fill(0),
        Mutation::Garbage => bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte ^= 0x5a ^ at as u8),
        Mutation::Length => *length = 1 << 40,
        Mutation::Flags(_) | Mutation::Serial(_) => {}
    }
}

macro_rules! watched {
    ($($name:ident($($arg:ident: $type:ty),*) $(session $session:ident)? $(inspect $mechanism:ident)? $(changes $out:ident $length:ident)?;)*) => {
        $(
            unsafe extern "C" fn $name($($arg: $type),*) -> CK_RV {
                let action = plan(stringify!($name));
                $(let _in_use = InUse::begin($session, stringify!($name));)?
                // SAFETY: the program calls this with what PKCS#11 asks for.
                $(unsafe { inspect(stringify!($name), $mechanism) };)?
                if let Some(rv) = action.rv {
                    return rv as CK_RV;
                }
                let Some(real) = REAL.get().and_then(|real| real.functions.$name) else {
                    return CKR_FUNCTION_NOT_SUPPORTED;
                };
                // SAFETY: the arguments are passed on as they came.
                let rv = unsafe { real($($arg),*) };
                $(
                    if let (CKR_OK, Some(mutation)) = (rv, &action.mutate) {
                        // SAFETY: the call succeeded, so these are its output and the output's length.
                        unsafe { change(mutation, $out, $length) };
                    }
                )?
                rv
            }
        )*

        fn watch(functions: &mut CK_FUNCTION_LIST) {
            $(functions.$name = Some($name);)*
            functions.C_GetTokenInfo = Some(C_GetTokenInfo);
            functions.C_GetAttributeValue = Some(C_GetAttributeValue);
            functions.C_DecryptUpdate = Some(C_DecryptUpdate);
            functions.C_GetFunctionList = Some(C_GetFunctionList);
        }
    };
}

watched! {
    C_Initialize(args: CK_VOID_PTR);
    C_GetSlotList(present: CK_BBOOL, slots: CK_SLOT_ID_PTR, count: CK_ULONG_PTR);
    C_GetMechanismList(slot: CK_SLOT_ID, list: CK_MECHANISM_TYPE_PTR, count: CK_ULONG_PTR);
    C_OpenSession(slot: CK_SLOT_ID, flags: CK_FLAGS, application: CK_VOID_PTR, notify: CK_NOTIFY, session: CK_SESSION_HANDLE_PTR);
    C_CloseSession(session: CK_SESSION_HANDLE) session session;
    C_GetSessionInfo(session: CK_SESSION_HANDLE, info: CK_SESSION_INFO_PTR) session session;
    C_Login(session: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: CK_UTF8CHAR_PTR, length: CK_ULONG) session session;
    C_Logout(session: CK_SESSION_HANDLE) session session;
    C_CreateObject(session: CK_SESSION_HANDLE, template: CK_ATTRIBUTE_PTR, count: CK_ULONG, object: CK_OBJECT_HANDLE_PTR) session session;
    C_DestroyObject(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE) session session;
    C_FindObjectsInit(session: CK_SESSION_HANDLE, template: CK_ATTRIBUTE_PTR, count: CK_ULONG) session session;
    C_FindObjects(session: CK_SESSION_HANDLE, objects: CK_OBJECT_HANDLE_PTR, max: CK_ULONG, count: CK_ULONG_PTR) session session;
    C_FindObjectsFinal(session: CK_SESSION_HANDLE) session session;
    C_EncryptInit(session: CK_SESSION_HANDLE, mechanism: CK_MECHANISM_PTR, key: CK_OBJECT_HANDLE) session session inspect mechanism;
    C_Encrypt(session: CK_SESSION_HANDLE, data: CK_BYTE_PTR, data_length: CK_ULONG, out: CK_BYTE_PTR, length: CK_ULONG_PTR) session session changes out length;
    C_DecryptInit(session: CK_SESSION_HANDLE, mechanism: CK_MECHANISM_PTR, key: CK_OBJECT_HANDLE) session session inspect mechanism;
    C_Decrypt(session: CK_SESSION_HANDLE, data: CK_BYTE_PTR, data_length: CK_ULONG, out: CK_BYTE_PTR, length: CK_ULONG_PTR) session session changes out length;
    C_SignInit(session: CK_SESSION_HANDLE, mechanism: CK_MECHANISM_PTR, key: CK_OBJECT_HANDLE) session session;
    C_Sign(session: CK_SESSION_HANDLE, data: CK_BYTE_PTR, data_length: CK_ULONG, out: CK_BYTE_PTR, length: CK_ULONG_PTR) session session changes out length;
    C_GenerateKey(session: CK_SESSION_HANDLE, mechanism: CK_MECHANISM_PTR, template: CK_ATTRIBUTE_PTR, count: CK_ULONG, key: CK_OBJECT_HANDLE_PTR) session session;
}

unsafe extern "C" fn C_GetTokenInfo(slot: CK_SLOT_ID, info: CK_TOKEN_INFO_PTR) -> CK_RV {
    let action = plan("C_GetTokenInfo");
    if let Some(rv) = action.rv {
        return rv as CK_RV;
    }
    let Some(real) = REAL.get().and_then(|real| real.functions.C_GetTokenInfo) else {
        return CKR_FUNCTION_NOT_SUPPORTED;
    };
    // SAFETY: the arguments are passed on as they came.
    let rv = unsafe { real(slot, info) };
    if rv == CKR_OK {
        // SAFETY: the call filled it.
        let info = unsafe { &mut *info };
        match action.mutate {
            Some(Mutation::Flags(flags)) => info.flags |= flags as CK_FLAGS,
            Some(Mutation::Serial(serial)) => {
                info.serialNumber = [b' '; 16];
                let length = serial.len().min(16);
                info.serialNumber[..length].copy_from_slice(&serial.as_bytes()[..length]);
            }
            _ => {}
        }
    }
    rv
}

unsafe extern "C" fn C_GetAttributeValue(
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    template: CK_ATTRIBUTE_PTR,
    count: CK_ULONG,
) -> CK_RV {
    let action = plan("C_GetAttributeValue");
    let _in_use = InUse::begin(session, "C_GetAttributeValue");
    if let Some(rv) = action.rv {
        return rv as CK_RV;
    }
    let Some(real) = REAL.get().and_then(|real| real.functions.C_GetAttributeValue) else {
        return CKR_FUNCTION_NOT_SUPPORTED;
    };
    // SAFETY: the arguments are passed on as they came.
    let rv = unsafe { real(session, object, template, count) };
    if let Some(mutation) = &action.mutate {
        // SAFETY: the program states how many entries its template has.
        for entry in unsafe { std::slice::from_raw_parts_mut(template, count as usize) } {
            if entry.ulValueLen != CK_UNAVAILABLE_INFORMATION {
                // SAFETY: an entry that was filled holds a value of that length.
                unsafe { change(mutation, entry.pValue.cast(), &mut entry.ulValueLen) };
            }
        }
    }
    rv
}

/// Some tokens decrypt in parts before they authenticate, so this is never called.
unsafe extern "C" fn C_DecryptUpdate(
    _: CK_SESSION_HANDLE,
    _: CK_BYTE_PTR,
    _: CK_ULONG,
    _: CK_BYTE_PTR,
    _: CK_ULONG_PTR,
) -> CK_RV {
    log("VIOLATION C_DecryptUpdate: decryption in parts");
    CKR_FUNCTION_NOT_SUPPORTED
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_shim_has_no_rules_without_a_file() {
        assert_eq!(super::plan("C_Test"), super::Action::default());
    }
}
