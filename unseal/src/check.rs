//! Every row of the seal tree looked at, without any leaf: what `sys/integrity/verify` reports, and what tells which row
//! it was when [`Rows::digest`] differs from the store's head.

use crate::catch_up::CatchUp;
use crate::custodians::Custodians;
use crate::header::Header;
use crate::keyslot::Keyslot;
use crate::recovery::Recovery;
use crate::rows::{self, Rows};
use crate::{Error, Kind};
use std::collections::BTreeSet;

/// Reads every row, holds it against its place, and looks for rows that must be there or must not. The errors name the
/// rows. None: each row is whole in itself; whether it is the current one, only the digest in the store's head says.
pub fn check(rows: &Rows, cluster: [u8; 16]) -> Vec<Error> {
    let mut errors = Vec::new();
    let mut known: BTreeSet<String> = BTreeSet::from([rows::RECOVERY.to_owned()]);
    let generations = rows.generations();
    if generations.is_empty() {
        errors.push(Error::Missing { row: rows::tree(1) });
    }
    for generation in &generations {
        known.insert(rows::tree(*generation));
        let header = match Header::of(rows, cluster, *generation) {
            Ok(header) => header,
            Err(error) => {
                // Its slots cannot be told apart from strangers without it.
                errors.push(error);
                known.extend(rows.of_generation(*generation));
                continue;
            }
        };
        for occurrence in header.tree().occurrences() {
            known.insert(rows::slot(*generation, &occurrence.label()));
            errors.extend(Keyslot::of(rows, &header, &occurrence).err());
        }
        for leaf in header.tree().leaves().iter().filter(|leaf| leaf.kind() == Kind::Shamir) {
            if known.insert(rows::shares(leaf.name())) {
                errors.extend(Custodians::load(rows, cluster, leaf.name()).err());
            }
        }
        if Some(generation) != generations.first() {
            known.insert(rows::catch_up(*generation));
            match CatchUp::of(rows, cluster, *generation) {
                Ok(Some(_)) => {}
                Ok(None) => errors.push(Error::Missing { row: rows::catch_up(*generation) }),
                Err(error) => errors.push(error),
            }
        }
    }
    errors.extend(Recovery::load(rows, cluster).err());
    let strangers = rows.iter().filter(|(name, _)| !known.contains(*name));
    let reason = "no row of the seal tree has this name";
    errors.extend(strangers.map(|(name, _)| Error::Damaged { row: name.to_owned(), reason }));
    errors
}
