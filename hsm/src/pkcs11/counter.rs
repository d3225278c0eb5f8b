//! A counter on a token that has none: data objects, where the maximum wins.
//!
//! Raising makes the new object first and then destroys what is older, so a crash in between leaves both and loses
//! nothing. Format and promise are in `docs/formats/epoch-object.md`: a token whose owner can restore its memory (every
//! software token) can be rolled back with it.

use super::connection::Connection;
use super::fault::Fault;
use super::{Pkcs11, keys};
use crate::{CounterName, Error, Result};
use cryptoki::error::RvError;
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki_sys::CKA_VALUE;
use std::collections::BTreeMap;
use strongroom_secret::digest::sha256;

const APPLICATION: &[u8] = b"strongroom";
const FORMAT: u8 = 1;
const VALUE_SIZE: usize = 1 + 16 + 8 + 8;
/// How often a sporadic failure is met with one more try, each in a session of its own.
const ATTEMPTS: usize = 16;

impl Pkcs11 {
    pub(super) fn read_counter(&self, counter: &CounterName) -> Result<Option<u64>> {
        self.patiently(|connection, session| Ok(highest(&objects(connection, session, counter)?)))?
    }

    pub(super) fn list_counters(&self) -> Result<Vec<(CounterName, u64)>> {
        self.patiently(|connection, session| {
            let mut counters = BTreeMap::new();
            for handle in keys::find(connection, session, &every())? {
                let value = read(connection, session, handle)?;
                // What cannot be read is for who asks for its own counter to complain about.
                let name = value.get(1..17).and_then(|cluster| cluster.try_into().ok()).map(CounterName);
                let Some((name, value)) = name.and_then(|name| Some((name, decode(&name, &value)?))) else { continue };
                let held = counters.entry(name).or_insert(value);
                *held = value.max(*held);
            }
            Ok(counters.into_iter().collect())
        })
    }

    pub(super) fn raise_counter(&self, counter: &CounterName, to: u64) -> Result<()> {
        self.patiently(|connection, session| {
            let _one = connection.library.counters.lock();
            match highest(&objects(connection, session, counter)?) {
                Ok(Some(highest)) if highest > to => return Err(Error::Backwards { held: highest, asked: to }.into()),
                Ok(Some(highest)) if highest == to => {}
                // Nothing readable: the new object is what will be readable.
                _ => {
                    let writing = connection.writing_session()?;
                    let made = {
                        let _one = connection.library.objects.lock();
                        writing.create_object(&template(counter, Some(to)))?
                    };
                    // Read back before the old one goes: a token that lost the value must not lose both.
                    let value = read(connection, session, made)?;
                    if decode(counter, &value) != Some(to) {
                        let text = format!("token {} gives wrong results: it changed an object's value", self.name);
                        return Err(Error::Away(text).into());
                    }
                }
            }
            // Looked at again: another process may have raised at the same time, and the maximum wins.
            let held = objects(connection, session, counter)?;
            let maximum = held.iter().filter_map(|(_, value)| *value).max();
            for (handle, _) in held.iter().filter(|(_, value)| *value < maximum) {
                let writing = connection.writing_session()?;
                let _one = connection.library.objects.lock();
                match writing.destroy_object(*handle).map_err(Fault::from) {
                    // Another process was first.
                    Err(fault) if fault.code() == Some(RvError::ObjectHandleInvalid) => {}
                    destroyed => destroyed?,
                }
            }
            Ok(())
        })
    }

    /// Runs `op` again after what SoftHSM answers sporadically when token objects change under it.
    fn patiently<T>(&self, op: impl Fn(&Connection, &Session) -> std::result::Result<T, Fault>) -> Result<T> {
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            let sporadic = std::cell::Cell::new(false);
            let answer = self.with(|connection, session| {
                op(connection, session).inspect_err(|fault| sporadic.set(fault.is_sporadic()))
            });
            if answer.is_ok() || !sporadic.get() || left == 0 {
                return answer;
            }
        }
    }
}

/// The counter's objects, with the values of those that can be read.
fn objects(
    connection: &Connection,
    session: &Session,
    counter: &CounterName,
) -> std::result::Result<Vec<(ObjectHandle, Option<u64>)>, Fault> {
    let mut held = Vec::new();
    for handle in keys::find(connection, session, &template(counter, None))? {
        let value = read(connection, session, handle)?;
        held.push((handle, decode(counter, &value)));
    }
    Ok(held)
}

fn read(connection: &Connection, session: &Session, handle: ObjectHandle) -> std::result::Result<Vec<u8>, Fault> {
    let _one = connection.library.objects.lock();
    let mut values = connection.library.raw.attributes(session, handle, &[CKA_VALUE])?;
    Ok(values.pop().flatten().unwrap_or_default())
}

/// The maximum wins. Objects that cannot be read are passed over as long as one can: a crash may leave one half made.
fn highest(held: &[(ObjectHandle, Option<u64>)]) -> Result<Option<u64>> {
    match held.iter().filter_map(|(_, value)| *value).max() {
        None if !held.is_empty() => {
            Err(Error::Config("the token's epoch object cannot be read: it was changed by something else".into()))
        }
        highest => Ok(highest),
    }
}

/// What every counter's object has.
fn every() -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::DATA),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Application(APPLICATION.to_vec()),
    ]
}

fn template(counter: &CounterName, value: Option<u64>) -> Vec<Attribute> {
    let mut template = every();
    template.push(Attribute::Label(label(counter)));
    if let Some(value) = value {
        template.push(Attribute::Modifiable(false));
        template.push(Attribute::Value(encode(counter, value)));
    }
    template
}

fn label(counter: &CounterName) -> Vec<u8> {
    let hex: String = counter.0.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("strongroom-epoch-{hex}").into_bytes()
}

/// format u8 = 1 ‖ cluster 16 ‖ value u64 ‖ first 8 of SHA-256("strongroom epoch 1" ‖ the bytes before).
fn encode(counter: &CounterName, value: u64) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    bytes.extend(counter.0);
    bytes.extend(value.to_be_bytes());
    let check = sha256(&[b"strongroom epoch 1", &bytes]);
    bytes.extend(&check[..8]);
    bytes
}

fn decode(counter: &CounterName, bytes: &[u8]) -> Option<u64> {
    let bytes: &[u8; VALUE_SIZE] = bytes.try_into().ok()?;
    let value = u64::from_be_bytes(bytes[17..25].try_into().ok()?);
    (encode(counter, value) == bytes).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: CounterName = CounterName([0xab; 16]);

    #[test]
    fn a_value_decodes_for_its_own_cluster_and_unchanged_only() {
        let bytes = encode(&CLUSTER, 7);
        assert_eq!(bytes.len(), VALUE_SIZE);
        assert_eq!(decode(&CLUSTER, &bytes), Some(7));
        assert_eq!(decode(&CounterName([0xac; 16]), &bytes), None);
        for length in 0..bytes.len() {
            assert_eq!(decode(&CLUSTER, &bytes[..length]), None);
        }
        assert_eq!(decode(&CLUSTER, &[&bytes[..], &[0]].concat()), None);
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&CLUSTER, &changed), None, "bit {bit}");
        }
    }

    /// The worked example of `docs/formats/epoch-object.md`.
    #[test]
    fn the_documented_example_is_what_is_written() {
        let document = include_str!("../../../docs/formats/epoch-object.md");
        let counter = CounterName([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        let hex: String = encode(&counter, 258).iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(document.contains(&hex), "{hex} is not in the document");
        let label = String::from_utf8(label(&counter)).unwrap();
        assert!(document.contains(&label), "{label} is not in the document");
    }
}
