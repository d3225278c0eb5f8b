//! `sys/seal-status`: Vault's fields, then ours.

use crate::config::Redact;
use crate::custody::SealStatus;
use strongroom_mount::Object;

/// The date of the build, or of the commit it was built from; empty where the build was not told.
pub const BUILD_DATE: &str = match option_env!("STRONGROOM_BUILD_DATE") {
    Some(date) => date,
    None => "",
};

/// What the status does not know: where it is said.
pub struct Place<'a> {
    /// `inmem` or `embedded`.
    pub storage: &'a str,
    /// The cluster's name, as configured.
    pub cluster_name: Option<&'a str>,
    /// What the listener leaves out.
    pub redact: Redact,
}

/// The body.
pub fn answer(status: &SealStatus, place: &Place<'_>) -> Object {
    Object::build(|out| {
        out.string("type", status.kind);
        out.value("initialized", &status.initialised);
        out.value("sealed", &status.sealed);
        out.value("t", &status.threshold);
        out.value("n", &status.shares);
        out.value("progress", &status.progress);
        out.string("nonce", &status.nonce);
        let (version, date) = if place.redact.version { ("", "") } else { (crate::sys::VERSION, BUILD_DATE) };
        out.string("version", version);
        out.string("build_date", date);
        out.string("commit_date", date);
        out.value("migration", &false);
        if let Some(cluster) = status.cluster.filter(|_| !status.sealed) {
            if !place.redact.cluster_name {
                out.string("cluster_name", &cluster_name(place.cluster_name, cluster));
            }
            out.string("cluster_id", &uuid::Uuid::from_bytes(cluster).to_string());
        }
        out.value("recovery_seal", &status.recovery_seal);
        if status.recovery_seal {
            out.string("recovery_seal_type", "shamir");
        }
        out.string("storage_type", place.storage);
        if let Some(rollback) = status.rollback {
            out.string("rollback", rollback.name());
        }
        if let (Some(epoch), Some(words)) = (status.epoch, status.words) {
            out.value("epoch", &epoch);
            out.string("epoch_words", &words.join(" "));
        }
        let warnings: Vec<&str> = status.refused.iter().chain(&status.warnings).map(String::as_str).collect();
        if !warnings.is_empty() {
            out.strings("warnings", warnings.into_iter());
        }
    })
}

/// The cluster's name: configured, or made from its id so that it stays the same.
pub fn cluster_name(configured: Option<&str>, cluster: [u8; 16]) -> String {
    match configured {
        Some(name) => name.to_owned(),
        None => format!("strongroom-cluster-{}", hex::encode(&cluster[..4])),
    }
}
