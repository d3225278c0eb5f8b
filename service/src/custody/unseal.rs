//! Opening: shares come in, devices answer, the root opens, the epoch is confirmed.

use super::{Backoff, Custody, Error, OpenState, SHARES_WAIT, share};
use std::sync::Arc;
use strongroom_keystore::Barrier;
use strongroom_unseal::quorum::Refusal;
use strongroom_unseal::{Custodians, Kind, Leaf, LeafError, Opened, Outcome, Recovery, Rows, Standing};

/// What came of a share, or of an attempt.
pub enum Step {
    /// More is needed: see [`Custody::status`].
    Progress,
    /// The store is open, its epoch confirmed.
    Unsealed(Barrier),
}

impl Custody {
    /// Takes one share as text, and opens the store when it was the last that was needed. `epoch`: refuse any copy of the
    /// store that is older.
    ///
    /// A wrong share is refused and its holder named; those entered before stay. A share entered twice counts once.
    pub async fn enter_share(&self, text: &str, epoch: Option<u64>) -> Result<Step, Error> {
        let _act = self.act.lock().await;
        if self.is_open() {
            return Ok(Step::Progress);
        }
        self.read_sealed()?;
        self.forget_what_waited_too_long();
        let share = share::read(text)?;
        // Before the share counts: a custodian who refuses this copy must not have helped to open it.
        if let Some(asked) = epoch {
            self.ask_for_epoch(asked)?;
        }
        let custodians = self.custodians();
        let complete = match custodians.is_empty() {
            true => self.enter_recovery(share.expose())?,
            false => enter(&custodians, share.expose())?,
        };
        self.name_attempt()?;
        self.state.lock().forgotten = None;
        if !complete {
            return Ok(Step::Progress);
        }
        if let Some(sealed) = &mut self.state.lock().sealed {
            sealed.complete.get_or_insert(self.clock.now());
        }
        self.attempt().await
    }

    /// Forgets and wipes the shares entered so far.
    ///
    /// # Errors
    /// [`Error::Unsealed`] when there is nothing to reset.
    pub async fn reset_shares(&self) -> Result<(), Error> {
        let _act = self.act.lock().await;
        if self.is_open() {
            return Err(Error::Unsealed);
        }
        self.read_sealed()?;
        self.forget_shares();
        Ok(())
    }

    /// One attempt with the devices at hand and the shares entered so far.
    pub async fn try_devices(&self) -> Result<Step, Error> {
        let _act = self.act.lock().await;
        if self.is_open() {
            return Ok(Step::Progress);
        }
        self.read_sealed()?;
        self.forget_what_waited_too_long();
        self.attempt().await
    }

    /// Forgets and wipes shares whose set is complete and which have waited [`SHARES_WAIT`] for what else opens the store.
    /// An incomplete set stays, as Vault's clients expect: it opens nothing.
    pub(super) fn forget_what_waited_too_long(&self) {
        let now = self.clock.now();
        let waited = |since: strongroom_clock::Timestamp| now.since(since) >= SHARES_WAIT;
        let complete = self.state.lock().sealed.as_ref().and_then(|sealed| sealed.complete);
        if !complete.is_some_and(waited) {
            return;
        }
        self.forget_shares();
        let minutes = SHARES_WAIT.as_secs() / 60;
        let text = format!(
            "enough shares were entered, and what else is needed did not come within {minutes} minutes: they were \
             forgotten, enter them again"
        );
        tracing::warn!("{text}");
        self.state.lock().forgotten = Some(text);
    }

    /// Attempts with back-off until devices have opened the store, and gives its barrier; `None` when somebody else opened
    /// it meanwhile, or when devices alone never will. `wait` sleeps: the service's runtime, or a test's clock.
    pub async fn wait_for_devices<F: Future<Output = ()>>(
        &self,
        mut wait: impl FnMut(std::time::Duration) -> F,
    ) -> Option<Barrier> {
        let mut backoff = Backoff::default();
        let mut said: Option<String> = None;
        while self.opens_by_devices() && !self.is_open() {
            let why = match self.try_devices().await {
                Ok(Step::Unsealed(barrier)) => return Some(barrier),
                Ok(Step::Progress) => self.missing(),
                Err(error) => error.to_string(),
            };
            // The same reason is said once, not every half minute.
            if said.as_ref() != Some(&why) {
                tracing::warn!("sealed: {why}; trying again with back-off");
                said = Some(why);
            }
            wait(backoff.next_wait()).await;
        }
        None
    }

    /// Opens the root with what is at hand, and the store with the root.
    async fn attempt(&self) -> Result<Step, Error> {
        let Some((cluster, rows)) = self.rows() else { return Err(Error::NotInitialised) };
        let custodians = self.custodians();
        let mut leaves: Vec<&dyn Leaf> = self.devices.iter().map(|device| &**device as &dyn Leaf).collect();
        leaves.extend(custodians.iter().map(|leaf| &**leaf as &dyn Leaf));
        let outcome = strongroom_unseal::open(&rows, cluster, &leaves, self.clock.now().unix()).await?;
        match outcome {
            Outcome::Sealed(standing) => {
                self.remember(&standing);
                // Loud: the devices are there, and open a root key that is no longer the store's.
                let not_followed = standing.not_followed.clone().map(Error::from);
                let refused = not_followed.as_ref().map(Error::public);
                let mut state = self.state.lock();
                if let Some(why) = not_followed.filter(|_| state.refused != refused) {
                    tracing::error!("an older generation of the root key opens, and the store stays sealed: {why}");
                }
                state.refused = refused;
                drop(state);
                Ok(Step::Progress)
            }
            Outcome::Open(opened) => {
                self.remember(&opened.standing);
                let confirmed = self.confirm(cluster, &rows, opened).await;
                // Whatever came of it, the shares have done their work and are wiped.
                self.forget_shares();
                self.state.lock().refused = confirmed.as_ref().err().map(Error::public);
                if let Err(error) = &confirmed {
                    tracing::error!("the root key opens, and the store stays sealed: {error}");
                }
                confirmed.map(Step::Unsealed)
            }
        }
    }

    /// Opens the store, confirms its epoch with the devices at hand and raises it.
    async fn confirm(&self, cluster: [u8; 16], rows: &Rows, opened: Opened) -> Result<Barrier, Error> {
        let store = self.store.unseal(&opened.root)?;
        store.at_least(self.state.lock().sealed.as_ref().map_or(0, |sealed| sealed.epoch))?;
        if store.generation() != opened.generation {
            let text =
                format!("the keyslots are of generation {}, the head of {}", opened.generation, store.generation());
            return Err(Error::Damaged(text));
        }
        let known: Vec<_> = store.devices().iter().map(|device| device.id).collect();
        let readings = self.read_counters(cluster, &known, &opened.standing).await;
        let raise = store.confirm(&readings)?;
        let done = self.raise_devices(cluster, raise.targets(), &opened.standing).await;
        let barrier = raise.serve(&done)?;
        if let Some(from) = opened.caught_up_from {
            tracing::warn!("opened by keyslots of generation {from}, which a catch-up record led on to the latest");
        }
        let recovery = Recovery::load(rows, cluster)?.map(|recovery| recovery.set().shape());
        let open = OpenState {
            cluster,
            tree: opened.tree,
            generation: opened.generation,
            root: Arc::new(opened.root),
            rows: rows.clone(),
            recovery,
        };
        self.opened(open, opened.standing);
        if let Err(error) = self.bring_up(&barrier).await {
            tracing::warn!("what was away was not brought up to date: {error}");
        }
        Ok(barrier)
    }

    /// A recovery share where devices alone open the tree: a quorum of them asks for another attempt, as Vault's clients
    /// expect, and decrypts nothing.
    fn enter_recovery(&self, share: &[u8]) -> Result<bool, Error> {
        let mut state = self.state.lock();
        let Some(sealed) = &mut state.sealed else { return Err(Error::NotInitialised) };
        if sealed.recovery.is_none() {
            let recovery = Recovery::load(&sealed.rows, sealed.cluster)?;
            let recovery = recovery.ok_or_else(|| Error::Request("no shares belong to this seal tree".into()))?;
            sealed.recovery = Some(recovery.gather());
        }
        let Some(gathering) = &mut sealed.recovery else { return Ok(false) };
        match gathering.enter(share) {
            Ok(progress) if progress.is_complete() => {
                if let Some(gathering) = sealed.recovery.take() {
                    gathering.finish()?;
                }
                Ok(true)
            }
            Ok(_) => Ok(false),
            Err(strongroom_unseal::Error::Share { refusal: Refusal::Again { .. }, .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the attempt a name for clients to follow it by.
    fn name_attempt(&self) -> Result<(), Error> {
        if let Some(sealed) = &mut self.state.lock().sealed
            && sealed.nonce.is_none()
        {
            let nonce = uuid::Builder::from_random_bytes(strongroom_secret::random::array()?).into_uuid();
            sealed.nonce = Some(nonce.to_string());
        }
        Ok(())
    }

    /// The store is open.
    pub(super) fn opened(&self, open: OpenState, standing: Standing) {
        let mut state = self.state.lock();
        (state.open, state.standing, state.forgotten) = (Some(open), Some(standing), None);
    }

    fn ask_for_epoch(&self, asked: u64) -> Result<(), Error> {
        let mut state = self.state.lock();
        let Some(sealed) = &mut state.sealed else { return Err(Error::NotInitialised) };
        // The clear head is not authenticated yet: a store that admits to be too old is, and one that lies is found out
        // when it opens.
        let stored = self.store.clear_head().map_or(0, |head| head.epoch);
        if stored < asked {
            // The caller's own number, which anybody can make up: refused, and no alarm in the log.
            let refusal = strongroom_keystore::Error::EpochTooOld { asked, stored };
            return Err(Error::Request(refusal.to_string()));
        }
        sealed.epoch = sealed.epoch.max(asked);
        Ok(())
    }

    fn rows(&self) -> Option<([u8; 16], Rows)> {
        self.state.lock().sealed.as_ref().map(|sealed| (sealed.cluster, sealed.rows.clone()))
    }

    fn custodians(&self) -> Vec<Arc<Custodians>> {
        self.state.lock().sealed.as_ref().map(|sealed| sealed.custodians.clone()).unwrap_or_default()
    }

    fn forget_shares(&self) {
        let mut state = self.state.lock();
        if let Some(sealed) = &mut state.sealed {
            sealed.custodians.iter().for_each(|leaf| leaf.reset());
            (sealed.recovery, sealed.nonce, sealed.epoch, sealed.complete) = (None, None, 0, None);
        }
    }

    /// What an attempt says of the leaves, kept for `sys/seal-tree`.
    pub(super) fn remember(&self, standing: &Standing) {
        let now = self.clock.now();
        let mut state = self.state.lock();
        for leaf in &standing.leaves {
            let history = state.history.entry(leaf.name.clone()).or_default();
            if leaf.satisfied {
                history.last_success = Some(now);
            }
            if let Some(LeafError::Row(why)) = &leaf.error
                && history.last_error.as_deref() != Some(DAMAGED)
            {
                tracing::error!(leaf = leaf.name, "{why}");
            }
            if leaf.kind != Kind::Shamir {
                history.last_error = leaf.error.as_ref().map(shown).or(history.last_error.take());
                if leaf.healthy == Some(true) && leaf.error.is_none() {
                    history.last_error = None;
                }
            }
        }
        state.standing = Some(standing.clone());
    }

    /// What is still needed, and why, in one line.
    pub(super) fn missing(&self) -> String {
        let state = self.state.lock();
        let Some(standing) = &state.standing else { return "no attempt was made".into() };
        let errors = standing
            .leaves
            .iter()
            .filter_map(|leaf| leaf.error.as_ref().map(|error| format!("{}: {error}", leaf.name)));
        let errors: Vec<String> = errors.collect();
        let needed = standing.needed.as_deref().unwrap_or("nothing");
        let text = format!("{needed} is needed ({})", errors.join("; "));
        match &standing.not_followed {
            Some(error) => format!("{text}; an older generation opens and is not followed: {error}"),
            None => text,
        }
    }
}

/// What anybody may hear of a leaf while sealed: what is wrong with a device, and no record of the store.
fn shown(error: &LeafError) -> String {
    match error {
        LeafError::Row(_) => DAMAGED.to_owned(),
        other => other.to_string(),
    }
}

const DAMAGED: &str = "its record in the store is damaged or missing: the server's log says which";

/// Enters a share at the leaf that it belongs to; whether that leaf, or another, now has all it needs.
fn enter(custodians: &[Arc<Custodians>], share: &[u8]) -> Result<bool, Error> {
    let mut refused: Option<strongroom_unseal::Error> = None;
    for leaf in custodians {
        match leaf.enter(share) {
            Ok(progress) => return Ok(progress.is_complete()),
            Err(strongroom_unseal::Error::Share { refusal: Refusal::Again { .. } | Refusal::Complete, .. }) => {
                return Ok(leaf.progress().is_complete());
            }
            Err(error) => {
                let known = !matches!(&error, strongroom_unseal::Error::Share { refusal: Refusal::Unknown, .. });
                // A share that a leaf knows and refuses says more than one that no leaf knows.
                if known || refused.is_none() {
                    refused = Some(error);
                }
            }
        }
    }
    match refused {
        Some(error) => Err(error.into()),
        None => Err(Error::Request("no shares belong to this seal tree".into())),
    }
}
