//! One keyslot: a portion of the root key, sealed by its leaf for its place alone (`docs/formats/keyslot.md`).

use crate::Error;
use crate::header::Header;
use crate::leaf::Enrolment;
use crate::record::{Reader, Tag, Writer};
use crate::rows::{self, Row};
use crate::tree::{Kind, Occurrence};
use strongroom_hsm::DeviceId;
use strongroom_secret::SecretBytes;
use strongroom_secret::aead::AeadKey;
use strongroom_secret::digest::sha256;
use strongroom_secret::key::RootKey;

const VERSION: u8 = 1;
/// Bytes of a portion.
pub const PORTION_BYTES: usize = 32;
const MAX_PIN: usize = 8192;
const COMMITMENT: &[u8] = b"strongroom keyslot commitment 1";
const PENDING_KEY: &[u8] = b"strongroom pending keyslot 1";

/// Who holds the sealed portion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// The leaf: it opens the slot.
    Held = 1,
    /// The root key of the same generation, for a leaf that was away when this generation was dealt. It opens nothing.
    Pending = 2,
}

/// Everything of a keyslot that is bound to its place, in the order in which it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub(crate) state: State,
    pub(crate) cluster: [u8; 16],
    pub(crate) generation: u32,
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) leaf: String,
    pub(crate) enrolment: Enrolment,
}

/// A keyslot as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyslot {
    place: Place,
    commitment: [u8; 32],
    sealed: Vec<u8>,
}

impl Place {
    /// The place of `occurrence` in the tree of `header`.
    pub(crate) fn new(header: &Header, occurrence: &Occurrence, state: State, enrolment: &Enrolment) -> Self {
        let leaf = &header.tree().leaves()[occurrence.leaf()];
        let mut enrolment = enrolment.clone();
        while enrolment.text.len() > 255 {
            enrolment.text.pop();
        }
        Place {
            state,
            cluster: header.cluster(),
            generation: header.generation(),
            path: occurrence.path().to_vec(),
            kind: leaf.kind(),
            leaf: leaf.name().to_owned(),
            enrolment,
        }
    }

    fn write(&self) -> Writer {
        let mut out = Writer::new(VERSION, Tag::Keyslot);
        out.u8(self.state as u8).raw(&self.cluster).u32(self.generation).short(&self.path).u8(self.kind as u8);
        out.short(self.leaf.as_bytes()).raw(&self.enrolment.device.0).short(self.enrolment.text.as_bytes());
        out.long(&self.enrolment.pin);
        out
    }

    /// What the leaf authenticates beside the portion: SHA-256 over a label, the digest of the tree's record and every
    /// byte of the slot before its commitment. So a slot opens at its own place of its own deal, and nowhere else.
    pub(crate) fn aad(&self, header: &Header) -> [u8; 32] {
        sha256(&[b"strongroom keyslot 1", header.digest(), self.write().as_bytes()])
    }

    fn label(&self) -> String {
        match self.path.is_empty() {
            true => "root".to_owned(),
            false => self.path.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
        }
    }
}

impl Keyslot {
    /// A slot of what the leaf made of `portion` under [`Place::aad`].
    pub(crate) fn new(header: &Header, place: Place, portion: &SecretBytes, sealed: Vec<u8>) -> Result<Self, Error> {
        if place.enrolment.pin.len() > MAX_PIN || sealed.len() > usize::from(u16::MAX) {
            let reason = "what it is known by, or what it sealed, is too long to be stored".to_owned();
            return Err(Error::Leaf { leaf: place.leaf, reason });
        }
        let commitment = rows::commitment(portion.expose(), COMMITMENT, &[&place.aad(header)]);
        Ok(Keyslot { place, commitment, sealed })
    }

    /// A slot for a leaf that is away: its portion under a key derived from the root.
    pub(crate) fn pending(
        header: &Header,
        occurrence: &Occurrence,
        enrolment: &Enrolment,
        portion: &SecretBytes,
        root: &RootKey,
    ) -> Result<Self, Error> {
        let place = Place::new(header, occurrence, State::Pending, enrolment);
        let mut sealed = Vec::new();
        pending_key(root)
            .seal(&place.aad(header), portion.expose(), &mut sealed)
            .map_err(|_| Error::Module("a portion was not sealed"))?;
        Keyslot::new(header, place, portion, sealed)
    }

    /// The portion of a pending slot.
    pub(crate) fn open_pending(&self, header: &Header, root: &RootKey) -> Result<SecretBytes, Error> {
        let opened = pending_key(root).open(&self.place.aad(header), &self.sealed).ok();
        match opened.filter(|portion| self.is_of(header, portion)) {
            Some(portion) => Ok(portion),
            None => Err(Error::Damaged { row: self.row_name(), reason: "it does not open with the root key" }),
        }
    }

    /// Whether `portion` is what was sealed at this place: AES-GCM alone would let a slot be made that opens to
    /// different portions under different keys.
    pub(crate) fn is_of(&self, header: &Header, portion: &SecretBytes) -> bool {
        let met = rows::commitment(portion.expose(), COMMITMENT, &[&self.place.aad(header)]);
        portion.len() == PORTION_BYTES && SecretBytes::from_slice(&met).same_as(&self.commitment)
    }

    /// place ‖ commitment 32 ‖ sealed length u16 ‖ sealed ‖ checksum 16.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.place.write();
        out.raw(&self.commitment).long(&self.sealed);
        out.finish()
    }

    /// Reads what [`Keyslot::encode`] wrote. `row` is its name, for errors.
    pub fn decode(row: &str, bytes: &[u8]) -> Result<Self, Error> {
        let mut from = Reader::new(row, bytes, Tag::Keyslot, VERSION)?;
        let state = match from.u8()? {
            1 => State::Held,
            2 => State::Pending,
            _ => return Err(from.damaged("its state is unknown")),
        };
        let (cluster, generation, path) = (from.array()?, from.u32()?, from.short()?.to_vec());
        let kind = from.u8()?;
        let kind = Kind::from_number(kind).ok_or_else(|| from.damaged("its leaf's kind is unknown"))?;
        let leaf = from.text()?;
        let (device, text, pin) = (DeviceId(from.array()?), from.text()?, from.long()?.to_vec());
        if pin.len() > MAX_PIN {
            return Err(from.damaged("its device's pin is too long"));
        }
        let (commitment, sealed) = (from.array()?, from.long()?.to_vec());
        from.finish()?;
        let place = Place { state, cluster, generation, path, kind, leaf, enrolment: Enrolment { device, text, pin } };
        Ok(Keyslot { place, commitment, sealed })
    }

    /// The slot of `occurrence` among `rows`, which must be of this place.
    pub(crate) fn of(rows: &rows::Rows, header: &Header, occurrence: &Occurrence) -> Result<Self, Error> {
        let row = rows::slot(header.generation(), &occurrence.label());
        let Some(bytes) = rows.get(&row) else { return Err(Error::Missing { row }) };
        let slot = Keyslot::decode(&row, bytes)?;
        if slot.place != Place::new(header, occurrence, slot.place.state, &slot.place.enrolment) {
            return Err(Error::Damaged { row, reason: "it belongs to another place" });
        }
        Ok(slot)
    }

    pub(crate) fn row(&self) -> Row {
        Row { name: self.row_name(), bytes: self.encode() }
    }

    fn row_name(&self) -> String {
        rows::slot(self.place.generation, &self.place.label())
    }

    /// Whether its leaf or only the root key opens it.
    pub fn state(&self) -> State {
        self.place.state
    }

    /// The name of its leaf.
    pub fn leaf(&self) -> &str {
        &self.place.leaf
    }

    /// The generation of the root key that it holds a portion of.
    pub fn generation(&self) -> u32 {
        self.place.generation
    }

    /// Who its device is.
    pub fn enrolment(&self) -> &Enrolment {
        &self.place.enrolment
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn sealed(&self) -> &[u8] {
        &self.sealed
    }
}

fn pending_key(root: &RootKey) -> AeadKey {
    // `derived` gives 32 bytes.
    AeadKey::new(rows::derived(root.expose(), PENDING_KEY, &[]).expose().try_into().expect("32 bytes"))
}
