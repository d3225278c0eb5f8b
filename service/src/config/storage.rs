//! `storage "…" { … }`.

use super::reader::Reader;
use std::path::PathBuf;
use strongroom_hcl::Block;

/// Where the store lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In a directory of this machine.
    Embedded {
        /// The directory; made when it is missing.
        path: PathBuf,
    },
    /// In memory: gone with the process.
    InMemory,
}

/// Reads the stanza.
pub(super) fn read(reader: &mut Reader<'_>, block: Block) -> Option<Storage> {
    let Block { position, labels, mut body } = block;
    let kind = labels[0].value.as_str();
    let storage = match kind {
        "embedded" => {
            let path = match body.required_text("path") {
                Ok(path) if path.value.is_empty() => {
                    reader.refuse(&body, path.position, "path is empty");
                    None
                }
                Ok(path) => Some(PathBuf::from(path.value)),
                Err(mistake) => {
                    reader.mistakes.push(mistake.to_string());
                    None
                }
            };
            path.map(|path| Storage::Embedded { path })
        }
        "inmem" => Some(Storage::InMemory),
        "etcd" | "postgresql" => {
            let text =
                format!("storage {kind:?} is not in this version: use \"embedded\", or \"inmem\" to try things out");
            reader.refuse(&body, position, text);
            return None;
        }
        // Named, so that nobody looks for a spelling mistake.
        "file" | "raft" | "consul" | "s3" | "gcs" | "azure" | "mysql" | "dynamodb" | "zookeeper" | "cassandra" => {
            let text = format!(
                "storage {kind:?} is not offered here: use \"embedded\" on one node (later \"etcd\" or \"postgresql\" \
                 for a cluster)"
            );
            reader.refuse(&body, position, text);
            return None;
        }
        other => {
            let text = format!("unknown storage {other:?}: use \"embedded\" or \"inmem\"");
            reader.refuse(&body, position, text);
            return None;
        }
    };
    reader.finish(body);
    storage
}
