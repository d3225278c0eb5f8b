//! How a policy lies in the store. The byte table is in `docs/formats/policy.md`.

use serde::{Deserialize, Serialize};
use strongroom_clock::Timestamp;

use super::name::PolicyName;
use super::policy::Policy;
use crate::Error;

/// The version of the layout that is written.
const LAYOUT: u8 = 1;

/// A policy as it is stored: its text is what its author wrote, and is parsed when it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPolicy {
    /// What it is called.
    pub name: PolicyName,
    /// Its text, byte for byte.
    pub text: String,
    /// How often it was written, from 1.
    pub version: u64,
    /// When it was first written.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    name: String,
    text: String,
    version: u64,
    created_ns: i64,
    updated_ns: i64,
}

impl StoredPolicy {
    /// A policy that was not there before.
    pub fn new(name: PolicyName, text: String, now: Timestamp) -> StoredPolicy {
        StoredPolicy { name, text, version: 1, created: now, updated: now }
    }

    /// The same policy with another text.
    #[must_use]
    pub fn rewritten(&self, text: String, now: Timestamp) -> StoredPolicy {
        StoredPolicy { text, version: self.version.saturating_add(1), updated: now, ..self.clone() }
    }

    /// Its rules.
    pub fn parse(&self) -> Result<Policy, Error> {
        Policy::parse(self.name.clone(), &self.text)
    }

    /// The bytes of its row.
    pub fn encode(&self) -> Vec<u8> {
        let record = Record {
            name: self.name.as_str().to_owned(),
            text: self.text.clone(),
            version: self.version,
            created_ns: self.created.unix_nanos(),
            updated_ns: self.updated.unix_nanos(),
        };
        let mut bytes = vec![LAYOUT];
        // Strings and numbers in a struct, written to memory: nothing in it can fail.
        serde_json::to_writer(&mut bytes, &record).expect("a record of strings and numbers is JSON");
        bytes
    }

    /// Reads a row that is the policy `name`'s.
    pub fn decode(name: &PolicyName, bytes: &[u8]) -> Result<StoredPolicy, Error> {
        let (layout, json) = bytes.split_first().ok_or(Error::StoredPolicy("it is empty"))?;
        if *layout != LAYOUT {
            return Err(Error::StoredPolicy("its layout is of a later version of this program"));
        }
        let record: Record =
            serde_json::from_slice(json).map_err(|_| Error::StoredPolicy("it is not the JSON expected"))?;
        if record.name != name.as_str() {
            return Err(Error::StoredPolicy("its name is another's"));
        }
        if record.version == 0 {
            return Err(Error::StoredPolicy("its version is 0"));
        }
        Ok(StoredPolicy {
            name: name.clone(),
            text: record.text,
            version: record.version,
            created: Timestamp::from_unix_nanos(record.created_ns),
            updated: Timestamp::from_unix_nanos(record.updated_ns),
        })
    }
}
