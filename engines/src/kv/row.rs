//! Stored rows: `docs/formats/kv.md`.

use std::collections::BTreeMap;
use strongroom_clock::Timestamp;
use zeroize::Zeroizing;

const FORMAT: u8 = 1;

const CAS_REQUIRED: u8 = 1;
const METADATA_CAS_REQUIRED: u8 = 1 << 1;
const DESTROYED: u8 = 1;

/// The row does not follow its format. The store has authenticated it, so a program wrote it that way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

impl From<Malformed> for strongroom_mount::Error {
    fn from(_: Malformed) -> Self {
        strongroom_mount::Error::us("a row of a kv mount does not follow its format")
    }
}

/// Whether the mount can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Secrets of version 1 are still being moved.
    Upgrading,
    /// It can.
    Ready,
}

/// What a write must bring.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Demands {
    /// Writes need `cas`.
    pub cas: bool,
    /// Changes of metadata need `metadata_cas`.
    pub metadata_cas: bool,
}

/// What holds for the whole mount.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Whether it can be used.
    pub state: State,
    /// What writes must bring.
    pub demands: Demands,
    /// Versions kept of each secret; 0 is the default.
    pub max_versions: u32,
    /// Seconds after which a new version is deleted; 0 never, negative never for any secret.
    pub delete_after: i64,
}

impl Config {
    /// Nothing set.
    pub const fn new(state: State) -> Config {
        Config { state, demands: Demands { cas: false, metadata_cas: false }, max_versions: 0, delete_after: 0 }
    }

    /// The row's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let state = match self.state {
            State::Upgrading => 1,
            State::Ready => 2,
        };
        let mut out = vec![FORMAT, state, self.demands.flags()];
        out.extend_from_slice(&self.max_versions.to_be_bytes());
        out.extend_from_slice(&self.delete_after.to_be_bytes());
        out
    }

    /// From a row's bytes.
    ///
    /// # Errors
    /// Anything that [`Config::encode`] does not write.
    pub fn decode(row: &[u8]) -> Result<Config, Malformed> {
        let mut reader = Reader::new(row)?;
        let state = match reader.array::<1>()? {
            [1] => State::Upgrading,
            [2] => State::Ready,
            _ => return Err(Malformed),
        };
        let demands = Demands::read(&mut reader)?;
        let max_versions = u32::from_be_bytes(reader.array()?);
        let delete_after = i64::from_be_bytes(reader.array()?);
        if delete_after < -1 {
            return Err(Malformed);
        }
        reader.end(Config { state, demands, max_versions, delete_after })
    }
}

impl Demands {
    fn flags(self) -> u8 {
        (u8::from(self.cas) * CAS_REQUIRED) | (u8::from(self.metadata_cas) * METADATA_CAS_REQUIRED)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Demands, Malformed> {
        let [flags] = reader.array()?;
        if flags & !(CAS_REQUIRED | METADATA_CAS_REQUIRED) != 0 {
            return Err(Malformed);
        }
        Ok(Demands { cas: flags & CAS_REQUIRED != 0, metadata_cas: flags & METADATA_CAS_REQUIRED != 0 })
    }
}

/// What holds for all versions of one secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metadata {
    /// What writes must bring.
    pub demands: Demands,
    /// Names the rows of its versions.
    pub id: [u8; 16],
    /// When the secret was made.
    pub created: Timestamp,
    /// When a version was added, or the metadata changed.
    pub updated: Timestamp,
    /// The newest version; 0 before the first.
    pub current: u64,
    /// The oldest version that is kept; 0 as long as none was given up.
    pub oldest: u64,
    /// No version below has a row.
    pub floor: u64,
    /// How often the metadata was changed.
    pub revision: u64,
    /// Versions kept; 0 is the mount's.
    pub max_versions: u32,
    /// Seconds after which a new version is deleted; 0 is the mount's.
    pub delete_after: u64,
    /// The caller's own words.
    pub custom: BTreeMap<String, String>,
}

impl Metadata {
    /// A secret without versions.
    pub fn new(id: [u8; 16], now: Timestamp) -> Metadata {
        Metadata {
            demands: Demands::default(),
            id,
            created: now,
            updated: now,
            current: 0,
            oldest: 0,
            floor: 1,
            revision: 0,
            max_versions: 0,
            delete_after: 0,
            custom: BTreeMap::new(),
        }
    }

    /// The row's bytes.
    ///
    /// # Panics
    /// On more than 65535 custom entries, or one with a longer name or value: they were checked when they were set.
    pub fn encode(&self) -> Vec<u8> {
        let text: usize = self.custom.iter().map(|(name, value)| 4 + name.len() + value.len()).sum();
        let mut out = Vec::with_capacity(80 + text);
        out.extend_from_slice(&[FORMAT, self.demands.flags()]);
        out.extend_from_slice(&self.id);
        for time in [self.created, self.updated] {
            out.extend_from_slice(&time.unix_nanos().to_be_bytes());
        }
        for number in [self.current, self.oldest, self.floor, self.revision] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.max_versions.to_be_bytes());
        out.extend_from_slice(&self.delete_after.to_be_bytes());
        let short = |len: usize| u16::try_from(len).expect("custom metadata is within its limits").to_be_bytes();
        out.extend_from_slice(&short(self.custom.len()));
        for text in self.custom.iter().flat_map(|(name, value)| [name, value]) {
            out.extend_from_slice(&short(text.len()));
            out.extend_from_slice(text.as_bytes());
        }
        out
    }

    /// From a row's bytes.
    ///
    /// # Errors
    /// Anything that [`Metadata::encode`] does not write.
    pub fn decode(row: &[u8]) -> Result<Metadata, Malformed> {
        let mut reader = Reader::new(row)?;
        let demands = Demands::read(&mut reader)?;
        let id = reader.array()?;
        let (created, updated) = (reader.time()?, reader.time()?);
        let (current, oldest, floor, revision) = (reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?);
        let max_versions = u32::from_be_bytes(reader.array()?);
        let delete_after = reader.u64()?;
        if oldest > current || floor == 0 || floor > oldest.max(1) {
            return Err(Malformed);
        }
        let count = u16::from_be_bytes(reader.array()?);
        let mut custom = BTreeMap::new();
        for _ in 0..count {
            let (name, value) = (reader.text()?, reader.text()?);
            let ascending = custom.last_key_value().is_none_or(|(last, _): (&String, _)| *last < name);
            if !ascending {
                return Err(Malformed);
            }
            custom.insert(name, value);
        }
        reader.end(Metadata {
            demands,
            id,
            created,
            updated,
            current,
            oldest,
            floor,
            revision,
            max_versions,
            delete_after,
            custom,
        })
    }

    /// The row of one version.
    pub fn version_row(&self, number: u64) -> String {
        version_row(&self.id, number)
    }

    /// The numbers of the versions that are kept; empty before the first.
    pub fn kept(&self) -> std::ops::RangeInclusive<u64> {
        self.oldest.max(1)..=self.current
    }
}

/// The row of version `number` of the secret with this id.
pub fn version_row(id: &[u8; 16], number: u64) -> String {
    format!("v/{:02x}/{:032x}-{number}", id[0], u128::from_be_bytes(*id))
}

/// One version.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Version<'a> {
    /// Whether its data is gone for good.
    pub destroyed: bool,
    /// When it was written.
    pub created: Timestamp,
    /// From when on it is deleted, if at all; may lie ahead.
    pub deleted: Option<Timestamp>,
    /// A JSON object; empty once destroyed.
    pub data: &'a [u8],
}

impl<'a> Version<'a> {
    /// The row's bytes.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(18 + self.data.len()));
        out.extend_from_slice(&[FORMAT, u8::from(self.destroyed) * DESTROYED]);
        for time in [self.created, self.deleted.unwrap_or_default()] {
            out.extend_from_slice(&time.unix_nanos().to_be_bytes());
        }
        out.extend_from_slice(self.data);
        out
    }

    /// From a row's bytes.
    ///
    /// # Errors
    /// Anything that [`Version::encode`] does not write; the data is not parsed.
    pub fn decode(row: &'a [u8]) -> Result<Version<'a>, Malformed> {
        let mut reader = Reader::new(row)?;
        let destroyed = match reader.array()? {
            [0] => false,
            [DESTROYED] => true,
            _ => return Err(Malformed),
        };
        let (created, deleted) = (reader.time()?, reader.time()?);
        let data = reader.0;
        if destroyed != data.is_empty() || !(destroyed || is_object(data)) {
            return Err(Malformed);
        }
        Ok(Version { destroyed, created, deleted: (deleted != Timestamp::default()).then_some(deleted), data })
    }

    /// Whether its data can be read at `now`.
    pub fn lives(&self, now: Timestamp) -> bool {
        !self.destroyed && self.deleted.is_none_or(|deleted| deleted > now)
    }
}

/// Versions whose secret is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gone {
    /// The first number that may have a row.
    pub first: u64,
    /// The last.
    pub last: u64,
}

impl Gone {
    /// The row's bytes.
    pub fn encode(&self) -> Vec<u8> {
        [&[FORMAT][..], &self.first.to_be_bytes(), &self.last.to_be_bytes()].concat()
    }

    /// From a row's bytes.
    ///
    /// # Errors
    /// Anything that [`Gone::encode`] does not write.
    pub fn decode(row: &[u8]) -> Result<Gone, Malformed> {
        let mut reader = Reader::new(row)?;
        let (first, last) = (reader.u64()?, reader.u64()?);
        if first == 0 || first > last {
            return Err(Malformed);
        }
        reader.end(Gone { first, last })
    }
}

/// A secret of version 1.
pub struct Plain;

impl Plain {
    /// The row's bytes, of a JSON object.
    pub fn encode(object: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(1 + object.len()));
        out.push(FORMAT);
        out.extend_from_slice(object);
        out
    }

    /// The object from a row's bytes; it is not parsed.
    ///
    /// # Errors
    /// Another format, and what cannot be an object.
    pub fn decode(row: &[u8]) -> Result<&[u8], Malformed> {
        let object = Reader::new(row)?.0;
        if is_object(object) { Ok(object) } else { Err(Malformed) }
    }
}

fn is_object(text: &[u8]) -> bool {
    matches!(text, [b'{', .., b'}'])
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn new(row: &'a [u8]) -> Result<Self, Malformed> {
        match row {
            [FORMAT, rest @ ..] => Ok(Reader(rest)),
            _ => Err(Malformed),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    fn time(&mut self) -> Result<Timestamp, Malformed> {
        self.array().map(|nanos| Timestamp::from_unix_nanos(i64::from_be_bytes(nanos)))
    }

    fn text(&mut self) -> Result<String, Malformed> {
        let len = usize::from(u16::from_be_bytes(self.array()?));
        let (text, rest) = self.0.split_at_checked(len).ok_or(Malformed)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).map_err(|_| Malformed)
    }

    fn end<T>(self, value: T) -> Result<T, Malformed> {
        if self.0.is_empty() { Ok(value) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked examples of `docs/formats/kv.md`.
    fn examples() -> Vec<Vec<u8>> {
        let page = include_str!("../../../docs/formats/kv.md");
        let blocks = page.split("```hex\n").skip(1).map(|block| block.split("```").next().unwrap());
        let digits = |block: &str| -> String {
            let lines = block.lines().map(|line| line.split('#').next().unwrap());
            lines.flat_map(|line| line.chars().filter(|c| !c.is_whitespace())).collect()
        };
        blocks.map(|block| hex::decode(digits(block)).expect("hex")).collect()
    }

    #[test]
    fn the_worked_examples_decode_and_encode_to_themselves() {
        let rows = examples();
        assert_eq!(rows.len(), 5, "five examples");
        let made = Timestamp::from_unix_nanos(0x18ea_98e2_7dba_f800);
        let config = Config::decode(&rows[0]).unwrap();
        let demands = Demands { cas: true, metadata_cas: false };
        assert_eq!(config, Config { state: State::Ready, demands, max_versions: 5, delete_after: -1 });
        assert_eq!(config.encode(), rows[0]);
        let metadata = Metadata::decode(&rows[1]).unwrap();
        assert_eq!((metadata.created, metadata.kept()), (made, 3..=5));
        assert_eq!((metadata.floor, metadata.revision, metadata.max_versions), (3, 1, 3));
        assert_eq!((metadata.delete_after, metadata.custom["owner"].as_str()), (3_600, "me"));
        assert_eq!(metadata.version_row(5), "v/a0/a0a1a2a3a4a5a6a7a8a9aaabacadaeaf-5");
        assert_eq!(metadata.encode(), rows[1]);
        let version = Version::decode(&rows[2]).unwrap();
        assert_eq!(version.deleted, Some(made.plus(std::time::Duration::from_secs(3_600))));
        assert!(version.lives(made) && !version.lives(version.deleted.unwrap()));
        assert_eq!(version.data, b"{\"n\":9007199254740993}");
        assert_eq!(*version.encode(), rows[2]);
        let gone = Gone::decode(&rows[3]).unwrap();
        assert_eq!((gone.first, gone.last, gone.encode()), (257, 258, rows[3].clone()));
        let plain = Plain::decode(&rows[4]).unwrap();
        assert_eq!((plain, &*Plain::encode(plain)), (&b"{\"k\": \"v\"}"[..], &rows[4]));
    }

    #[test]
    fn a_row_cut_short_or_long_or_of_another_format_is_refused() {
        let rows = examples();
        type Refused = fn(&[u8]) -> bool;
        let decoders: [Refused; 5] = [
            |row| Config::decode(row).is_err(),
            |row| Metadata::decode(row).is_err(),
            |row| Version::decode(row).is_err(),
            |row| Gone::decode(row).is_err(),
            |row| Plain::decode(row).is_err(),
        ];
        for (number, (row, refused)) in rows.iter().zip(decoders).enumerate() {
            for len in 0..row.len() {
                assert!(refused(&row[..len]), "example {number}: {len} bytes");
            }
            assert!(refused(&[&row[..], &[0]].concat()), "example {number}: one byte more");
            assert!(refused(&[&[2], &row[1..]].concat()), "example {number}: format 2");
        }
    }

    #[test]
    fn rows_that_contradict_themselves_are_refused() {
        let rows = examples();
        let with = |row: usize, at: usize, value: u8| {
            let mut bytes = rows[row].clone();
            bytes[at] = value;
            bytes
        };
        assert!(Config::decode(&with(0, 1, 3)).is_err(), "an unknown state");
        assert!(Config::decode(&with(0, 2, 4)).is_err(), "an unknown flag");
        assert!(Config::decode(&with(0, 14, 0xfe)).is_err(), "a span below -1");
        assert!(Metadata::decode(&with(1, 1, 8)).is_err(), "an unknown flag");
        assert!(Metadata::decode(&with(1, 49, 6)).is_err(), "the oldest after the newest");
        assert!(Metadata::decode(&with(1, 57, 4)).is_err(), "rows from after the oldest");
        assert!(Metadata::decode(&with(1, 57, 0)).is_err(), "rows from 0");
        assert!(Metadata::decode(&with(1, 84, 0xff)).is_err(), "a name that is not UTF-8");
        assert!(Version::decode(&with(2, 1, 1)).is_err(), "destroyed with data");
        assert!(Version::decode(&rows[2][..18]).is_err(), "not destroyed without data");
        assert!(Version::decode(&with(2, 18, b'[')).is_err(), "not an object");
        assert!(Gone::decode(&with(3, 16, 0)).is_err(), "the last before the first");
        let mut twice = Metadata::decode(&rows[1]).unwrap();
        twice.custom.insert("p".into(), "x".into());
        let mut bytes = twice.encode();
        let second = bytes.len() - 4;
        bytes[second] = b'a';
        assert!(Metadata::decode(&bytes).is_err(), "names out of order");
    }
}
