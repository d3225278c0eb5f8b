//! Policies as they are stored, and what the policies of one token say together.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use strongroom_clock::Clock;
use strongroom_keystore::{Batch, Cache, View};
use strongroom_secret::random;

use crate::Error;
use crate::policies::{Acl, DEFAULT_TEXT, Policy, PolicyName, RESPONSE_WRAPPING_TEXT, StoredPolicy, text_of};

/// How many sets of policies are kept compiled.
const HOT_SETS: usize = 4096;

/// The row that changes with every policy, so that one look tells whether any has.
const CHANGES: &str = "changes";

/// The policies of one server.
///
/// A compiled set is served until a commit changes any policy: a change holds from the next request on.
pub struct PolicyStore {
    root: View,
    rows: View,
    clock: Clock,
    parsed: Cache<Policy>,
    changes: Cache<()>,
    sets: RwLock<HashMap<Arc<[String]>, Set>>,
    everything: Arc<Policy>,
    wrapping: Arc<Policy>,
}

struct Set {
    /// The state of all policies from which `acl` was compiled.
    state: Arc<()>,
    acl: Arc<Acl>,
}

/// What came of writing a policy.
#[derive(Debug)]
pub struct Written {
    /// The name as it is stored.
    pub name: PolicyName,
    /// What its author should hear.
    pub warning: Option<String>,
}

impl PolicyStore {
    /// The store in `view`, which holds nothing else. A new one gets the `default` policy.
    pub async fn open(view: View, clock: Clock) -> Result<Arc<PolicyStore>, Error> {
        let fixed = |name, text| Ok::<_, Error>(Arc::new(Policy::parse(PolicyName::parse(name)?, text)?));
        let store = PolicyStore {
            rows: view.dir("policy"),
            root: view,
            clock,
            parsed: Cache::new(4096),
            changes: Cache::new(1),
            sets: RwLock::default(),
            everything: fixed(PolicyName::ROOT, "")?,
            wrapping: fixed(PolicyName::RESPONSE_WRAPPING, RESPONSE_WRAPPING_TEXT)?,
        };
        let default = PolicyName::parse(PolicyName::DEFAULT)?;
        if store.stored(&default).await?.is_none() {
            let policy = StoredPolicy::new(default, DEFAULT_TEXT.to_owned(), store.clock.now());
            store.put(&policy).await?;
        }
        Ok(Arc::new(store))
    }

    /// Names of all policies that people may see, sorted, `root` among them: at most `limit` after `after`.
    pub async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, Error> {
        let rows = self.rows.list("", None, usize::MAX).await?;
        let mut names: Vec<String> = rows.iter().map(|row| name_of(row)).collect();
        names.push(PolicyName::ROOT.to_owned());
        names.sort();
        names.retain(|name| after.is_none_or(|after| name.as_str() > after));
        names.truncate(limit);
        Ok(names)
    }

    /// A policy, however its name is written. `root` has an empty text and version 0.
    pub async fn read(&self, name: &str) -> Result<Option<StoredPolicy>, Error> {
        let name = PolicyName::parse(name)?;
        let fixed = |name, text: &str| StoredPolicy {
            version: 0,
            ..StoredPolicy::new(name, text.to_owned(), self.clock.now())
        };
        match name.as_str() {
            PolicyName::ROOT => Ok(Some(fixed(name, ""))),
            PolicyName::RESPONSE_WRAPPING => Ok(Some(fixed(name, RESPONSE_WRAPPING_TEXT))),
            _ => self.stored(&name).await,
        }
    }

    /// Whether there is a policy of this name.
    pub async fn exists(&self, name: &str) -> Result<bool, Error> {
        match name {
            PolicyName::ROOT | PolicyName::RESPONSE_WRAPPING => Ok(true),
            _ => Ok(self.rows.exists(&row_of(name)).await?),
        }
    }

    /// Writes a policy as it was sent: HCL or JSON, plain or in base64. Durable when it returns.
    ///
    /// # Errors
    /// A name or text that cannot be, a policy that is fixed.
    pub async fn write(&self, name: &str, parameter: &str) -> Result<Written, Error> {
        let stored_name = PolicyName::parse(name)?;
        stored_name.check_update()?;
        let text = text_of(parameter)?;
        Policy::parse(stored_name.clone(), &text)?;
        loop {
            let now = self.clock.now();
            let row = row_of(stored_name.as_str());
            let held = self.rows.get(&row).await?;
            let policy = match &held {
                Some(held) => {
                    StoredPolicy::decode(&stored_name, held.value.expose())?.rewritten(text.clone().into_owned(), now)
                }
                None => StoredPolicy::new(stored_name.clone(), text.clone().into_owned(), now),
            };
            let mut batch = Batch::new();
            batch.expect(&self.rows, &row, held.map(|held| held.version)).put(&self.rows, &row, &policy.encode());
            match self.commit(batch).await {
                Ok(()) => return Ok(Written { warning: stored_name.conversion(name), name: stored_name }),
                // Somebody wrote it in between: this write is the one after that, with the version after that.
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Deletes a policy; deleting what is absent is fine. Durable when it returns.
    ///
    /// # Errors
    /// `root`, `default` and `response-wrapping` stay.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        let name = PolicyName::parse(name)?;
        name.check_delete()?;
        let mut batch = Batch::new();
        batch.delete(&self.rows, &row_of(name.as_str()));
        self.commit(batch).await
    }

    /// What the policies `names` say together. A name without a policy grants nothing.
    ///
    /// # Errors
    /// A policy that is damaged, or stands beside `root`: its token is refused rather than served without it.
    pub async fn acl(&self, names: &Arc<[String]>) -> Result<Arc<Acl>, Error> {
        let state = self.state().await?;
        let now = self.clock.now();
        if let Some(set) = self.sets.read().get(names)
            && Arc::ptr_eq(&set.state, &state)
            && set.acl.good_until().is_none_or(|end| now < end)
        {
            return Ok(set.acl.clone());
        }
        let mut policies = Vec::with_capacity(names.len());
        for name in names.iter() {
            policies.extend(self.policy(&PolicyName::parse(name)?).await?);
        }
        let acl = Arc::new(Acl::new(&policies, now)?);
        let mut sets = self.sets.write();
        if sets.len() >= HOT_SETS {
            sets.clear();
        }
        sets.insert(names.clone(), Set { state, acl: acl.clone() });
        Ok(acl)
    }

    /// What the token with these policies may do on `path`, as `sys/capabilities` answers.
    pub async fn capabilities(&self, names: &Arc<[String]>, path: &str) -> Result<Vec<&'static str>, Error> {
        Ok(self.acl(names).await?.capabilities(path))
    }

    /// A policy, parsed.
    async fn policy(&self, name: &PolicyName) -> Result<Option<Arc<Policy>>, Error> {
        match name.as_str() {
            PolicyName::ROOT => Ok(Some(self.everything.clone())),
            PolicyName::RESPONSE_WRAPPING => Ok(Some(self.wrapping.clone())),
            text => {
                let decode = |row: &[u8]| StoredPolicy::decode(name, row)?.parse();
                self.parsed.get(&self.rows, &row_of(text), decode).await
            }
        }
    }

    /// The same `Arc` as long as no policy changes.
    async fn state(&self) -> Result<Arc<()>, Error> {
        let state = self.changes.get(&self.root, CHANGES, |_| Ok::<_, Error>(())).await?;
        state.ok_or(Error::StoredPolicy("the row that changes with every policy is missing"))
    }

    async fn stored(&self, name: &PolicyName) -> Result<Option<StoredPolicy>, Error> {
        match self.rows.get(&row_of(name.as_str())).await? {
            Some(row) => StoredPolicy::decode(name, row.value.expose()).map(Some),
            None => Ok(None),
        }
    }

    async fn put(&self, policy: &StoredPolicy) -> Result<(), Error> {
        let mut batch = Batch::new();
        batch.put(&self.rows, &row_of(policy.name.as_str()), &policy.encode());
        self.commit(batch).await
    }

    /// A change of a policy, and of the row that says so, in one commit.
    async fn commit(&self, mut batch: Batch) -> Result<(), Error> {
        batch.put(&self.root, CHANGES, &random::array::<16>()?);
        self.root.commit(batch).await?;
        Ok(())
    }
}

/// The name of a policy's row: `%` and `/` are written `%25` and `%2F`, so that all rows lie in one directory.
fn row_of(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F")
}

fn name_of(row: &str) -> String {
    row.replace("%2F", "/").replace("%25", "%")
}
