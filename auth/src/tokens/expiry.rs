//! What is due, found without a scan. The layout is in `docs/formats/expiry-bucket.md`.

use strongroom_clock::Timestamp;
use strongroom_keystore::{Batch, View};

use super::id::TokenKey;
use super::store::{MARK, TokenStore};
use crate::Error;

/// Seconds in a bucket.
const WIDTH: u64 = 16;
/// Buckets in a span.
const BUCKETS: u64 = 256;
/// Tokens that one commit takes away.
const STEP: usize = 128;

/// The directories of what is due.
pub(super) struct Expiry {
    view: View,
}

/// What [`TokenStore::expire_due`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Expired {
    /// Tokens that were taken away, descendants included.
    pub removed: usize,
    /// Whether something due is left: call again.
    pub more: bool,
}

/// One bucket, by its number since 1970.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Bucket(u64);

impl Expiry {
    pub(super) fn new(view: View) -> Expiry {
        Expiry { view }
    }

    /// Moves a token from the bucket of one time to that of another; `None` is no bucket.
    pub(super) fn move_token(&self, batch: &mut Batch, key: TokenKey, from: Option<Timestamp>, to: Option<Timestamp>) {
        let (from, to) = (from.map(Bucket::of), to.map(Bucket::of));
        if from == to {
            return;
        }
        if let Some(bucket) = from {
            batch.delete(&self.view, &bucket.entry(key));
        }
        if let Some(bucket) = to {
            batch.put(&self.view, &bucket.entry(key), MARK);
        }
    }

    /// The earliest bucket of which all has passed at `now`.
    async fn first_due(&self, now: Timestamp) -> Result<Option<Bucket>, Error> {
        for high in self.view.list("", None, usize::MAX).await? {
            let high = high.trim_end_matches('/');
            let start = hex_number(high, 8)? * BUCKETS;
            if Bucket(start).end() > now.unix() {
                return Ok(None);
            }
            if let Some(low) = self.view.list(high, None, 1).await?.first() {
                let bucket = Bucket(start + hex_number(low.trim_end_matches('/'), 2)?);
                return Ok((bucket.end() <= now.unix()).then_some(bucket));
            }
        }
        Ok(None)
    }
}

impl Bucket {
    fn of(due: Timestamp) -> Bucket {
        Bucket(u64::try_from(due.unix()).unwrap_or(0) / WIDTH)
    }

    /// Unix seconds at which all of it has passed.
    fn end(self) -> i64 {
        i64::try_from((self.0 + 1) * WIDTH).unwrap_or(i64::MAX)
    }

    fn directory(self) -> String {
        format!("{:08x}/{:02x}", self.0 / BUCKETS, self.0 % BUCKETS)
    }

    fn entry(self, key: TokenKey) -> String {
        format!("{}/{key}", self.directory())
    }
}

fn hex_number(text: &str, digits: usize) -> Result<u64, Error> {
    let number = (text.len() == digits).then(|| u64::from_str_radix(text, 16).ok()).flatten();
    number.ok_or(Error::StoredToken("an expiry directory has a name that is no time"))
}

impl TokenStore {
    /// Takes away tokens that are due, with their descendants: at most `limit` of them, then says whether there are more.
    ///
    /// Every few seconds, while unsealed and leading. A token is refused from the moment it expires whether or not this
    /// has come by; its descendants live until it does, at most [a bucket's width](Expired) and one interval longer.
    /// Each step is a commit of its own, and what is interrupted is found again.
    pub async fn expire_due(&self, limit: usize) -> Result<Expired, Error> {
        let mut left = limit;
        while let Some(bucket) = self.expiry.first_due(self.clock.now()).await? {
            if left == 0 {
                return Ok(Expired { removed: limit, more: true });
            }
            self.empty(bucket, &mut left).await?;
        }
        Ok(Expired { removed: limit - left, more: false })
    }

    /// One step on one bucket.
    async fn empty(&self, bucket: Bucket, left: &mut usize) -> Result<(), Error> {
        let names = self.expiry.view.list(&bucket.directory(), None, STEP.min(*left)).await?;
        let mut batch = Batch::new();
        let mut gone = 0;
        for name in &names {
            let key = TokenKey::parse(name).ok_or(Error::StoredToken("an expiry bucket names what is no token"))?;
            match self.row(key).await? {
                Some((token, version)) if token.due.map(Bucket::of) == Some(bucket) => {
                    if token.may_have_children {
                        self.prune(key, left).await?;
                        // What was read so far is still as it was: the next step takes it.
                        if *left == 0 {
                            return Ok(());
                        }
                    } else if gone < *left {
                        self.remove(&mut batch, &token, version);
                        gone += 1;
                    }
                }
                // Left behind by nothing that this program does; harmless, and not to be met again.
                _ => {
                    batch.delete(&self.expiry.view, &bucket.entry(key));
                }
            }
        }
        match self.commit(batch).await {
            Ok(()) => {
                *left -= gone;
                Ok(())
            }
            // Somebody changed one of them: read them again.
            Err(error) if error.is_conflict() => Ok(()),
            Err(error) => Err(error),
        }
    }
}
