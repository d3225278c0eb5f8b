//! How a token lies in the store. The byte table is in `docs/formats/stored-token.md`.

use strongroom_clock::Timestamp;

use super::cidr::Cidr;
use super::id::TokenKey;
use super::token::{Bound, State, Token, TokenType, Uses};
use crate::Error;

const LAYOUT: u8 = 1;

const RENEWABLE: u8 = 1;
const LIMITED: u8 = 2;
const PARENT: u8 = 4;

impl Token {
    /// The bytes of its row.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(320);
        let flag = |set: bool, flag| if set { flag } else { 0 };
        out.push(LAYOUT);
        out.push(self.state as u8);
        out.push(
            flag(self.renewable, RENEWABLE)
                | flag(matches!(self.uses, Uses::Left(_)), LIMITED)
                | flag(self.may_have_children, PARENT),
        );
        for time in [Some(self.created), self.expires, self.due, self.renewed] {
            out.extend(time.map_or(0, Timestamp::unix_nanos).to_be_bytes());
        }
        let (max, period) = (self.explicit_max_ttl, self.period);
        let uses = if let Uses::Left(left) = self.uses { left } else { 0 };
        for span in [self.creation_ttl, self.granted_ttl, max.in_force, max.asked, period.in_force, period.asked, uses]
        {
            out.extend(span.to_be_bytes());
        }
        out.extend(self.parent.map_or([0; 16], |key| key.0));
        for text in [&*self.accessor, &*self.display_name, &self.path, &self.role, &*self.entity_id] {
            put_text(&mut out, text);
        }
        put_count(&mut out, self.policies.len());
        self.policies.iter().for_each(|name| put_text(&mut out, name));
        put_count(&mut out, self.cidrs.len());
        self.cidrs.iter().for_each(|block| put_text(&mut out, block.as_str()));
        put_count(&mut out, self.metadata.len());
        for (name, value) in &self.metadata {
            put_text(&mut out, name);
            put_text(&mut out, value);
        }
        out
    }

    /// Reads the row of the token `key`, or what a batch token holds.
    pub fn decode(key: TokenKey, kind: TokenType, bytes: &[u8]) -> Result<Token, Error> {
        let mut rest = Reader(bytes);
        if rest.byte()? != LAYOUT {
            return Err(Error::StoredToken("its layout is of a later version of this program"));
        }
        let state = match rest.byte()? {
            0 => State::Live,
            1 => State::Leaving,
            2 => State::LeavingAlone,
            _ => return Err(Error::StoredToken("its state is unknown")),
        };
        let flags = rest.byte()?;
        if flags & !(RENEWABLE | LIMITED | PARENT) != 0 {
            return Err(Error::StoredToken("it has unknown flags"));
        }
        let created = Timestamp::from_unix_nanos(i64::from_be_bytes(rest.array()?));
        let (expires, due, renewed) = (rest.time()?, rest.time()?, rest.time()?);
        let (creation_ttl, granted_ttl) = (rest.number()?, rest.number()?);
        let explicit_max_ttl = Bound { in_force: rest.number()?, asked: rest.number()? };
        let period = Bound { in_force: rest.number()?, asked: rest.number()? };
        let uses = rest.number()?;
        let parent: [u8; 16] = rest.array()?;
        let token = Token {
            key,
            name: key.to_string().into(),
            kind,
            state,
            created,
            expires,
            due,
            renewed,
            creation_ttl,
            granted_ttl,
            explicit_max_ttl,
            period,
            uses: if flags & LIMITED != 0 { Uses::Left(uses) } else { Uses::Unlimited },
            renewable: flags & RENEWABLE != 0,
            may_have_children: flags & PARENT != 0,
            parent: (parent != [0; 16]).then_some(TokenKey(parent)),
            accessor: rest.text()?.into(),
            display_name: rest.text()?.into(),
            path: rest.text()?.to_owned(),
            role: rest.text()?.to_owned(),
            entity_id: rest.text()?.into(),
            policies: rest.many(|rest| Ok(rest.text()?.to_owned()))?.into(),
            cidrs: rest.many(|rest| {
                Cidr::parse(rest.text()?).ok_or(Error::StoredToken("it is bound to what is no address"))
            })?,
            metadata: rest.many(|rest| Ok((rest.text()?.to_owned(), rest.text()?.to_owned())))?.into_iter().collect(),
        };
        if rest.0.is_empty() { Ok(token) } else { Err(Error::StoredToken("it has bytes after its end")) }
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_count(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    // Requests have at most 32 MiB and rows at most 1 MiB.
    out.extend(u32::try_from(count).expect("less than 4 GiB").to_be_bytes());
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Error::StoredToken("it is cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        // `take` gives exactly N bytes.
        Ok(self.take(N)?.try_into().expect("N bytes"))
    }

    fn byte(&mut self) -> Result<u8, Error> {
        Ok(self.array::<1>()?[0])
    }

    fn number(&mut self) -> Result<u64, Error> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn time(&mut self) -> Result<Option<Timestamp>, Error> {
        let nanos = i64::from_be_bytes(self.array()?);
        Ok((nanos != 0).then_some(Timestamp::from_unix_nanos(nanos)))
    }

    fn count(&mut self) -> Result<usize, Error> {
        Ok(u32::from_be_bytes(self.array()?) as usize)
    }

    fn text(&mut self) -> Result<&'a str, Error> {
        let count = self.count()?;
        std::str::from_utf8(self.take(count)?).map_err(|_| Error::StoredToken("a text is not UTF-8"))
    }

    fn many<T>(&mut self, mut one: impl FnMut(&mut Self) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        let count = self.count()?;
        // Each item takes at least four bytes, so a count from hostile bytes reserves no more than they have.
        let mut items = Vec::with_capacity(count.min(self.0.len() / 4));
        for _ in 0..count {
            items.push(one(self)?);
        }
        Ok(items)
    }
}
