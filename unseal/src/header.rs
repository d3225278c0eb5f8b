//! The tree of one generation as it is stored (`docs/formats/expression.md`).

use crate::record::{Reader, Tag, Writer};
use crate::rows::{self, Row};
use crate::{Error, Tree};
use strongroom_secret::SecretBytes;
use strongroom_secret::digest::sha256;
use strongroom_secret::key::RootKey;

const VERSION: u8 = 1;
const COMMITMENT: &[u8] = b"strongroom root commitment 1";

/// Cluster, generation, tree and the commitment that a root key must meet before it is given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    cluster: [u8; 16],
    generation: u32,
    tree: Tree,
    commitment: [u8; 32],
    digest: [u8; 32],
}

impl Header {
    /// The header of a generation that is being dealt.
    pub(crate) fn new(cluster: [u8; 16], generation: u32, tree: &Tree, root: &RootKey) -> Self {
        let commitment = commitment(cluster, generation, tree, root.expose());
        let mut header = Header { cluster, generation, tree: tree.clone(), commitment, digest: [0; 32] };
        header.digest = sha256(&[&header.encode()]);
        header
    }

    /// version 1 ‖ `T` ‖ cluster 16 ‖ generation u32 ‖ commitment 32 ‖ tree ‖ checksum 16.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION, Tag::Tree);
        out.raw(&self.cluster).u32(self.generation).raw(&self.commitment);
        self.tree.write(&mut out);
        out.finish()
    }

    /// Reads what [`Header::encode`] wrote. `row` is its name, for errors.
    pub fn decode(row: &str, bytes: &[u8]) -> Result<Self, Error> {
        let mut from = Reader::new(row, bytes, Tag::Tree, VERSION)?;
        let (cluster, generation, commitment) = (from.array()?, from.u32()?, from.array()?);
        let tree = Tree::read(&mut from)?;
        from.finish()?;
        Ok(Header { cluster, generation, tree, commitment, digest: sha256(&[bytes]) })
    }

    /// The header of `generation` among `rows`, which must be of this cluster.
    pub fn of(rows: &rows::Rows, cluster: [u8; 16], generation: u32) -> Result<Self, Error> {
        let row = rows::tree(generation);
        let Some(bytes) = rows.get(&row) else { return Err(Error::Missing { row }) };
        let header = Header::decode(&row, bytes)?;
        if header.cluster != cluster {
            return Err(Error::Damaged { row, reason: "it belongs to another cluster" });
        }
        if header.generation != generation {
            return Err(Error::Damaged { row, reason: "it belongs to another generation" });
        }
        Ok(header)
    }

    pub(crate) fn row(&self) -> Row {
        Row { name: rows::tree(self.generation), bytes: self.encode() }
    }

    /// The cluster's id.
    pub fn cluster(&self) -> [u8; 16] {
        self.cluster
    }

    /// The generation of the root key.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The tree.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// SHA-256 over the whole record, which every keyslot of this generation is bound to.
    pub(crate) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// `candidate` as the root key, if it is the one that was committed to.
    pub(crate) fn check(&self, candidate: &SecretBytes) -> Option<RootKey> {
        let met = SecretBytes::from_slice(&commitment(self.cluster, self.generation, &self.tree, candidate.expose()));
        if met.same_as(&self.commitment) { RootKey::from_slice(candidate.expose()) } else { None }
    }
}

/// KDF(root, label, cluster ‖ generation ‖ tree): it says nothing about a root of 256 random bits.
fn commitment(cluster: [u8; 16], generation: u32, tree: &Tree, root: &[u8]) -> [u8; 32] {
    let mut written = Writer::new(VERSION, Tag::Tree);
    tree.write(&mut written);
    rows::commitment(root, COMMITMENT, &[&cluster, &generation.to_be_bytes(), written.as_bytes()])
}
