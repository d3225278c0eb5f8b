//! A key with its versions, and which of them a request may use.

use super::errors;
use super::key_type::KeyType;
use super::version::Version;
use std::collections::BTreeMap;
use std::sync::Arc;
use strongroom_clock::Timestamp;
use strongroom_mount::Error;

/// A key as it is stored: its policy, and its versions by number.
#[derive(Clone)]
pub(crate) struct TransitKey {
    pub(crate) policy: Policy,
    pub(crate) versions: BTreeMap<u32, Arc<Version>>,
}

/// All of a key that is not a version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Policy {
    /// Drawn when the key was made or restored; names its counters.
    pub(crate) id: [u8; 16],
    pub(crate) kind: KeyType,
    pub(crate) derived: bool,
    pub(crate) convergent: bool,
    pub(crate) exportable: bool,
    pub(crate) plaintext_backup: bool,
    pub(crate) deletion_allowed: bool,
    pub(crate) imported: bool,
    pub(crate) imported_rotation: bool,
    pub(crate) soft_deleted: bool,
    pub(crate) latest: u32,
    pub(crate) min_decryption: u32,
    pub(crate) min_encryption: u32,
    pub(crate) min_available: u32,
    /// Seconds; 0 is never.
    pub(crate) auto_rotate: u64,
    /// Bytes; 0 unless the type is HMAC.
    pub(crate) key_size: u16,
    pub(crate) backed_up: Option<Copied>,
    pub(crate) restored: Option<Copied>,
}

/// When a key was backed up or restored, and at which latest version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Copied {
    pub(crate) time: Timestamp,
    pub(crate) version: u32,
}

impl Policy {
    /// A key without versions yet.
    pub(crate) fn new(id: [u8; 16], kind: KeyType) -> Policy {
        Policy {
            id,
            kind,
            derived: false,
            convergent: false,
            exportable: false,
            plaintext_backup: false,
            deletion_allowed: false,
            imported: false,
            imported_rotation: false,
            soft_deleted: false,
            latest: 0,
            min_decryption: 1,
            min_encryption: 0,
            min_available: 0,
            auto_rotate: 0,
            key_size: 0,
            backed_up: None,
            restored: None,
        }
    }
}

/// What an operation of the caller's does, for the texts of errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Use {
    Encryption,
    Signing,
}

impl TransitKey {
    /// The newest version.
    pub(crate) fn latest(&self) -> Result<(u32, &Arc<Version>), Error> {
        self.version(self.policy.latest)
    }

    /// A version that is known to be allowed.
    pub(crate) fn version(&self, number: u32) -> Result<(u32, &Arc<Version>), Error> {
        let version = self.versions.get(&number);
        version.map(|version| (number, version)).ok_or_else(|| Error::us(format_args!("version {number} is missing")))
    }

    /// The version with which a request encrypts or signs: 0 is the newest.
    pub(crate) fn for_making(&self, asked: i64, what: Use) -> Result<(u32, &Arc<Version>), Error> {
        if asked == 0 {
            return self.latest();
        }
        let least = self.policy.min_encryption.max(self.policy.min_decryption);
        let number = u32::try_from(asked).map_err(|_| match asked {
            ..0 => errors::version_negative(what),
            _ => errors::version_too_high(what),
        })?;
        match number {
            number if number > self.policy.latest => Err(errors::version_too_high(what)),
            number if number < least => Err(errors::version_too_low(what)),
            number => self.version(number),
        }
    }

    /// The version that made what a request brings; `None`: newer than the newest. Version 0 is an old writing of 1.
    pub(crate) fn for_reading(&self, made_by: u32) -> Result<Option<(u32, &Arc<Version>)>, Error> {
        let number = made_by.max(1);
        if number > self.policy.latest {
            return Ok(None);
        }
        if number < self.policy.min_decryption {
            return Err(errors::too_old());
        }
        self.version(number).map(Some)
    }

    /// The versions that clients see and export.
    pub(crate) fn visible(&self) -> impl Iterator<Item = (u32, &Arc<Version>)> {
        let least = self.policy.min_decryption.max(self.policy.min_available);
        self.versions.range(least..).map(|(number, version)| (*number, version))
    }

    /// Adds a newest version.
    pub(crate) fn push(&mut self, version: Arc<Version>) -> Result<(), Error> {
        self.policy.latest = self.next()?;
        self.versions.insert(self.policy.latest, version);
        Ok(())
    }

    /// The number that the next version gets.
    pub(crate) fn next(&self) -> Result<u32, Error> {
        self.policy.latest.checked_add(1).ok_or_else(|| Error::us("a key has no more version numbers"))
    }

    /// The caller may not use a key that is deleted softly.
    pub(crate) fn usable(&self) -> Result<(), Error> {
        if self.policy.soft_deleted { Err(errors::soft_deleted()) } else { Ok(()) }
    }
}
